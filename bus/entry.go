package bus

import (
	"reflect"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Format numbers an encoding of an entry that readers share.
type Format uint8

// The encodings that an entry caches. Each transport names its own here, so that
// an entry's cache is an array and not a map.
const (
	// FormatProto is the message in binary, in the envelope that Connect, gRPC
	// and gRPC-Web share.
	FormatProto Format = iota
	// FormatJSON is the message in JSON, in the same envelope.
	FormatJSON
	// FormatProtoGzip is FormatProto with its message compressed.
	FormatProtoGzip
	// FormatJSONGzip is FormatJSON with its message compressed.
	FormatJSONGzip
	// FormatWebSocket is a whole WebSocket text frame.
	FormatWebSocket
	// FormatWebSocketDeflate is FormatWebSocket with its payload compressed.
	FormatWebSocketDeflate
	formats
)

// Entry is one published message. It is immutable: readers share it. The message
// and its most frequent wrapper lie in it, which makes it one allocation.
type Entry struct {
	seq          uint64 // what a delivery touches comes first, within a cache line
	confidential bool   // for those alone whose scope says so
	event        rightsizerv1.StreamEventsResponse_Event
	msg          rightsizerv1.StreamEventsResponse

	bus  *Bus
	held atomic.Int64 // bytes counted against the bus, estimated; released when the ring gave it up

	encodings [formats]atomic.Pointer[[]byte]
	encode    sync.Mutex
}

func newEntry(b *Bus, ev *rightsizerv1.Event) *Entry {
	e := &Entry{bus: b}
	e.event.Event = ev
	e.msg.Message = &e.event
	return e
}

// Message returns what was published, its position included. It must not be
// changed.
func (e *Entry) Message() *rightsizerv1.StreamEventsResponse { return &e.msg }

// Position is the opaque position after this entry.
func (e *Entry) Position() string { return e.msg.GetPosition() }

// Encoded returns the entry in format f, which encode makes the first time. The
// bytes are shared: they must not be changed. A failure is not cached. Readers
// who want the same entry meanwhile wait for encode; Publish does not.
func (e *Entry) Encoded(f Format, encode func(*rightsizerv1.StreamEventsResponse) ([]byte, error)) ([]byte, error) {
	if cached := e.encodings[f].Load(); cached != nil {
		return *cached, nil
	}
	e.encode.Lock()
	defer e.encode.Unlock()
	if cached := e.encodings[f].Load(); cached != nil {
		return *cached, nil
	}
	made, err := encode(&e.msg)
	if err != nil {
		return nil, err
	}
	e.encodings[f].Store(&made)
	e.charge(int64(cap(made)))
	return made, nil
}

// released marks an entry that the ring gave up: encodings made from then on are
// their readers' own.
const released = -1

// charge counts n more bytes against the bus, which may cost its oldest entries.
func (e *Entry) charge(n int64) {
	for {
		held := e.held.Load()
		if held == released {
			return
		}
		if e.held.CompareAndSwap(held, held+n) {
			break
		}
	}
	if e.bus.bytes.Add(n) > e.bus.budget {
		e.bus.evict(e.bus.head.Load())
	}
}

// release ends the charging and returns what was charged.
func (e *Entry) release() int64 { return e.held.Swap(released) }

// messageOverhead is what a message costs beside its strings: the structs of
// Event, its references, times and envelope. Measured with runtime.MemStats over
// 10,000 events, rounded up.
const messageOverhead = 1100

// pairOverhead is what a pair of a map costs beside its strings.
const pairOverhead = 48

// detailsOverhead is what details cost beside their strings, which their wire size
// is mostly made of.
const detailsOverhead = 200

// numbersOnly are the oneof's wrappers of details without text: what they hold is in
// detailsOverhead, and their size, which takes longer than all else, is not asked for.
var numbersOnly = func() map[reflect.Type]bool {
	out := map[reflect.Type]bool{}
	ev := new(rightsizerv1.Event)
	msg := ev.ProtoReflect()
	details := msg.Descriptor().Oneofs().ByName("details").Fields()
	for i := range details.Len() {
		field := details.Get(i)
		msg.Set(field, msg.NewField(field))
		out[reflect.TypeOf(ev.GetDetails())] = textless(field.Message())
	}
	return out
}()

// textless says that messages of this type hold numbers alone: no text, no lists.
func textless(of protoreflect.MessageDescriptor) bool {
	for i := range of.Fields().Len() {
		switch f := of.Fields().Get(i); {
		case f.Cardinality() == protoreflect.Repeated, f.Kind() == protoreflect.StringKind, f.Kind() == protoreflect.BytesKind:
			return false
		case f.Kind() == protoreflect.MessageKind && !textless(f.Message()):
			return false
		}
	}
	return true
}

// footprint estimates the bytes that msg holds. It walks the strings of an
// event; its details count as their wire size, the rare other messages as theirs
// doubled.
func footprint(msg *rightsizerv1.StreamEventsResponse) int64 {
	ev := msg.GetEvent()
	if ev == nil {
		return messageOverhead + 2*int64(proto.Size(msg))
	}
	n := messageOverhead + len(ev.GetId()) + len(ev.GetProblemId()) + len(ev.GetMessage()) + len(ev.GetReason()) +
		len(ev.GetObject().GetName()) + len(ev.GetObject().GetUid()) + len(ev.GetWorkload().GetName()) +
		len(ev.GetNode()) + len(ev.GetCorrelationId()) + len(ev.GetIncidentId())
	for k, v := range ev.GetTags() {
		n += pairOverhead + len(k) + len(v)
	}
	switch d := ev.GetDetails(); {
	case d == nil:
	case numbersOnly[reflect.TypeOf(d)]:
		n += detailsOverhead
	default:
		// The one field of the oneof's wrapper, without a walk over descriptors.
		if details, ok := reflect.TypeAssert[proto.Message](reflect.ValueOf(d).Elem().Field(0)); ok {
			n += detailsOverhead + proto.Size(details)
		}
	}
	return int64(n)
}
