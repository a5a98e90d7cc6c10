package stream

import (
	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// view is what a session asks for and may see, compiled.
type view struct {
	filter *bus.Filter
	seen   *bus.Filter // the scope alone; nil where that is everything
}

func newView(filter *rightsizerv1.EventFilter, scope bus.Scope) view {
	v := view{filter: bus.Compile(filter, scope)}
	if !scope.All() {
		v.seen = bus.Compile(nil, scope)
	}
	return v
}

// permitted is a message with what the reader may see of it, the message itself
// unless it is an incident across namespaces; nil where nothing is left that the
// filter passes, or that differs from what the reader was shown last.
func (s *Session) permitted(msg *rightsizerv1.StreamEventsResponse) *rightsizerv1.StreamEventsResponse {
	whole := msg.GetIncident()
	if whole == nil || s.view.seen == nil {
		return msg
	}
	in := visible(whole, s.view.seen)
	if in == whole {
		return msg
	}
	cut := &rightsizerv1.StreamEventsResponse{
		Message: &rightsizerv1.StreamEventsResponse_Incident{Incident: in}, Position: msg.GetPosition(),
	}
	if in == nil || !s.view.filter.MatchesMessage(cut) || !s.cuts.fresh(in, s.hub.knownIncidents) {
		return nil
	}
	return cut
}
