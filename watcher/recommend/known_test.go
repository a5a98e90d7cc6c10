package recommend_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// large is what is asked for by a container that needs 100m and 100 MiB.
var large = object.Allotment{
	Requests: object.Resources{CPUMillis: 900, MemoryBytes: 1 << 30}, Limits: object.Resources{CPUMillis: 1800, MemoryBytes: 1 << 30},
}

// What is not known of one resource is not nothing, and says nothing of the other.
func TestWhatIsNotMeasuredStays(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for name, c := range map[string]struct {
		cpu, memory               func(hour int) float64
		cpuState, memoryState     recommend.State
		cpuChanges, memoryChanges bool
	}{
		"no CPU":          {flat(nan), flat(100 << 20), recommend.NoData, recommend.Ready, false, true},
		"no memory":       {flat(100), flat(nan), recommend.Ready, recommend.NoData, true, false},
		"CPU fell silent": {until(40, 100), flat(100 << 20), recommend.Stale, recommend.Ready, false, true},
		"memory did":      {flat(100), until(40, 100<<20), recommend.Ready, recommend.Stale, true, false},
		"CPU is new":      {from(46, 100), flat(100 << 20), recommend.WarmingUp, recommend.Ready, false, true},
		"memory is new":   {flat(100), from(46, 100<<20), recommend.Ready, recommend.WarmingUp, true, false},
		"both":            {flat(100), flat(100 << 20), recommend.Ready, recommend.Ready, true, true},
	} {
		in := input(observed(48, c.cpu, c.memory))
		in.Current = large
		r := recommend.Recommend(in)
		assert.Equal(t, []recommend.State{recommend.Ready, c.cpuState, c.memoryState}, []recommend.State{r.State, r.CPUState, r.MemoryState}, name)
		assert.Equal(t, []bool{c.cpuChanges, c.memoryChanges}, []bool{r.ChangeCPU, r.ChangeMemory}, name)
		if c.cpuState == recommend.NoData || c.cpuState == recommend.Stale {
			assert.Equal(t, large.Requests.CPUMillis, r.Requests.CPUMillis, name)
			assert.Equal(t, large.Limits.CPUMillis, r.Limits.CPUMillis, name)
		}
		if c.memoryState == recommend.NoData || c.memoryState == recommend.Stale {
			assert.Equal(t, large.Requests.MemoryBytes, r.Requests.MemoryBytes, name)
			assert.Equal(t, large.Limits.MemoryBytes, r.Limits.MemoryBytes, name)
		}
		assert.NotContains(t, r.Explain(), "NaN", name)
	}
}

func until(hour int, x float64) func(int) float64 {
	return func(h int) float64 {
		if h < hour {
			return x
		}
		return math.NaN()
	}
}

func from(hour int, x float64) func(int) float64 {
	return func(h int) float64 {
		if h >= hour {
			return x
		}
		return math.NaN()
	}
}

// An autoscaler on memory keeps the request; what is used bounds the limit.
func TestAnAutoscalerOnMemoryDoesNotCutTheLimit(t *testing.T) {
	t.Parallel()
	in := input(observed(48, flat(100), flat(1536<<20)))
	in.Current = object.Allotment{
		Requests: object.Resources{CPUMillis: 110, MemoryBytes: 1 << 30}, Limits: object.Resources{MemoryBytes: 2 << 30},
	}
	for name, surround := range map[string]func(*recommend.Context){
		"HPA":   func(c *recommend.Context) { c.HPAMemory = true },
		"quota": func(c *recommend.Context) { c.Quota.MemoryRequests = true },
	} {
		in.Context = recommend.Context{Replicas: 1}
		surround(&in.Context)
		r := recommend.Recommend(in)
		assert.EqualValues(t, 1<<30, r.Requests.MemoryBytes, name)
		assert.Greater(t, r.Limits.MemoryBytes, int64(1536<<20), name)
		assert.False(t, r.ChangeMemory, name)
		assert.Less(t, r.OOMRisk, 0.2, name)
	}
}

// Between two runs of a CronJob nothing is measured, and nothing is stale.
func TestWhatRunsNowAndThenIsNotStaleBetween(t *testing.T) {
	t.Parallel()
	in := input(observed(48, flat(100), flat(100<<20)))
	in.Current = large
	ended := in.Now
	in.Now = ended.Add(20 * time.Hour)
	require.Equal(t, recommend.Stale, recommend.Recommend(in).State)
	in.Context.WorkloadKind, in.Context.RunEnded = "CronJob", ended
	r := recommend.Recommend(in)
	assert.Equal(t, recommend.Ready, r.State)
	assert.Equal(t, 20*time.Hour+time.Minute, r.DataAge, "it is that old all the same")
	assert.True(t, r.ChangeMemory && r.ChangeCPU)
	in.Context.RunEnded = ended.Add(2 * time.Hour)
	assert.Equal(t, recommend.Stale, recommend.Recommend(in).State, "a run went unmeasured")
	in.Context.RunEnded = time.Time{}
	assert.Equal(t, recommend.Stale, recommend.Recommend(in).State, "a run goes on unmeasured")
	in.Context.WorkloadKind, in.Context.RunEnded = "Deployment", ended
	assert.Equal(t, recommend.Stale, recommend.Recommend(in).State)
}

