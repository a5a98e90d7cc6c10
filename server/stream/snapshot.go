package stream

import (
	"cmp"
	"slices"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// begin says where the stream starts.
func (s *Session) begin() error {
	s.cuts = cuts{} // who begins anew may have kept nothing
	opened := &rightsizerv1.StreamOpened{Oldest: s.hub.opts.Bus.Oldest(), Newest: s.hub.opts.Bus.Newest()}
	start := s.sub.Start()
	switch start {
	case bus.Resumed:
		opened.Start = &rightsizerv1.StreamOpened_Resumed{Resumed: &rightsizerv1.StreamResumed{}}
	case bus.Gap:
		opened.Start = &rightsizerv1.StreamOpened_Gap{Gap: &rightsizerv1.StreamGap{}}
	case bus.Reset:
		reason := "no position given"
		if s.reader.After != "" {
			reason = "the position is not of this epoch"
		}
		opened.Start = &rightsizerv1.StreamOpened_Reset_{Reset_: &rightsizerv1.StreamReset{Reason: reason}}
	}
	if err := s.tell(&rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Opened{Opened: opened}}); err != nil {
		return err
	}
	if start != bus.Reset || !s.hub.opts.Synced() {
		return nil
	}
	s.partial = true
	if err := s.snapshot(); err != nil {
		return err
	}
	s.partial = false
	return s.synced()
}

// snapshot sends what is wrong now, then the incidents that go on. Its messages
// carry no position: the one of `synced` covers them. What changes meanwhile is
// told again after it.
func (s *Session) snapshot() error {
	out := newOutput(s)
	defer out.free()
	for _, ev := range s.hub.standing(s.reader.Scope) {
		if !s.view.filter.MatchesEvent(ev) {
			continue
		}
		out.shared(&rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Event{Event: ev}})
		if s.ctx.Err() != nil || out.err != nil { // to a slow client thousands of them take long
			return cmp.Or(out.flush(), s.ctx.Err())
		}
	}
	for _, in := range s.hub.openIncidents() {
		msg := &rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Incident{Incident: in}}
		if !s.view.filter.MatchesMessage(msg) {
			continue
		}
		seen := s.permitted(msg)
		switch {
		case seen.GetIncident().GetState() != rightsizerv1.IncidentState_INCIDENT_STATE_OPEN:
			continue
		case seen == msg: // as everybody's
			out.shared(msg)
		default:
			out.own(seen)
		}
		if s.ctx.Err() != nil || out.err != nil {
			break
		}
	}
	return cmp.Or(out.flush(), s.ctx.Err())
}

// standing is what is wrong now and, for whom that is, who reads.
func (h *Hub) standing(scope bus.Scope) []*rightsizerv1.Event {
	all := h.opts.Problems.Problems()
	if h.opts.Audience != nil && scope.Confidential() {
		all = slices.Concat(all, h.opts.Audience.Told())
	}
	return all
}

func (s *Session) synced() error {
	position := s.sub.Position()
	return s.tell(&rightsizerv1.StreamEventsResponse{
		Message:  &rightsizerv1.StreamEventsResponse_Synced{Synced: &rightsizerv1.StreamSynced{Position: position}},
		Position: position,
	})
}
