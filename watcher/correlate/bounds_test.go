package correlate_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/correlate"
)

func TestOptions(t *testing.T) {
	for name, o := range map[string]correlate.Options{
		"linger": {Linger: time.Millisecond}, "keep": {Keep: time.Minute}, "settle": {Settle: time.Hour},
		"incidents": {MaxIncidents: -1}, "problems": {MaxProblems: 3},
	} {
		_, err := correlate.New(o)
		require.ErrorContains(t, err, "correlate options: ", name)
	}
}

// An effect that is seen first moves under its root, and whoever listens can
// follow it there.
func TestMerge(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(
		pod(clock(5, 0), point, "pod.evicted", "web", "a", on("n1"), evictedFor("taint")),
		pod(clock(5, 1), point, "pod.evicted", "api", "a", on("n1"), evictedFor("taint")),
	)
	require.Len(t, c.all, 2)
	older, younger := c.all[0].GetId(), c.all[1].GetId()
	c.see(node(clock(0, 0), opened, "node.not_ready", "n1"))
	in := c.only()
	assert.Equal(t, older, in.GetId(), "the incident whose first member is older goes on")
	assert.Equal(t, "node.not_ready n1", rootOf(in))
	gone := c.told[younger]
	assert.Equal(t, isOver, gone.GetState())
	assert.Equal(t, "Part of incident "+older+" now.", gone.GetSummary())
	assert.Equal(t, older, gone.GetMergedInto())
	assert.Empty(t, in.GetMergedInto())
	for _, m := range in.GetMembers() {
		assert.Equal(t, older, c.IncidentOf(m.GetProblemId()))
	}
	assert.Empty(t, c.IncidentOf("no such problem"))
	assert.Equal(t, []string{"pod.evicted"}, types(gone), "what it had, so that filters by namespace pass it")
	assert.Equal(t, older, c.all[len(c.all)-1].GetId(), "the last word has the incident that goes on")
}

func TestIdsAreThoseOfTheRoot(t *testing.T) {
	events := []*rightsizerv1.Event{
		node(clock(0, 0), opened, "node.not_ready", "n1"),
		pod(clock(5, 0), point, "pod.evicted", "web", "a", on("n1"), evictedFor("taint")),
	}
	a := correlator(t, correlate.Options{}).see(events...)
	b := correlator(t, correlate.Options{}).at(clock(20, 0)).see(events[0])
	assert.Equal(t, a.only().GetId(), b.only().GetId())
	assert.Regexp(t, "^[0-9a-f]{32}$", a.only().GetId())
	assert.NotEqual(t, a.only().GetRootProblemId(), a.only().GetId())
}

func TestWhatChangesNothingIsNotTold(t *testing.T) {
	c := correlator(t, correlate.Options{})
	kill := pod(clock(0, 0), point, "pod.oom_killed", "web", "a")
	c.see(kill, kill)
	assert.Len(t, c.all, 1)
	c.see(pod(clock(0, 0), over, "pod.crash_loop", "web", "unknown"))
	assert.Len(t, c.all, 1, "the end of what was not seen")
	assert.Nil(t, c.Observe(&rightsizerv1.Event{}, c.now))
	assert.Equal(t, correlate.Stats{Open: 1, Problems: 1, Failed: 1}, c.Stats())
}

// Details wait for Settle; an end, another root and a higher severity do not.
func TestSettle(t *testing.T) {
	c := correlator(t, correlate.Options{Settle: 10 * time.Second}).see(
		pod(clock(0, 0), opened, "pod.crash_loop", "web", "a"),
	)
	for n := range 5 {
		c.see(pod(clock(0, 1+n), updated, "pod.crash_loop", "web", "a", saying("", strconv.Itoa(n))))
	}
	require.Len(t, c.all, 1)
	assert.Equal(t, "4", c.only().GetMembers()[0].GetMessage(), "the list is up to date")
	c.at(clock(0, 30))
	require.Len(t, c.all, 2)
	assert.Equal(t, "4", c.all[1].GetMembers()[0].GetMessage())
	assert.Equal(t, start.Add(clock(0, 5)), c.all[1].GetUpdatedTime().AsTime(), "when it changed, not when it was told")
	c.see(pod(clock(0, 31), updated, "pod.crash_loop", "web", "a", as(critical)))
	require.Len(t, c.all, 3)
	c.see(pod(clock(0, 32), over, "pod.crash_loop", "web", "a"))
	require.Len(t, c.all, 4)
	assert.Equal(t, isOver, c.all[3].GetState())
	assert.Equal(t, critical, c.all[3].GetSeverity(), "the highest that there was")
}

