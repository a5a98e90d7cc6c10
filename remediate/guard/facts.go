package guard

import (
	"slices"
	"time"

	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Facts is everything that guards look at.
type Facts struct {
	// Now is the time of asking.
	Now time.Time
	// Operator is about the operator itself.
	Operator Operator
	// Policy governs the workload; policy.Default() where none does.
	Policy *policy.Policy
	// OutOfReach is why no policy reaches the namespace, from Set.OutOfReach.
	OutOfReach string
	// ClusterBudget is the budget over all actions in the cluster, from
	// Set.ClusterBudget; nil is DefaultClusterBudget.
	ClusterBudget *v1alpha1.Budget
	// Decision is what is to be done.
	Decision Decision
	// Workload is the live workload that it is to be done to.
	Workload Workload
	// Usage is what is measured of the container; the zero value is nothing.
	Usage Usage
	// History is every other Remediation of the cluster that began within
	// HistoryHorizon, in any order.
	History []Past
	// Limits are the guards' own thresholds; the zero value is DefaultLimits.
	Limits Limits
}

// Operator is about the operator itself.
type Operator struct {
	// Started is when this process began to see the whole cluster.
	Started time.Time
	// Frozen is why everything is stopped, empty where it is not: the reason
	// given with the freeze switch, or that the switch cannot be read.
	Frozen string
}

// Decision is what is to be done.
type Decision struct {
	// Name of the Remediation, which is left out of History.
	Name string
	// Action and Container as in its spec; Container is empty for an action on
	// the whole workload.
	Action    v1alpha1.ActionKind
	Container string
	// Person says that a person asked for it, not a policy.
	Person bool
	// Approved says that a valid approval was given: by somebody who may, for
	// this generation, in time.
	Approved bool
	// Risk as it was computed, by whoever asks.
	Risk v1alpha1.RiskLevel
	// Current and Desired are the container's size before and after; equal for
	// actions that change none.
	Current, Desired policy.Size
	// CurrentReplicas and DesiredReplicas are the workload's, for scale.
	CurrentReplicas, DesiredReplicas int32
	// Disrupts is how many pods the next effect restarts, evicts or replaces; 0
	// for a resize in place without a restart, and for an export.
	Disrupts int32
	// DisruptsReady is how many of these are ready now.
	DisruptsReady int32
	// Proposed is when the Remediation was made; zero before it is.
	Proposed time.Time
	// Cause is when what caused it happened; zero where a person asked for it
	// without naming a cause.
	Cause time.Time
	// OOM says that an OOM kill caused it.
	OOM bool
}

// Workload is the live workload.
type Workload struct {
	Namespace, Kind, Name, UID string
	// Replicas are wanted, Ready are ready.
	Replicas, Ready int32
	// GitOps names the tool that owns the manifests and would take a change of
	// the workload object back, such as "Argo CD"; empty where none is known.
	GitOps string
	// RollingOut says that a rollout is not complete. RolledOut is when the last
	// one was; zero where that is not known.
	RollingOut bool
	RolledOut  time.Time
	// Budgets are the PodDisruptionBudgets that cover its pods.
	Budgets []DisruptionBudget
}

// DisruptionBudget is one PodDisruptionBudget.
type DisruptionBudget struct {
	Name string
	// Allowed is status.disruptionsAllowed. It is 0 where the status is older
	// than the spec.
	Allowed int32
	// SparesReady says that the eviction API lets a running pod go that is not ready
	// though Allowed is 0: so many others are healthy as are wanted, or the budget
	// says so (unhealthyPodEvictionPolicy).
	SparesReady bool
}

// Usage is what is measured of the container over all pods of the workload.
type Usage struct {
	// Time of the latest sample; zero where there is none.
	Time time.Time
	// MemoryBytes is the largest working set of the latest samples.
	MemoryBytes int64
	// MemoryPeakBytes is the largest working set within the time that the
	// decision rests on.
	MemoryPeakBytes int64
	// MemorySamples is how many samples of memory the decision rests on.
	MemorySamples int64
	// LastOOM is when a container of that name was last OOM-killed in any pod of
	// the workload; zero where none is known.
	LastOOM time.Time
}

// Limits are the guards' own thresholds. Each is more than zero.
type Limits struct {
	// StartWarmUp is how long nothing is done after the operator's start.
	StartWarmUp time.Duration
	// RolloutWarmUp is how long nothing is lowered or disrupted after a rollout.
	RolloutWarmUp time.Duration
	// StaleAfter is the age of the latest sample above which nothing shrinks.
	StaleAfter time.Duration
	// MinMemorySamples is how many samples a lower memory needs to rest on.
	MinMemorySamples int64
	// RecentOOM is how long memory is not lowered after an OOM kill.
	RecentOOM time.Duration
	// MemoryMarginPercent and MemoryMarginBytes are kept free above what is
	// used, whichever is more.
	MemoryMarginPercent int32
	MemoryMarginBytes   int64
	// Reversals of direction within ReversalsWithin are oscillation.
	Reversals       int
	ReversalsWithin time.Duration
	// LeakRaises of memory within LeakWithin, each followed by an OOM kill, are
	// a leak.
	LeakRaises int
	LeakWithin time.Duration
	// BreakerWorkload verifications of one workload that failed one after the
	// other, the last within BreakerWithin, or BreakerCluster of the cluster
	// within BreakerWithin and more than half of all, open the circuit breaker. Of
	// the cluster's, raises of memory that led to a larger one are left out.
	BreakerWorkload int
	BreakerCluster  int
	BreakerWithin   time.Duration
}

// DefaultLimits are the thresholds where nothing else is said.
func DefaultLimits() Limits {
	return Limits{
		StartWarmUp: 10 * time.Second, RolloutWarmUp: 5 * time.Minute, StaleAfter: 5 * time.Minute,
		MinMemorySamples: 60, RecentOOM: 24 * time.Hour,
		MemoryMarginPercent: 15, MemoryMarginBytes: 16 << 20,
		Reversals: 2, ReversalsWithin: 6 * time.Hour,
		LeakRaises: 3, LeakWithin: 6 * time.Hour,
		BreakerWorkload: 3, BreakerCluster: 5, BreakerWithin: time.Hour,
	}
}

// DefaultClusterBudget is the budget over all actions in the cluster where no
// policy sets one.
func DefaultClusterBudget() v1alpha1.Budget {
	return v1alpha1.Budget{Per: v1alpha1.Of(10 * time.Minute), Actions: 1000, Disruptions: 20, Concurrent: 5}
}

// HistoryHorizon is how far back Remediations matter to a guard, at most: the
// longest budget, cooldown and threshold.
const HistoryHorizon = 30 * 24 * time.Hour

// Direction is where an action moves a value.
type Direction int

// The directions.
const (
	Lower Direction = iota - 1
	Same
	Raise
)

func direction(from, to int64) Direction {
	switch {
	case from == 0 || to == 0 || from == to:
		return Same
	case to > from:
		return Raise
	}
	return Lower
}

// limited is direction of a limit: one where there was none takes something away.
func limited(from, to int64) Direction {
	if from == 0 && to > 0 {
		return Lower
	}
	return direction(from, to)
}

// cpu and memory say where a decision moves the container's CPU and memory: a
// request that is lowered counts like a limit, since a node gives the room away.
func (d *Decision) cpu() Direction {
	return both(direction(d.Current.Requests.CPUMillis, d.Desired.Requests.CPUMillis), limited(d.Current.Limits.CPUMillis, d.Desired.Limits.CPUMillis))
}

func (d *Decision) memory() Direction {
	return both(direction(d.Current.Requests.MemoryBytes, d.Desired.Requests.MemoryBytes),
		limited(d.Current.Limits.MemoryBytes, d.Desired.Limits.MemoryBytes))
}

// Moves says where a decision moves the container's CPU and memory, and the
// workload's replicas.
func (d *Decision) Moves() (cpu, memory, replicas Direction) {
	return d.cpu(), d.memory(), direction(int64(d.CurrentReplicas), int64(d.DesiredReplicas))
}

// both is the more careful of two directions.
func both(a, b Direction) Direction {
	if a == Lower || b == Lower {
		return Lower
	}
	return max(a, b)
}

func (d *Decision) lowers() bool {
	return d.cpu() == Lower || d.memory() == Lower || d.DesiredReplicas < d.CurrentReplicas
}

func (d *Decision) raises() bool {
	return !d.lowers() && (d.cpu() == Raise || d.memory() == Raise || d.DesiredReplicas > d.CurrentReplicas)
}

// byPerson says that a person stands for it: asked for it, or approved it.
func (d *Decision) byPerson() bool { return d.Person || d.Approved }

// prepare fills in what may be left out, and drops what has no bearing.
func (f *Facts) prepare() {
	if f.Limits == (Limits{}) {
		f.Limits = DefaultLimits()
	}
	if f.Policy == nil {
		f.Policy = policy.Default()
	}
	if f.ClusterBudget == nil {
		b := DefaultClusterBudget()
		f.ClusterBudget = &b
	}
	others := make([]Past, 0, len(f.History))
	for i := range f.History {
		if f.History[i].Name != f.Decision.Name || f.History[i].Namespace != f.Workload.Namespace {
			others = append(others, f.History[i])
		}
	}
	slices.SortStableFunc(others, func(a, b Past) int { return a.Started.Compare(b.Started) })
	f.History = others
}
