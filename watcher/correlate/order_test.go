package correlate_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"pgregory.net/rapid"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/correlate"
)

// story draws problems that meet in few places, so that most rules apply and
// compete, each with its events in their order.
func story(t *rapid.T) [][]*rightsizerv1.Event {
	drawType := rapid.SampledFrom([]string{
		"node.not_ready", "node.rebooted", "node.pressure.memory", "node.full", "quota.exceeded", "deployment.rollout_started",
		"pod.oom_killed", "pod.oom_killed", "pod.crash_loop", "pod.restarted", "pod.evicted", "pod.image_pull.not_found",
		"pod.image_pull.other", "pod.unschedulable.resources", "pod.unschedulable.affinity", "pod.probe_failed.liveness",
		"pod.config_error", "deployment.unavailable", "deployment.stuck", "hpa.at_maximum", "node.tainted",
	})
	drawApp := rapid.SampledFrom([]string{"web", "api", "job"})
	drawNode := rapid.SampledFrom([]string{"n1", "n2"})
	var out [][]*rightsizerv1.Event
	for n := range rapid.IntRange(2, 24).Draw(t, "problems") {
		typ := drawType.Draw(t, "type")
		at := clock(0, rapid.IntRange(0, 40*60).Draw(t, "at"))
		length := clock(0, rapid.IntRange(0, 30*60).Draw(t, "length"))
		app, on1 := drawApp.Draw(t, "app"), drawNode.Draw(t, "node")
		changes := []change{nth(strconv.Itoa(n)), on(on1), as(rapid.SampledFrom([]rightsizerv1.Severity{warning, failure, critical}).Draw(t, "severity"))}
		make1 := func(at time.Duration, phase rightsizerv1.Phase) *rightsizerv1.Event {
			switch {
			case strings.HasPrefix(typ, "node."):
				return node(at, phase, typ, on1, changes...)
			case strings.HasPrefix(typ, "pod."):
				return pod(at, phase, typ, app, "p", changes...)
			}
			return of(at, phase, typ, app, append(changes, on(""))...)
		}
		switch typ {
		case "deployment.rollout_started", "node.tainted":
			changes = append(changes, as(info))
			fallthrough
		case "pod.oom_killed", "pod.evicted", "node.rebooted", "pod.restarted":
			if typ == "pod.evicted" {
				changes = append(changes, evictedFor(rapid.SampledFrom([]string{"memory", "taint", "preemption"}).Draw(t, "cause")))
			}
			if typ == "pod.oom_killed" {
				changes = append(changes, limit(rapid.Int64Range(0, 1).Draw(t, "limit")))
			}
			out = append(out, []*rightsizerv1.Event{make1(at, point)})
			continue
		case "pod.image_pull.not_found", "pod.image_pull.other":
			changes = append(changes, pulling(rapid.SampledFrom([]string{"i", "j"}).Draw(t, "image")))
		case "quota.exceeded":
			changes = append(changes, refusedBy(rapid.SampledFrom([]string{"q", "r"}).Draw(t, "quota")))
		}
		life := []*rightsizerv1.Event{make1(at, opened)}
		if rapid.Bool().Draw(t, "ends") {
			life = append(life, make1(at+length, over))
		}
		out = append(out, life)
	}
	return out
}

// arrive puts the events in an order in which each comes at most 10 min after it
// occurred, those of one problem in their order.
func arrive(t *rapid.T, label string, lives [][]*rightsizerv1.Event) []*rightsizerv1.Event {
	type arrival struct {
		at time.Time
		ev *rightsizerv1.Event
	}
	var in []arrival
	for _, life := range lives {
		var last time.Time
		for _, ev := range life {
			at := ev.GetOccurredTime().AsTime().Add(clock(0, rapid.IntRange(0, 600).Draw(t, label)))
			if at.Before(last) {
				at = last
			}
			last = at
			in = append(in, arrival{at, ev})
		}
	}
	slices.SortStableFunc(in, func(a, b arrival) int { return a.at.Compare(b.at) })
	out := make([]*rightsizerv1.Event, len(in))
	for n := range in {
		out[n] = in[n].ev
	}
	return out
}

// describe is all of the incidents that must not depend on the order: ids and
// the times of changes may.
func describe(list []*rightsizerv1.Incident) []string {
	var out []string
	for _, in := range list {
		var members []string
		for _, m := range in.GetMembers() {
			members = append(members, fmt.Sprint(m.GetType(), m.GetProblemId()[:6], m.GetPhase(), m.GetSeverity(), m.GetOpenedTime().AsTime()))
		}
		out = append(out, fmt.Sprint(in.GetRootProblemId()[:6], in.GetRule(), in.GetState(), in.GetSeverity(), in.GetConfidence(), in.GetSummary(),
			in.GetMemberCount(), in.GetOpenedTime().AsTime(), in.GetResolvedTime().AsTime(), members))
	}
	slices.Sort(out)
	return out
}

func TestTheOrderOfArrivalDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lives := story(rt)
		var first []string
		for n, label := range []string{"this", "that"} {
			c := correlator(t, correlate.Options{Linger: time.Hour, Keep: 24 * time.Hour})
			for _, ev := range arrive(rt, label, lives) {
				c.see(ev)
			}
			c.at(clock(90, 0))
			got := describe(c.Incidents())
			if n == 0 {
				first = got
				continue
			}
			require.Equal(rt, first, got)
		}
	})
}

// Whoever listens and forgets nothing knows in the end what is listed: no
// incident that was told stays open unless it is, and a problem is in the
// incident that listed it last.
func TestListenersKnowWhatIsListed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := correlator(t, correlate.Options{})
		for _, ev := range arrive(rt, "delay", story(rt)) {
			c.see(ev)
			require.LessOrEqual(rt, len(c.Incidents()), len(c.told))
		}
		c.at(clock(70, 30)) // So that nothing waits to settle.
		listed := make(map[string]bool)
		for _, in := range c.Incidents() {
			listed[in.GetId()] = true
			require.Equal(rt, describe([]*rightsizerv1.Incident{c.told[in.GetId()]}), describe([]*rightsizerv1.Incident{in}))
		}
		lastIn := make(map[string]string)
		for _, in := range c.all {
			for _, m := range in.GetMembers() {
				lastIn[m.GetProblemId()] = in.GetId()
			}
		}
		for id, in := range c.told {
			if !listed[id] {
				require.Equal(rt, isOver, in.GetState(), in)
			}
		}
		for _, in := range c.Incidents() {
			for _, m := range in.GetMembers() {
				require.Equal(rt, in.GetId(), lastIn[m.GetProblemId()])
			}
		}
	})
}

// Who may see all members of an incident is shown it whole: it must tell of no
// namespace but theirs, neither while it goes on nor when another takes it in.
func TestIncidentsTellOfTheirMembersNamespacesAlone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lives := story(rt)
		known := make(map[string]bool)
		for _, life := range lives {
			for _, ev := range life {
				if app := ev.GetWorkload().GetName(); app != "" {
					ev.Namespace = "team-" + app
					known[ev.GetNamespace()] = true
				}
			}
		}
		c := correlator(t, correlate.Options{})
		for _, ev := range arrive(rt, "delay", lives) {
			c.see(ev)
		}
		c.at(clock(70, 30))
		for _, in := range c.all {
			text := prototext.Format(in)
			for namespace := range known {
				if !slices.ContainsFunc(in.GetMembers(), func(m *rightsizerv1.IncidentMember) bool { return m.GetNamespace() == namespace }) {
					require.NotContains(rt, text, namespace)
				}
			}
		}
	})
}
