//go:build soak

package soak_test

import (
	"fmt"
	"sync"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// ledger holds all readers against each other. They read everything, so whatever
// one of them got after a position, the others must get as well.
type ledger struct {
	mu     sync.Mutex
	next   map[string]string // position → that of the next entry
	idAt   map[string]string // position → id of its event
	at     map[string]string // life and id → position
	cause  map[string]string // id → its cause
	id     map[string]string // cause of a container's end → id
	wrong  []string
	counts map[string]int
}

func newLedger() *ledger {
	return &ledger{
		next: map[string]string{}, idAt: map[string]string{}, at: map[string]string{},
		cause: map[string]string{}, id: map[string]string{}, counts: map[string]int{},
	}
}

// maxWrong bounds what is told; one mistake makes many.
const maxWrong = 20

func (l *ledger) blame(format string, args ...any) {
	if len(l.wrong) < maxWrong {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

func (l *ledger) count(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[what]++
}

// agree notes that two readers must have the same under a key, or blames.
func (l *ledger) agree(book map[string]string, key, value, what string) {
	if was, ok := book[key]; ok && was != value {
		l.blame("%s: %s has %s and %s", what, key, was, value)
		return
	}
	book[key] = value
}

// cursor is where a reader is in the ring; empty where it cannot know.
type cursor struct {
	client   string
	life     int64
	position string
	snapshot bool // what is wrong now, or was found at start, is being sent
}

// take notes a message of a reader of everything.
func (l *ledger) take(c *cursor, msg *rightsizerv1.StreamEventsResponse) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch m := msg.GetMessage().(type) {
	case *rightsizerv1.StreamEventsResponse_Opened:
		l.opened(c, m.Opened)
	case *rightsizerv1.StreamEventsResponse_Lost:
		l.counts["losses told"]++
		c.position = m.Lost.GetTo()
	case *rightsizerv1.StreamEventsResponse_Synced:
		c.position, c.snapshot = msg.GetPosition(), false
	case *rightsizerv1.StreamEventsResponse_Heartbeat:
		if c.position != "" && c.position != msg.GetPosition() {
			l.blame("%s: a heartbeat moved from %s to %s over what it did not send", c.client, c.position, msg.GetPosition())
		}
		c.position = msg.GetPosition()
	case *rightsizerv1.StreamEventsResponse_Closing:
		l.counts["closings"]++
	case *rightsizerv1.StreamEventsResponse_Event:
		l.event(m.Event)
		if !c.snapshot {
			l.agree(l.idAt, msg.GetPosition(), m.Event.GetId(), "a position with two events")
			l.agree(l.at, fmt.Sprintf("life %d, id %s", c.life, m.Event.GetId()), msg.GetPosition(), "an event twice in one epoch")
			l.entry(c, msg.GetPosition())
		}
	default: // an incident, a resync
		if !c.snapshot { // before the first picture they come among events that are skipped here
			l.entry(c, msg.GetPosition())
		}
	}
}

func (l *ledger) opened(c *cursor, o *rightsizerv1.StreamOpened) {
	switch o.GetStart().(type) {
	case *rightsizerv1.StreamOpened_Reset_:
		l.counts["resets"]++
		c.position, c.snapshot = "", true
	case *rightsizerv1.StreamOpened_Gap:
		l.counts["gaps"]++
		c.position = ""
	default:
		l.counts["resumes"]++
	}
}

// entry notes that one follows another.
func (l *ledger) entry(c *cursor, position string) {
	l.counts["entries"]++
	if c.position != "" {
		l.agree(l.next, c.position, position, c.client+" missed something, or another did: after a position")
	}
	c.position = position
}

// event notes which cause an id stands for. Causes of containers' ends have one id
// for good; of what is judged over time only the other direction holds.
func (l *ledger) event(e *rightsizerv1.Event) {
	subject := fmt.Sprintf("%s %s %s/%s %s", e.GetType(), e.GetPhase(), e.GetNamespace(), e.GetObject().GetUid(), e.GetContainer())
	l.agree(l.cause, e.GetId(), subject, "an id with two causes")
	if e.GetOomKilled() != nil {
		l.agree(l.id, subject+" "+e.GetOccurredTime().AsTime().String(), e.GetId(), "a cause with two ids")
	}
}
