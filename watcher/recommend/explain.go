package recommend

import (
	"fmt"
	"strconv"
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Explain words the formula with its numbers, so that a person can recompute the
// target; at most 4,096 bytes.
func (r *Result) Explain() string {
	if r.State == NoData {
		return "Nothing was measured yet."
	}
	var b strings.Builder
	r.explainCPU(&b)
	r.explainMemory(&b)
	if texts := r.BoundTexts(); len(texts) > 0 {
		fmt.Fprintf(&b, "bound by %s.\n", strings.Join(texts, "; "))
	}
	if r.Groups > 1 {
		fmt.Fprintf(&b, "measured in %d groups of nodes: of each resource, what the group asks for that needs most.\n", r.Groups)
	}
	return b.String()
}

func (r *Result) explainCPU(b *strings.Builder) {
	if r.CPUState == NoData {
		return
	}
	c, room, factor := &r.CPU, "", ""
	if c.Room > 0 {
		room, factor = " × (1 + room of a raise)", " × "+number(1+c.Room)
	}
	fmt.Fprintf(b, "cpu request = quantile %s of use, newer samples weighing more (half after 24 h) × (1 + margin)%s = %s × %s%s = %s → %s.\n",
		number(c.Quantile), room, cores(c.Level), number(1+c.Margin), factor, cores(c.Raw), cores(float64(r.Requests.CPUMillis)))
	if c.LimitRatio > 0 {
		fmt.Fprintf(b, "cpu limit = request × (limit / request in force) = %s × %s → %s.\n",
			cores(float64(r.Requests.CPUMillis)), number(c.LimitRatio), cores(float64(r.Limits.CPUMillis)))
	}
}

func (r *Result) explainMemory(b *strings.Builder) {
	if r.MemoryState == NoData {
		return
	}
	m := &r.Memory
	fmt.Fprintf(b, "memory request and limit = (level × (1 + margin) + typical × %s) × multiplier = (%s × %s + %s × %s) × %s = %s",
		number(m.TypicalMargin), mebi(m.Level), number(1+m.Margin), mebi(m.Typical), number(m.TypicalMargin), number(m.Multiplier), mebi(m.formula()))
	if m.startupBinds() {
		fmt.Fprintf(b, ", but at least the highest while starting × (1 + margin) × multiplier = %s × %s × %s", mebi(m.StartupPeak), number(1+m.Margin), number(m.Multiplier))
	}
	if m.OOMFloor > 0 {
		hold := "until a run has ended"
		if m.OOMHold > 0 {
			hold = "for " + number(m.OOMHold.Hours()) + " h"
		}
		fmt.Fprintf(b, ", but at least %s %s after an OOM kill (the limit of then × %s = %s × %s, and the highest seen, %s)",
			mebi(m.OOMFloor), hold, number(m.OOMBump), mebi(m.OOMLimit), number(m.OOMBump), mebi(m.OOMHighest))
	}
	fmt.Fprintf(b, " → %s", mebi(float64(r.Requests.MemoryBytes)))
	if r.Limits.MemoryBytes != r.Requests.MemoryBytes {
		fmt.Fprintf(b, ", limit %s", mebi(float64(r.Limits.MemoryBytes)))
	}
	why := "it costs least to hold it and risk the"
	if m.Soon {
		why = "the next hours alone need it, with a risk of the"
	}
	fmt.Fprintf(b, ".\nlevel: of %d windows (a day from this hour on, of each of the last days, and the last hours) %s %s of them, by weight, that went above; the highest was %s.\n",
		m.Windows, why, percent(m.Exceeded), mebi(m.Highest))
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', 5, 64) }

func cores(millis float64) string { return number(millis) + "m" }

func mebi(bytes float64) string { return strconv.FormatFloat(bytes/(1<<20), 'f', 1, 64) + " MiB" }

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + " %" }

// terms lists the numbers in the order of the formula.
func (r *Result) terms() []*rightsizerv1.FormulaTerm {
	if r.State == NoData {
		return nil
	}
	c, m := &r.CPU, &r.Memory
	var out []*rightsizerv1.FormulaTerm
	add := func(resource, name string, value float64, unit, meaning string) {
		out = append(out, &rightsizerv1.FormulaTerm{Resource: resource, Name: name, Value: value, Unit: unit, Meaning: meaning})
	}
	if r.CPUState != NoData {
		add("cpu", "quantile", c.Quantile, "", "share of samples that the level covers, newer ones weighing more")
		add("cpu", "level", c.Level, "millicores", "use at that quantile")
		add("cpu", "margin", c.Margin, "", "added as a share of the level")
		add("cpu", "room", c.Room, "", "added by a raise, as a share of all that; 0 where none is due")
		add("cpu", "raw", c.Raw, "millicores", "target before bounds")
		if c.LimitRatio > 0 {
			add("cpu", "limit_ratio", c.LimitRatio, "", "limit by request in force, which the limit keeps")
		}
	}
	if r.MemoryState == NoData {
		return out
	}
	add("memory", "windows", float64(m.Windows), "", "stretches of hours that were weighed")
	add("memory", "highest", m.Highest, "bytes", "the highest of them")
	add("memory", "level", m.Level, "bytes", "the one at which memory held and OOM kills risked cost least")
	add("memory", "exceeded", m.Exceeded, "", "weighted share of windows above the level")
	add("memory", "margin", m.Margin, "", "added as a share of the level; more while history is short")
	add("memory", "typical", m.Typical, "bytes", "mean of the highest of every two hours")
	add("memory", "typical_margin", m.TypicalMargin, "", "added as a share of the typical; less where the highest is hardly above it")
	add("memory", "startup_peak", m.StartupPeak, "bytes", "the highest while starting")
	if m.OOMFloor > 0 {
		add("memory", "oom_limit", m.OOMLimit, "bytes", "the limit of the last OOM kill; 0 where it is not known")
		add("memory", "oom_bump", m.OOMBump, "", "by how much that limit is multiplied; more where use was uneven")
		add("memory", "oom_highest", m.OOMHighest, "bytes", "the highest seen, which is the least after a kill")
		add("memory", "oom_hold", m.OOMHold.Hours(), "hours", "for how long; 0 is until a run has ended")
	}
	add("memory", "oom_floor", m.OOMFloor, "bytes", "what a recent OOM kill asks for; 0 where there is none")
	add("memory", "need", m.Need, "bytes", "target of the next hours alone")
	add("memory", "multiplier", m.Multiplier, "", "of the target")
	add("memory", "raw", m.Raw, "bytes", "target before bounds")
	return out
}
