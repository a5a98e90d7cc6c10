package stream

import (
	"hash/maphash"

	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// cuts are hashes of what a session was shown last of incidents that it may not
// see whole: what changes elsewhere must not show as a message that says the same.
type cuts struct {
	told map[string]uint64
	// enough is how many are remembered before those are forgotten whose incidents
	// are: these come under no such id again.
	enough int
}

const (
	fewCuts = 64
	// maxCuts bounds them. Beyond it all is forgotten, and what did not change may be
	// told once more.
	maxCuts = 1024
)

var cutSeed = maphash.MakeSeed()

// fresh says that a cut differs from the last, and remembers it. known returns the
// ids of all incidents there are.
func (c *cuts) fresh(in *rightsizerv1.Incident, known func() map[string]struct{}) bool {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(in)
	if err != nil {
		return true // it will fail to be sent as well, and be told
	}
	sum := maphash.Bytes(cutSeed, text)
	last, ok := c.told[in.GetId()]
	if ok && last == sum {
		return false
	}
	if !ok && len(c.told) >= max(c.enough, fewCuts) {
		c.forget(known())
	}
	if c.told == nil {
		c.told = make(map[string]uint64)
	}
	c.told[in.GetId()] = sum
	return true
}

// forget drops what is not known any more, or everything where too much is.
func (c *cuts) forget(known map[string]struct{}) {
	for id := range c.told {
		if _, ok := known[id]; !ok {
			delete(c.told, id)
		}
	}
	if len(c.told) >= maxCuts {
		clear(c.told)
	}
	c.enough = min(2*len(c.told), maxCuts)
}

// knownIncidents are the ids of those that are listed.
func (h *Hub) knownIncidents() map[string]struct{} {
	known := make(map[string]struct{})
	if h.opts.Incidents == nil {
		return known
	}
	for _, in := range h.opts.Incidents.Incidents() {
		known[in.GetId()] = struct{}{}
	}
	return known
}
