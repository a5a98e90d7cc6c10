package correlate

import (
	"math/bits"
	"slices"
	"strings"
	"time"
)

// window is how far links reach in time unless they say otherwise.
const window = 10 * time.Minute

// Rule knows one kind of cause and what follows from it.
type Rule interface {
	// Name is the rule's name in Incident.rule.
	Name() string
	// Links are how the rule finds effects.
	Links() []Link
	// Leads says that an incident bears the rule's name.
	Leads(in *Picture) bool
	// Summary is one sentence about such an incident.
	Summary(in *Picture) string
}

// Rules lists the rules, the most telling first.
func Rules() []Rule {
	return []Rule{
		nodeDown{}, memoryPressure{}, image{}, quota{}, capacity{}, rollout{}, oomStorm{}, workload{},
	}
}

// Link says that problems of some types cause problems of others in one place.
type Link struct {
	// Causes and Effects are types; one that ends in `*` stands for all that
	// begin so.
	Causes, Effects []string
	// Before is how long before its cause an effect may begin (clocks differ,
	// and some causes are noticed late); After how long after the end of its
	// cause, which for a POINT is the moment it occurred.
	Before, After time.Duration
	// Confidence in percent, and on what it rests.
	Confidence int
	Basis      string

	by scope
	// crowd: one workload alone is its own affair.
	crowd bool
	// fits says what types, place and time cannot; nil is nothing.
	fits func(cause, effect *problem) bool
}

// Place is what cause and effect share: node, workload, image, quota, cluster.
func (l *Link) Place() string { return l.by.String() }

// Crowd says that the link counts only where problems of several workloads meet:
// for one that has it to a problem of another workload.
func (l *Link) Crowd() bool { return l.crowd }

// link is a Link in force.
type link struct {
	Link
	rule uint8 // its place in Rules
	bit  uint32
}

// noRule is no rule, restRule the default, the last of Rules.
const (
	noRule   = 255
	restRule = 7
)

// holds says that the link leads from cause to effect.
func (l *link) holds(cause, effect *problem) bool {
	if effect.opened < cause.opened-int64(l.Before) ||
		cause.end != forever && effect.opened > cause.end+int64(l.After) {
		return false
	}
	return l.fits == nil || l.fits(cause, effect)
}

// kind is what the rules make of a type.
type kind struct {
	tier            uint8
	causes, effects uint32 // links, as bits
	// intent is what somebody wanted: a cause, never a problem by itself.
	intent bool
}

// rulebook is the links of all rules but the last, which is the default.
type rulebook struct {
	rules []Rule
	links []link
	kinds map[string]*kind
	// by are the links of each scope, as bits, the default's apart.
	by [scopes]uint32
	// crowds are the links that need a crowd, as bits.
	crowds uint32
	// rest is the default's link.
	rest link
}

// maxKinds bounds the types that are remembered; a cluster has some dozens.
const maxKinds = 1024

func newRulebook() *rulebook {
	b := &rulebook{rules: Rules(), kinds: make(map[string]*kind)}
	last := len(b.rules) - 1
	for i, r := range b.rules[:last] {
		for _, l := range r.Links() {
			bit := uint32(1) << len(b.links)
			b.links = append(b.links, link{Link: l, rule: uint8(i), bit: bit})
			b.by[l.by] |= bit
			if l.crowd {
				b.crowds |= bit
			}
		}
	}
	b.rest = link{Link: b.rules[last].Links()[0], rule: uint8(last)}
	return b
}

// lowest is the first of some links.
func (b *rulebook) lowest(set uint32) *link { return &b.links[bits.TrailingZeros32(set)] }

func (b *rulebook) kindOf(typ string) *kind {
	k := b.kinds[typ]
	if k != nil {
		return k
	}
	k = &kind{tier: tier(typ), intent: slices.Contains(rolloutStarted, typ)}
	for i := range b.links {
		l := &b.links[i]
		if matches(l.Causes, typ) {
			k.causes |= l.bit
		}
		if matches(l.Effects, typ) {
			k.effects |= l.bit
		}
	}
	if len(b.kinds) < maxKinds {
		b.kinds[strings.Clone(typ)] = k
	}
	return k
}

// leading is the rule whose name an incident bears.
func (b *rulebook) leading(in *Picture) Rule {
	last := len(b.rules) - 1
	for _, r := range b.rules[:last] {
		if r.Leads(in) {
			return r
		}
	}
	return b.rules[last]
}

func matches(patterns []string, typ string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(typ, prefix)
		}
		return typ == pattern
	})
}