func TestResolvedIncidentsAreKeptForAWhile(t *testing.T) {
	c := correlator(t, correlate.Options{}).see(pod(clock(0, 0), point, "pod.oom_killed", "web", "a"))
	assert.True(t, c.Next().Equal(start.Add(10*time.Minute)))
	c.at(clock(10, 0))
	assert.Equal(t, isOver, c.only().GetState())
	require.Len(t, c.all, 2)
	c.at(clock(69, 59))
	assert.Len(t, c.Incidents(), 1)
	c.at(clock(70, 0))
	assert.Empty(t, c.Incidents())
	assert.Zero(t, c.Stats())
	assert.Zero(t, c.Next())
	assert.Len(t, c.all, 2, "what leaves the list was told to be over")
}

func TestMembersBeyondTheBoundAreCounted(t *testing.T) {
	c := correlator(t, correlate.Options{})
	c.see(node(clock(0, 0), opened, "node.not_ready", "n1"))
	for n := range 300 {
		c.see(pod(clock(5, 0), point, "pod.evicted", "web", strconv.Itoa(n), on("n1"), evictedFor("taint")))
	}
	c.see(pod(clock(6, 0), opened, "pod.unschedulable.resources", "web", "last"))
	in := c.only()
	assert.Len(t, in.GetMembers(), 256)
	assert.Equal(t, int32(302), in.GetMemberCount())
	assert.Equal(t, "node.not_ready", types(in)[0])
	assert.Equal(t, "pod.unschedulable.resources", types(in)[255], "what goes on is listed first")
	assert.Contains(t, in.GetSummary(), "301 problems")
	assert.Less(t, len(c.all), 40, "a large incident is not told for each of its members")
}

// Who may read one namespace alone finds an incident by what is listed of it there,
// and whether that goes on.
func TestEachNamespaceIsListed(t *testing.T) {
	lost := func(namespace, name string) *rightsizerv1.Event {
		return event(clock(5, 0), point, "pod.evicted", "Pod", namespace, name, "", []change{on("n1"), evictedFor("taint")})
	}
	c := correlator(t, correlate.Options{}).see(node(clock(0, 0), opened, "node.not_ready", "n1"))
	for n := range 300 {
		c.see(lost("shop", strconv.Itoa(n)))
	}
	for n := range 100 {
		c.see(lost(fmt.Sprint("team-", n), fmt.Sprint("web-", n)), lost(fmt.Sprint("team-", n), fmt.Sprint("api-", n)))
	}
	for n := range 300 {
		c.see(event(clock(6, 0), opened, "pod.crash_loop", "Pod", "shop", fmt.Sprint("loop-", n), "", []change{on("n1")}))
	}
	c.see(event(clock(6, 1), opened, "pod.crash_loop", "Pod", "team-7", "last", "", []change{on("n1")}))
	in := c.only()
	require.Len(t, in.GetMembers(), 256)
	assert.Equal(t, int32(802), in.GetMemberCount())
	listed := make(map[string]rightsizerv1.Phase)
	for _, m := range in.GetMembers() {
		listed[m.GetNamespace()] = m.GetPhase()
	}
	assert.Len(t, listed, 102, "the node, shop and the teams")
	assert.Equal(t, opened, listed["team-7"], "what goes on there")
	assert.Equal(t, "node.not_ready n1", rootOf(in))

	unlisted := lost("shop", "299").GetProblemId()
	incident, namespace := c.Find(unlisted)
	assert.Equal(t, in.GetId(), incident)
	assert.Equal(t, "shop", namespace)
	incident, _ = c.Find("no such problem")
	assert.Empty(t, incident)
}

// A kill a minute for a day is one incident of bounded size.
func TestALongStormIsBounded(t *testing.T) {
	c := correlator(t, correlate.Options{})
	const kills = 24 * 60
	for n := range kills {
		c.see(pod(clock(n, 0), point, "pod.oom_killed", "web", "a", nth(strconv.Itoa(n))))
		require.LessOrEqual(t, c.Stats().Problems, 600)
	}
	c.see(pod(clock(kills, 0), opened, "pod.crash_loop", "web", "a"))
	in := c.only()
	assert.Equal(t, int32(kills+1), in.GetMemberCount())
	assert.Len(t, in.GetMembers(), 256)
	assert.Equal(t, start, in.GetOpenedTime().AsTime())
	assert.Equal(t, in.GetMembers()[0].GetProblemId(), in.GetRootProblemId())
	assert.Equal(t, "oom_storm", in.GetRule())
	c.see(pod(clock(kills, 1), over, "pod.crash_loop", "web", "a")).at(clock(kills+120, 0))
	assert.Empty(t, c.Incidents())
	assert.Zero(t, c.Stats().Problems)
}

