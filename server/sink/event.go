package sink

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/codec"
)

// typePrefix is what every type begins with.
const typePrefix = "dev.rightsizer."

// Event is what an Endpoint is given: a CloudEvent by its parts.
type Event struct {
	ID, Source, Type, Subject string
	Time                      time.Time
	// Data is JSON.
	Data []byte
}

// itemOf makes the item for a message of the bus, nil for one that sinks do not
// send. cluster is for messages that do not name theirs.
func itemOf(msg *rightsizerv1.StreamEventsResponse, cluster string, now time.Time) (*item, error) {
	switch m := msg.GetMessage().(type) {
	case *rightsizerv1.StreamEventsResponse_Event:
		ev := m.Event
		subject := ev.GetObject().GetKind() + "/" + ev.GetObject().GetName()
		if ev.GetNamespace() != "" {
			subject = ev.GetNamespace() + "/" + subject
		}
		return newItem(ev, "event/"+ev.GetProblemId(), Event{
			ID: ev.GetId(), Source: source(ev.GetCluster(), cluster), Type: typePrefix + ev.GetType(), Subject: subject, Time: ev.GetOccurredTime().AsTime(),
		}, now)
	case *rightsizerv1.StreamEventsResponse_Incident:
		in := m.Incident
		return newItem(in, "incident/"+in.GetId(), Event{
			// An incident is published at each change; its id and the position tell them apart.
			ID: in.GetId() + "-" + msg.GetPosition(), Source: source(in.GetCluster(), cluster), Type: typePrefix + "incident", Subject: in.GetId(), Time: now,
		}, now)
	case *rightsizerv1.StreamEventsResponse_Resync:
		return newItem(m.Resync, "stream", Event{
			ID: "resync-" + msg.GetPosition(), Source: source("", cluster), Type: typePrefix + "stream.resync", Subject: m.Resync.GetScope(), Time: now,
		}, now)
	default:
		return nil, nil //nolint:nilnil // nothing to send
	}
}

// lostItem tells the endpoint its loss.
func lostItem(lost *rightsizerv1.StreamLost, cluster string, now time.Time) (*item, error) {
	return newItem(lost, "stream", Event{
		ID: "lost-" + lost.GetFrom() + "-" + lost.GetTo(), Source: source("", cluster), Type: typePrefix + "stream.lost", Time: now,
	}, now)
}

func source(own, cluster string) string {
	if own == "" {
		own = cluster
	}
	return "/clusters/" + own
}

func newItem(m proto.Message, lane string, event Event, now time.Time) (*item, error) {
	data, err := codec.MarshalJSONShortSeverity(m)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	event.Data = data
	return &item{event: event, lane: lane, taken: now}, nil
}
