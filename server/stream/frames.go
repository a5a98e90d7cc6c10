package stream

import (
	"sync"
	"time"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// frames are the problems and incidents of snapshots, encoded once a format for all who
// begin at about the same time: after a restart everybody does, each with thousands of
// them to be told. Nothing of it is there while nobody begins. The zero value is
// ready. Safe for concurrent use.
type frames struct {
	mu   sync.Mutex
	made map[frameKey][]byte
	held int
}

// frameKey holds on to the event or the incident, so that no other one is ever found
// at its address.
type frameKey struct {
	event    *rightsizerv1.Event
	incident *rightsizerv1.Incident
	format   bus.Format
}

const (
	// maxFrames is in bytes. What is beyond is encoded for each reader by itself. 4,096
	// problems are 2 MB in one format.
	maxFrames = 4 << 20
	// framesKept bounds how long a problem that is over is kept alive.
	framesKept = 10 * time.Second
)

// of is a message framed in a format, whose event or incident is never changed, and
// which says nothing else.
func (f *frames) of(msg *rightsizerv1.StreamEventsResponse, format bus.Format, encode encodeFunc) ([]byte, error) {
	key := frameKey{msg.GetEvent(), msg.GetIncident(), format}
	f.mu.Lock()
	frame, ok := f.made[key]
	f.mu.Unlock()
	if ok {
		return frame, nil
	}
	frame, err := encode(msg)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held+cap(frame) > maxFrames {
		return frame, nil
	}
	if f.made == nil {
		f.made = make(map[frameKey][]byte)
		time.AfterFunc(framesKept, f.drop)
	}
	if _, ok := f.made[key]; !ok {
		f.made[key] = frame
		f.held += cap(frame)
	}
	return frame, nil
}

func (f *frames) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made, f.held = nil, 0
}