func TestMaxIncidents(t *testing.T) {
	c := correlator(t, correlate.Options{MaxIncidents: 2}).see(
		pod(clock(0, 0), opened, "pod.crash_loop", "a", ""),
		pod(clock(0, 1), opened, "pod.crash_loop", "b", ""),
		pod(clock(0, 2), opened, "pod.crash_loop", "c", ""),
	)
	assert.Len(t, c.Incidents(), 2)
	assert.Equal(t, correlate.Stats{Open: 2, Problems: 3, Unlisted: 1}, c.Stats())
	c.see(
		pod(clock(0, 10), over, "pod.crash_loop", "a", ""),
		pod(clock(0, 20), updated, "pod.crash_loop", "c", "", saying("", "again")),
	)
	assert.Equal(t, correlate.Stats{Open: 2, Problems: 2, Dropped: 1}, c.Stats(), "what is over makes room")
	assert.Len(t, c.told, 3)
}

// What waits for room is listed as soon as there is some, without any news of it:
// as others are over and looked for, or have been kept for long enough.
func TestAnIncidentThatWaitsIsListed(t *testing.T) {
	c := correlator(t, correlate.Options{MaxIncidents: 2}).see(
		pod(clock(0, 0), opened, "pod.crash_loop", "a", ""),
		pod(clock(0, 1), opened, "pod.crash_loop", "b", ""),
		pod(clock(0, 2), opened, "pod.crash_loop", "c", ""),
		pod(clock(0, 3), opened, "pod.crash_loop", "d", ""),
		pod(clock(0, 4), opened, "pod.crash_loop", "e", ""),
		pod(clock(0, 10), over, "pod.crash_loop", "a", ""),
	)
	assert.Equal(t, correlate.Stats{Open: 2, Problems: 4, Unlisted: 2, Dropped: 1}, c.at(clock(10, 20)).Stats())
	assert.Len(t, c.told, 3)
	assert.Equal(t, "c", c.all[len(c.all)-1].GetMembers()[0].GetWorkload().GetName(), "the oldest first")

	c.see(pod(clock(10, 30), over, "pod.crash_loop", "d", "")) // One that waits is over: it is not told.
	c.see(pod(clock(10, 40), over, "pod.crash_loop", "b", "")).at(clock(20, 50))
	assert.Equal(t, correlate.Stats{Open: 2, Problems: 3, Dropped: 2}, c.Stats())
	assert.Len(t, c.told, 4)
	assert.Equal(t, "e", c.all[len(c.all)-1].GetMembers()[0].GetWorkload().GetName())
}

func TestMaxProblems(t *testing.T) {
	c := correlator(t, correlate.Options{MaxProblems: 16})
	for n := range 20 {
		c.see(pod(clock(0, n*3), opened, "pod.crash_loop", fmt.Sprint("app", n), ""))
	}
	assert.Equal(t, correlate.Stats{Open: 16, Problems: 16, Full: true, Refused: 4}, c.Stats())
	c.see(
		pod(clock(2, 0), over, "pod.crash_loop", "app0", ""),
		pod(clock(2, 5), opened, "pod.crash_loop", "another", ""),
	)
	assert.Equal(t, correlate.Stats{Open: 16, Problems: 16, Full: true, Refused: 4, Dropped: 1}, c.Stats())
}

// A place with more problems than are searched still ends in one incident, in
// bounded time.
func TestACrowdedPlace(t *testing.T) {
	c := correlator(t, correlate.Options{})
	for n := range 1000 {
		c.see(pod(clock(0, 0), opened, "pod.unschedulable.resources", "big", strconv.Itoa(n)))
	}
	c.see(pod(clock(0, 1), opened, "pod.unschedulable.resources", "other", "a"))
	c.see(node(clock(0, 2), opened, "node.full", "n1"))
	joined := int32(0)
	for _, in := range c.Incidents() {
		joined = max(joined, in.GetMemberCount())
	}
	assert.Greater(t, joined, int32(500))
	for n := range 1000 {
		c.see(pod(clock(1, 0), over, "pod.unschedulable.resources", "big", strconv.Itoa(n)))
	}
	c.see(pod(clock(1, 0), over, "pod.unschedulable.resources", "other", "a"), node(clock(1, 0), over, "node.full", "n1"))
	c.at(3 * time.Hour)
	assert.Zero(t, c.Stats())
}
