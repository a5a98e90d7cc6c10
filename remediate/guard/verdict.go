package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Outcome is what a guard wants, in rising severity.
type Outcome int

// The outcomes.
const (
	// Pass: nothing is in the way.
	Pass Outcome = iota
	// Approve: a person must approve it first.
	Approve
	// Export: the patch is handed out instead of being applied.
	Export
	// DryRun: it ends after a server-side dry run.
	DryRun
	// Wait: not now, but maybe at Verdict.Until.
	Wait
	// Stop: not at all.
	Stop
)

// String names the outcome.
func (o Outcome) String() string {
	switch o {
	case Pass:
		return "Pass"
	case Approve:
		return "Approve"
	case Export:
		return "Export"
	case DryRun:
		return "DryRun"
	case Wait:
		return "Wait"
	case Stop:
		return "Stop"
	}
	return fmt.Sprintf("Outcome(%d)", int(o))
}

// Number is a fact that a verdict rests on.
type Number struct {
	Name, Value string
	// OfCluster says that it tells of other namespaces too: it is for those who may
	// see all.
	OfCluster bool
}

// Verdict is what one guard says.
type Verdict struct {
	// Guard is its name.
	Guard   string
	Outcome Outcome
	// Reason is why, for a person; for Pass as well.
	Reason string
	// Numbers are what it rests on, at most 8.
	Numbers []Number
	// Until is when it is worth asking again, with Wait; zero where something
	// else than time must change.
	Until time.Time
}

// String is the verdict in one line, for whoever may see the workload: without the
// numbers of the cluster.
func (v Verdict) String() string {
	return v.text(func(n Number) bool { return !n.OfCluster })
}

// Evidence is the verdict in one line with all its numbers, for the audit.
func (v Verdict) Evidence() string {
	return v.text(func(Number) bool { return true })
}

func (v Verdict) text(shown func(Number) bool) string {
	var numbers []string
	for _, n := range v.Numbers {
		if shown(n) {
			numbers = append(numbers, n.Name+" "+n.Value)
		}
	}
	text := v.Guard + ": " + v.Outcome.String() + ": " + v.Reason
	if len(numbers) > 0 {
		text += " (" + strings.Join(numbers, ", ") + ")"
	}
	return text
}

// Result is what all guards say.
type Result struct {
	// Verdicts in the order of Guards, one each.
	Verdicts []Verdict
}

// Outcome is the most severe one.
func (r Result) Outcome() Outcome { return r.Decisive().Outcome }

// Decisive is the first verdict of the most severe outcome.
func (r Result) Decisive() Verdict {
	var worst Verdict
	for i, v := range r.Verdicts {
		if i == 0 || v.Outcome > worst.Outcome {
			worst = v
		}
	}
	return worst
}

// Until is when it is worth asking again after Wait: the latest time of those
// that wait; zero where one of them waits for something else than time.
func (r Result) Until() time.Time {
	var latest time.Time
	for _, v := range r.Verdicts {
		if v.Outcome != Wait {
			continue
		}
		if v.Until.IsZero() {
			return time.Time{}
		}
		if v.Until.After(latest) {
			latest = v.Until
		}
	}
	return latest
}

// Needs says whether a guard gave an outcome, whatever the others said: an
// approval can be asked for while a window is waited for.
func (r Result) Needs(o Outcome) bool {
	for _, v := range r.Verdicts {
		if v.Outcome == o {
			return true
		}
	}
	return false
}

// Guard is one guard: a name and what it says of facts.
type Guard struct {
	Name  string
	Check func(*Facts) Verdict
}

// Guards is every guard, in the order in which they are asked.
func Guards() []Guard {
	return slices.Concat([]Guard{
		{"reach", reach},
		{"freeze", freeze},
		{"mode", mode},
		{"risk", risk},
		{"cause_age", causeAge},
		{"warm_up", warmUp},
		{"rollout", rollout},
		{"window", window},
	}, lowering(), []Guard{
		{"oscillation", oscillation},
		{"leak", leak},
		{"breaker", breaker},
		{"cooldown", cooldown},
		{"budget", budget},
		{"disruption_budget", disruptionBudget},
		{"last_ready", lastReady},
		{"gitops", gitops},
	})
}

// lowering are those of less CPU and memory.
func lowering() []Guard {
	return []Guard{
		{"stale_usage", staleUsage},
		{"memory_floor", memoryFloor},
		{"memory_evidence", memoryEvidence},
	}
}

// Ask asks every guard. It does not change what f points to.
func Ask(f Facts) Result { return ask(f, Guards()) }

// AskLowering asks those of less CPU and memory alone, for what is taken back by itself:
// the others were asked when it was given.
func AskLowering(f Facts) Result { return ask(f, lowering()) }

// AskFloor asks memory_floor alone, where anything is known of what is used: nobody passes
// it, not who takes back what was given either.
func AskFloor(f Facts) Result {
	if max(f.Usage.MemoryBytes, f.Usage.MemoryPeakBytes) == 0 {
		return Result{}
	}
	return ask(f, []Guard{{"memory_floor", memoryFloor}})
}

func ask(f Facts, guards []Guard) Result {
	f.prepare()
	out := Result{Verdicts: make([]Verdict, 0, len(guards))}
	for _, g := range guards {
		v := g.Check(&f)
		v.Guard = g.Name
		out.Verdicts = append(out.Verdicts, v)
	}
	return out
}

func pass(format string, args ...any) Verdict {
	return Verdict{Outcome: Pass, Reason: fmt.Sprintf(format, args...)}
}

func stop(format string, args ...any) Verdict {
	return Verdict{Outcome: Stop, Reason: fmt.Sprintf(format, args...)}
}

func wait(until time.Time, format string, args ...any) Verdict {
	return Verdict{Outcome: Wait, Until: until, Reason: fmt.Sprintf(format, args...)}
}

func approve(format string, args ...any) Verdict {
	return Verdict{Outcome: Approve, Reason: fmt.Sprintf(format, args...)}
}

func (v Verdict) with(name string, value any) Verdict {
	v.Numbers = append(v.Numbers, Number{Name: name, Value: fmt.Sprint(value)})
	return v
}

// of is with, where the scope is the cluster's for those who may see all.
func (v Verdict) of(scope, name string, value any) Verdict {
	v = v.with(name, value)
	v.Numbers[len(v.Numbers)-1].OfCluster = scope == cluster
	return v
}

// cluster is the scope of all namespaces.
const cluster = "cluster"
