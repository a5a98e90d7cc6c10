package presence

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/text"
)

// Types of the events.
const (
	Connected    = "dashboard.connected"
	Disconnected = "dashboard.disconnected"
)

// Named says whether event types that a filter asks for name one of these, by itself
// or by its family. To ask for everything is not to name them.
func Named(eventTypes []string) bool {
	return slices.ContainsFunc(eventTypes, func(t string) bool { return strings.HasPrefix(t, "dashboard.") })
}

// Bounds of the schema.
const (
	maxName    = 253
	maxMessage = 1024
)

// event makes the event of a type about somebody, who came or went at a moment.
func (p *Presence) event(eventType string, v *visitor, at time.Time) *rightsizerv1.Event {
	p.ordinal++
	cluster := p.opts.Cluster()
	id := digest(eventType, cluster, p.opts.Replica, strconv.FormatUint(p.ordinal, 10))
	details := &rightsizerv1.DashboardDetails{
		Via: text.Cut(v.via, 32), Protocol: v.protocol, SinceTime: timestamppb.New(v.since), Streams: v.streams,
	}
	ev := &rightsizerv1.Event{
		Id: id, ProblemId: id, CorrelationId: digest("dashboard", cluster, v.via, v.user),
		Phase: rightsizerv1.Phase_PHASE_POINT, Type: eventType, Severity: rightsizerv1.Severity_SEVERITY_INFO,
		OccurredTime: timestamppb.New(at), ObservedTime: timestamppb.Now(), Cluster: cluster,
		Object:  &rightsizerv1.ObjectRef{Kind: "User", Name: text.Cut(v.user, maxName)},
		Details: &rightsizerv1.Event_Dashboard{Dashboard: details},
	}
	switch eventType {
	case Connected:
		ev.Reason = "Connected"
		ev.Message = fmt.Sprintf("%s reads events, by %s", v.user, v.protocol)
		details.Untold = int32(min(p.untold, 1<<31-1))
		if p.untold > 0 {
			ev.Message += fmt.Sprintf("; of %d comings before nothing was told", p.untold)
		}
		p.untold = 0
	case Disconnected:
		ev.Reason = "Disconnected"
		stayed := at.Sub(v.since)
		details.Duration = durationpb.New(stayed)
		ev.Message = fmt.Sprintf("%s reads events no more, after %s and %d streams", v.user, stayed.Round(time.Second), v.streams)
	}
	ev.Message = text.Cut(ev.GetMessage(), maxMessage)
	return ev
}

// digest is an id: of length-prefixed fields, so that no two of them run into each
// other.
func digest(fields ...string) string {
	h := sha256.New()
	var length [8]byte
	for _, field := range fields {
		binary.BigEndian.PutUint64(length[:], uint64(len(field)))
		h.Write(length[:])
		h.Write([]byte(field))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Doc is a row of the table of watcher/README.md.
type Doc struct{ Type, Severity, Source, Details, Resolves string }

// Docs are the rows of these types.
func Docs() []Doc {
	const point = "nothing: it happened at one moment (POINT)"
	return []Doc{
		{Connected, "info", "streams: the first stream of a caller who has a name", "DashboardDetails", point},
		{Disconnected, "info", fmt.Sprintf("streams: %.0f s without a stream of a caller who was told of", Grace.Seconds()), "DashboardDetails", point},
	}
}
