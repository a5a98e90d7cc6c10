package track

import (
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/detect"
)

// Bounds of the schema, in bytes.
const (
	maxMessage  = 1024
	maxReason   = 128
	maxTagValue = 256
)

// newEvent makes the event of a finding.
func newEvent(o *Observation, f *detect.Finding, phase rightsizerv1.Phase, ordinal int32) *rightsizerv1.Event {
	s := &o.Subject
	e := &rightsizerv1.Event{
		Id:            detect.EventID(f.Problem, phase, ordinal).String(),
		ProblemId:     f.Problem.String(),
		Phase:         phase,
		Type:          f.Type,
		Severity:      f.Severity,
		ObservedTime:  timestamppb.New(o.Now),
		Cluster:       o.Cluster,
		Namespace:     s.Namespace,
		Object:        &rightsizerv1.ObjectRef{Kind: s.Kind, Name: s.Name, Uid: s.UID},
		Container:     f.Container,
		Node:          s.Node,
		Reason:        convert.Text(f.Reason, maxReason),
		Message:       convert.Text(f.Message, maxMessage),
		CorrelationId: detect.CorrelationID(o.Cluster, s).String(),
		Tags:          tags(s, f),
	}
	if s.Workload.Kind != "" {
		e.Workload = &rightsizerv1.WorkloadRef{Kind: s.Workload.Kind, Name: s.Workload.Name}
	}
	e.OccurredTime = e.ObservedTime
	if f.Occurred > 0 {
		e.OccurredTime = timestamppb.New(time.Unix(f.Occurred, 0))
	}
	if f.Details != nil {
		setDetails(e, f.Details)
	}
	return e
}

// detailFields are the fields of the oneof Event.details by their messages'
// names.
var detailFields = sync.OnceValue(func() map[protoreflect.FullName]protoreflect.FieldDescriptor {
	fields := (&rightsizerv1.Event{}).ProtoReflect().Descriptor().Oneofs().ByName("details").Fields()
	out := make(map[protoreflect.FullName]protoreflect.FieldDescriptor, fields.Len())
	for i := range fields.Len() {
		out[fields.Get(i).Message().FullName()] = fields.Get(i)
	}
	return out
})

// setDetails puts a message into the oneof. It panics where the oneof has no
// such message, a mistake in a detector that its test shows.
func setDetails(e *rightsizerv1.Event, details proto.Message) {
	m := details.ProtoReflect()
	e.ProtoReflect().Set(detailFields()[m.Descriptor().FullName()], protoreflect.ValueOfMessage(m))
}

// resolved ends a problem of which its detector has nothing to say any more.
func resolved(o *Observation, p *problem) *rightsizerv1.Event {
	f := detect.Finding{
		Problem: p.id, Type: p.typ, Container: p.container, Kind: p.kind,
		Severity: rightsizerv1.Severity_SEVERITY_INFO,
		Reason:   "Recovered",
		Message:  p.ending,
	}
	if f.Message == "" {
		f.Message = "No longer visible: " + p.typ + " of " + what(o, p)
	}
	if o.Gone {
		f.Reason = "Deleted"
		f.Message = "Over with its object: " + o.Subject.Kind + " " + o.Subject.Name + " was deleted"
	}
	// A life ends once, whatever was told of it: also a process that came later
	// gives the end this id.
	e := newEvent(o, &f, rightsizerv1.Phase_PHASE_RESOLVED, p.base)
	if p.event != nil {
		e.Details = p.event.GetDetails()
	}
	return e
}

func what(o *Observation, p *problem) string {
	if p.container == "" {
		return o.Subject.Kind + " " + o.Subject.Name
	}
	return "container " + p.container + " of " + o.Subject.Kind + " " + o.Subject.Name
}

// tags are the subject's and the kind of the container; empty ones are left out.
func tags(s *detect.Subject, f *detect.Finding) map[string]string {
	out := make(map[string]string, len(s.Tags)+1)
	put := func(key, value string) {
		if value != "" {
			out[key] = convert.Text(value, maxTagValue)
		}
	}
	for key, value := range s.Tags {
		put(key, value)
	}
	put("container_kind", kindTag(f.Kind))
	return out
}

func kindTag(kind rightsizerv1.ContainerKind) string {
	switch kind {
	case rightsizerv1.ContainerKind_CONTAINER_KIND_APP:
		return "app"
	case rightsizerv1.ContainerKind_CONTAINER_KIND_INIT:
		return "init"
	case rightsizerv1.ContainerKind_CONTAINER_KIND_SIDECAR:
		return "sidecar"
	case rightsizerv1.ContainerKind_CONTAINER_KIND_EPHEMERAL:
		return "ephemeral"
	default:
		return ""
	}
}
