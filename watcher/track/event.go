package track

import (
	"time"

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
func newEvent(in *detect.Input, f *detect.Finding, phase rightsizerv1.Phase, ordinal int32, atStart bool) *rightsizerv1.Event {
	pod := in.Cur
	e := &rightsizerv1.Event{
		Id:            detect.EventID(f.Problem, phase, ordinal).String(),
		ProblemId:     f.Problem.String(),
		Phase:         phase,
		FoundAtStart:  atStart,
		Type:          f.Type,
		Severity:      f.Severity,
		ObservedTime:  timestamppb.New(in.Now),
		Cluster:       in.Cluster,
		Namespace:     pod.Namespace,
		Object:        &rightsizerv1.ObjectRef{Kind: "Pod", Name: pod.Name, Uid: pod.UID},
		Workload:      &rightsizerv1.WorkloadRef{Kind: in.Workload.Kind, Name: in.Workload.Name},
		Container:     f.Container,
		Node:          pod.Node,
		Reason:        convert.Text(f.Reason, maxReason),
		Message:       convert.Text(f.Message, maxMessage),
		CorrelationId: detect.CorrelationID(in.Cluster, pod, in.Workload).String(),
		Tags:          tags(in, f),
	}
	e.OccurredTime = e.ObservedTime
	if f.Occurred > 0 {
		e.OccurredTime = timestamppb.New(time.Unix(f.Occurred, 0))
	}
	switch {
	case f.OOMKilled != nil:
		e.Details = &rightsizerv1.Event_OomKilled{OomKilled: f.OOMKilled}
	case f.CrashLoop != nil:
		e.Details = &rightsizerv1.Event_CrashLoop{CrashLoop: f.CrashLoop}
	}
	return e
}

// resolved ends a problem of which its detector has nothing to say any more.
func resolved(in *detect.Input, p *problem) *rightsizerv1.Event {
	f := detect.Finding{
		Problem: p.id, Type: p.typ, Container: p.container, Kind: p.kind,
		Severity:  rightsizerv1.Severity_SEVERITY_INFO,
		Reason:    "Recovered",
		Message:   "No longer visible: " + p.typ + " of container " + p.container + " of pod " + in.Cur.Name,
		CrashLoop: p.event.GetCrashLoop(),
	}
	return newEvent(in, &f, rightsizerv1.Phase_PHASE_RESOLVED, p.ordinal, false)
}

// tags are pairs to filter by: qos, container_kind, pod_phase and the two
// labels that name an application. No other label becomes a tag, since labels
// are neither bounded nor meant for everybody.
func tags(in *detect.Input, f *detect.Finding) map[string]string {
	out := make(map[string]string, 5)
	put := func(key, value string) {
		if value != "" {
			out[key] = convert.Text(value, maxTagValue)
		}
	}
	put("qos", in.Cur.QoS)
	put("container_kind", kindTag(f.Kind))
	put("pod_phase", in.Cur.Phase)
	put("app.kubernetes.io/name", in.Cur.AppName)
	put("app", in.Cur.App)
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