// The answer to a kill of a run stands until the next has ended.
func TestAKillOfARunIsAnsweredInTheNext(t *testing.T) {
	t.Parallel()
	in := input(observed(48, flat(100), flat(100<<20)))
	killed := in.Now
	in.Sketch.ObserveOOM(killed.Unix(), 120<<20)
	in.Current.Limits.MemoryBytes = 120 << 20
	in.Now = killed.Add(20 * time.Hour)
	in.Context.WorkloadKind, in.Context.RunEnded, in.Context.RunBegan = "CronJob", killed, killed.Add(-time.Minute)
	r := recommend.Recommend(in)
	assert.GreaterOrEqual(t, r.Limits.MemoryBytes, int64(240<<20))
	assert.True(t, r.ChangeMemory)
	assert.Contains(t, r.Explain(), "until a run has ended after an OOM kill")
	in.Context.RunBegan = killed.Add(time.Hour)
	r = recommend.Recommend(in)
	assert.Zero(t, r.Memory.OOMFloor)
	assert.Less(t, r.Limits.MemoryBytes, int64(240<<20))
}

// After an absence that nothing is held from, it warms up anew.
func TestALongAbsenceIsFollowedByAWarmUp(t *testing.T) {
	t.Parallel()
	s := observed(72, flat(100), flat(100<<20))
	back := s.Last() + 11*86400
	for i := range int64(10) {
		s.Observe(usage.Sample{Time: back + 60*i, CPUMillis: 10, MemoryBytes: 10 << 20, Age: usage.Unknown})
	}
	in := input(s)
	in.Current = large
	r := recommend.Recommend(in)
	assert.Equal(t, recommend.WarmingUp, r.State)
	assert.False(t, r.ChangeCPU || r.ChangeMemory)
	assert.Less(t, r.Confidence, 0.1)
}

// A sample from a time to come is no word of now.
func TestWhatWasMeasuredInTimeToComeIsStale(t *testing.T) {
	t.Parallel()
	in := input(observed(48, flat(100), flat(100<<20)))
	in.Current = large
	in.Now = time.Unix(in.Sketch.Last()-30, 0)
	assert.Equal(t, recommend.Ready, recommend.Recommend(in).State)
	in.Now = in.Now.Add(-time.Hour)
	r := recommend.Recommend(in)
	assert.Equal(t, recommend.Stale, r.State)
	assert.False(t, r.ChangeCPU || r.ChangeMemory)
	assert.Equal(t, large.Requests, r.Requests)
}

// Of groups that are measured apart the neediest counts, also while nothing is heard of
// it: its kills are answered, and what it needed does not shrink.
func TestASilentGroupIsNotForgotten(t *testing.T) {
	t.Parallel()
	silent, small := observed(48, flat(900), flat(1<<30)), observed(50, flat(100), flat(100<<20))
	at := func(now time.Time) (*recommend.Input, recommend.Result) {
		joined, groups := recommend.Neediest([]usage.Sketch{*silent, *small}, now)
		in := input(joined)
		in.Context.Groups = groups
		size := object.Resources{CPUMillis: 1800, MemoryBytes: 2 << 30}
		in.Now, in.Current = now, object.Allotment{Requests: size, Limits: size}
		return in, recommend.Recommend(in)
	}
	now := time.Unix(small.Last()+60, 0)
	in, r := at(now)
	assert.Equal(t, []recommend.State{recommend.Stale, recommend.Stale}, []recommend.State{r.CPUState, r.MemoryState})
	assert.Equal(t, in.Current.Requests, r.Requests)
	assert.False(t, r.ChangeCPU || r.ChangeMemory)
	assert.Contains(t, r.Explain(), "in 2 groups of nodes")

	silent.ObserveOOM(now.Unix(), 2<<30)
	_, r = at(now)
	assert.EqualValues(t, 1, r.OOMKills)
	assert.True(t, r.ChangeMemory)
	assert.GreaterOrEqual(t, r.Limits.MemoryBytes, int64(4<<30))

	// Nor is it waited for for ever: it may have no pods any more.
	for small.Last() < silent.Last()+11*86400 {
		small.Observe(usage.Sample{Time: small.Last() + 300, CPUMillis: 100, MemoryBytes: 100 << 20, Age: usage.Unknown})
	}
	_, r = at(time.Unix(small.Last()+60, 0))
	assert.NotContains(t, r.Explain(), "groups of nodes")
	assert.True(t, r.ChangeCPU && r.ChangeMemory)
	assert.Less(t, r.Limits.MemoryBytes, int64(200<<20))
}

// What is not heard of one replica holds what it is silent about.
func TestASilentReplicaHoldsWhatItHas(t *testing.T) {
	t.Parallel()
	in := input(observed(48, flat(100), flat(100<<20)))
	in.Current = large
	in.Context.SilentCPU = true
	r := recommend.Recommend(in)
	assert.Equal(t, []bool{false, true}, []bool{r.ChangeCPU, r.ChangeMemory})
	assert.True(t, r.Bound.Has(recommend.StaleCPU))
	in.Context.SilentCPU, in.Context.SilentMemory = false, true
	r = recommend.Recommend(in)
	assert.Equal(t, []bool{true, false}, []bool{r.ChangeCPU, r.ChangeMemory})
	assert.True(t, r.Bound.Has(recommend.StaleMemory))
	in.Current.Requests.MemoryBytes, in.Current.Limits.MemoryBytes = 50<<20, 50<<20
	assert.True(t, recommend.Recommend(in).ChangeMemory, "a raise")
}
