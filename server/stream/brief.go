package stream

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Bounds of an incident on a stream. As JSON it is below the 32 KiB that clients of
// WebSockets take of a message where nobody tells them otherwise; in the list it has
// four times as many members.
const (
	maxTold = 64
	// toldBytes is what its members may take together as JSON, about.
	toldBytes = 24 << 10
	// jsonNames is what one takes as JSON beyond its size in binary: names of fields
	// and of values, and times as text.
	jsonNames = 280
)

// briefly frames an incident with as many of its members as there is room for.
func briefly(encode encodeFunc) encodeFunc {
	return func(msg *rightsizerv1.StreamEventsResponse) ([]byte, error) {
		if in := msg.GetIncident(); in != nil {
			if short := brief(in); short != in {
				msg = &rightsizerv1.StreamEventsResponse{Position: msg.GetPosition(), Message: &rightsizerv1.StreamEventsResponse_Incident{Incident: short}}
			}
		}
		return encode(msg)
	}
}

// brief is an incident with its root, then what goes on, then the oldest of its
// members, in their order; itself where there is room for all. How many there are, it
// says anyway.
func brief(in *rightsizerv1.Incident) *rightsizerv1.Incident {
	members := in.GetMembers()
	rank := func(m *rightsizerv1.IncidentMember) int {
		switch {
		case m.GetProblemId() == in.GetRootProblemId():
			return 0
		case !over(m):
			return 1
		}
		return 2
	}
	order := make([]int, len(members))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank(members[a]), rank(members[b])) })
	size, n := 0, 0
	for ; n < min(len(order), maxTold); n++ {
		m := members[order[n]]
		if size += proto.Size(m) + escapes(m.GetMessage()) + jsonNames; size > toldBytes && n > 0 {
			break
		}
	}
	if n == len(members) {
		return in
	}
	slices.Sort(order[:n])
	short := &rightsizerv1.Incident{}
	to := short.ProtoReflect()
	in.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !field.IsList() {
			to.Set(field, v)
		}
		return true
	})
	for _, i := range order[:n] {
		short.Members = append(short.Members, members[i])
	}
	return short
}

// escapes is how many bytes a text has more as JSON; control characters it has none.
func escapes(text string) int { return strings.Count(text, `"`) + strings.Count(text, `\`) }
