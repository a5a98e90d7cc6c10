package correlate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxSummary bounds a summary, in bytes, by the schema.
const maxSummary = 1024

// lone is the confidence, in percent, where nothing confirms the root.
const lone = 50

// Picture is what a rule may say of an incident.
type Picture struct {
	root    *problem
	members []*problem // older first, the root among them
	total   int        // with those that are forgotten
}

func (in *Picture) rootIs(types ...string) bool { return slices.Contains(types, in.root.typ) }

func (in *Picture) rootIsLike(prefix string) bool { return strings.HasPrefix(in.root.typ, prefix) }

// confidence is the mean over the members but the root, 0 to 1.
func (in *Picture) confidence() float64 {
	sum, n := 0, 0
	for _, p := range in.members {
		if p != in.root {
			sum, n = sum+p.sure, n+1
		}
	}
	if n == 0 {
		sum, n = lone, 1
	}
	// Whole percents: more digits would claim more than the figures can bear.
	return float64((sum+n/2)/n) / 100
}

// count is how many members are of a type.
func (in *Picture) count(typ string) int {
	n := 0
	for _, p := range in.members {
		if p.typ == typ {
			n++
		}
	}
	return n
}

// owners are the workloads of the members, in the order of their first problems.
func (in *Picture) owners() []key {
	var out []key
	seen := make(map[key]bool)
	for _, p := range in.members {
		k, _ := p.at(byWorkload)
		if k.kind != kindNode && !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	return out
}

func (in *Picture) workloads() int { return len(in.owners()) }

// whose names the workloads, at most three.
func (in *Picture) whose() string {
	const most = 3
	owners := in.owners()
	names := make([]string, 0, most)
	for _, k := range owners[:min(len(owners), most)] {
		names = append(names, titleOf(k))
	}
	if more := len(owners) - most; more > 0 {
		return strings.Join(names, ", ") + " and " + plural(more, "more workload")
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	return strings.Join(names, "")
}

// followed tells what is put down to the root; empty where nothing is.
func (in *Picture) followed() string {
	n := in.total - 1
	if n == 0 {
		return ""
	}
	out := "; " + plural(n, "problem")
	if whose := in.whose(); whose != "" {
		out += " of " + whose
	}
	if n == 1 {
		return out + " is put down to it"
	}
	return out + " are put down to it"
}

// kinds counts the members by type, the most frequent first, at most four types.
func (in *Picture) kinds() string {
	const most = 4
	counts := make(map[string]int)
	for _, p := range in.members {
		if !p.kind.intent {
			counts[p.typ]++
		}
	}
	types := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	parts := make([]string, 0, most+1)
	for _, t := range types[:min(len(types), most)] {
		parts = append(parts, fmt.Sprintf("%d × %s", counts[t], t))
	}
	if more := len(types) - most; more > 0 {
		parts = append(parts, plural(more, "more type"))
	}
	return strings.Join(parts, ", ")
}

// title names the workload of a problem.
func (p *problem) title() string {
	k, _ := p.at(byWorkload)
	return titleOf(k)
}

func titleOf(k key) string {
	if k.namespace == "" {
		return k.kind + " " + k.name
	}
	return k.kind + " " + k.namespace + "/" + k.name
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func isAre(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return plural(n, what) + " are"
}

// cut shortens a text to at most n bytes, at a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	const mark = "…"
	n -= len(mark)
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + mark
}
