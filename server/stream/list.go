package stream

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/rpc/page"
)

// ListEvents implements EventServiceHandler. Pages are stable while events
// arrive: the first one fixes the newest event that the others may show.
func (s *Service) ListEvents(ctx context.Context, req *rightsizerv1.ListEventsRequest) (*rightsizerv1.ListEventsResponse, error) {
	if err := s.hub.ownCluster(req.GetCluster()); err != nil {
		return nil, err
	}
	cursor, err := page.Cursor(req)
	if err != nil {
		return nil, err
	}
	scope, err := s.hub.Scope(ctx, req.GetFilter())
	if err != nil {
		return nil, err
	}
	ring := s.hub.opts.Bus
	namespaces := bus.Compile(&rightsizerv1.EventFilter{Namespaces: req.GetFilter().GetNamespaces()}, scope)
	resp := &rightsizerv1.ListEventsResponse{
		Oldest: ring.Oldest(), Newest: ring.Newest(), CompleteSince: timestamppb.New(ring.CompleteSince(namespaces)),
	}
	from, newest, _ := strings.Cut(cursor, " ")
	if newest != "" {
		resp.Newest = newest
	}
	room := page.RoomFor(req.GetPageSize())
	during := within(req)
	more := false
	last := from
	_, err = ring.Page(bus.Compile(req.GetFilter(), scope), from, resp.GetNewest(), req.GetOrderBy() != "asc", func(e *bus.Entry) bool {
		ev := e.Message().GetEvent()
		if ev == nil || !during(ev) {
			return true
		}
		if !room.Take(ev) {
			more = true
			return false
		}
		resp.Events = append(resp.Events, ev)
		last = e.Position()
		return true
	})
	if errors.Is(err, bus.ErrPosition) {
		return nil, page.Stale()
	}
	if more {
		resp.NextPageToken = page.Token(req, last+" "+resp.GetNewest())
	}
	return resp, err
}

// within says whether an event occurred in the range that the request asks for.
func within(req *rightsizerv1.ListEventsRequest) func(*rightsizerv1.Event) bool {
	start, end := req.GetStartTime(), req.GetEndTime()
	return func(ev *rightsizerv1.Event) bool {
		at := ev.GetOccurredTime().AsTime()
		return (start == nil || !at.Before(start.AsTime())) && (end == nil || at.Before(end.AsTime()))
	}
}

// ListConnections implements EventServiceHandler. The cursor of its pages is the
// number of the last session shown.
func (s *Service) ListConnections(_ context.Context, req *rightsizerv1.ListConnectionsRequest) (*rightsizerv1.ListConnectionsResponse, error) {
	if err := s.hub.ownCluster(req.GetCluster()); err != nil {
		return nil, err
	}
	cursor, err := page.Cursor(req)
	if err != nil {
		return nil, err
	}
	var after uint64
	if cursor != "" {
		if after, err = strconv.ParseUint(cursor, 10, 64); err != nil {
			return nil, page.Stale()
		}
	}
	size := page.Size(req.GetPageSize())
	resp := &rightsizerv1.ListConnectionsResponse{}
	for _, session := range s.hub.open() {
		if session.id <= after {
			continue
		}
		if n := len(resp.GetConnections()); n == size {
			resp.NextPageToken = page.Token(req, resp.GetConnections()[n-1].GetId())
			break
		}
		resp.Connections = append(resp.Connections, session.connection())
	}
	return resp, nil
}
