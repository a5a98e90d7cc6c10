package detect

import (
	"strconv"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// Machine is a node with what its pods need of it. Values are shared and never
// change.
type Machine struct {
	*object.Node
	Load object.NodeLoad
	// Full says that the requests came to Thresholds.NodeFullPercent and have
	// not fallen by more than fullSlack since. AdvanceMachine sets it.
	Full bool
	// FullSince is when it was found full; 0 while it is not.
	FullSince int64
	// FullChanges counts how often since then it ran out of places for pods, or had
	// some again.
	FullChanges int32
}

// NodeInput is a node at one moment.
type NodeInput = Input[Machine]

// NodeSubject describes a node. Its tags are zone and instance_type.
func NodeSubject(in *NodeInput) Subject {
	n := in.Cur
	return Subject{
		Kind: "Node", Key: object.Key{Name: n.Name}, UID: n.UID, Node: n.Name,
		Tags: map[string]string{"zone": n.Zone, "instance_type": n.InstanceType},
	}
}

// AdvanceNode completes cur with what is remembered from prev, nil where the
// node is seen for the first time: when it was cordoned, since when it is not
// ready, whether it ever was, and when taints came. atStart says that the node
// was there before the watcher. It writes to cur, which nobody else may have
// seen yet.
func AdvanceNode(prev, cur *object.Node, atStart bool, grace time.Duration, now time.Time) {
	if prev != nil && prev.UID != cur.UID {
		prev = nil
	}
	switch {
	case prev != nil:
		cur.WasReady = prev.WasReady || prev.Ready
	case atStart:
		// An old node that is not ready has been so once; a young one may still
		// be starting.
		cur.WasReady = cur.Ready || !young(cur, grace, now)
	}
	switch {
	case cur.Ready:
		cur.NotReadySince = 0
	case prev != nil && prev.NotReadySince > 0:
		cur.NotReadySince = prev.NotReadySince // False became Unknown: one problem.
	default:
		cur.NotReadySince = now.Unix()
		if ready := cur.Condition("Ready"); ready != nil && ready.Since > 0 {
			cur.NotReadySince = ready.Since
		}
	}
	switch {
	case !cur.Unschedulable:
		cur.CordonedAt = 0
	case prev != nil && prev.Unschedulable:
		cur.CordonedAt = prev.CordonedAt
	case cur.CordonedAt == 0:
		cur.CordonedAt = now.Unix()
	}
	advanceTaints(prev, cur, now)
}

// advanceTaints dates taints that were seen to come. Those that were there as
// the node was first seen are its own, unless they say when they came.
func advanceTaints(prev, cur *object.Node, now time.Time) {
	if prev == nil {
		return
	}
	for i := range cur.Taints {
		taint, known := &cur.Taints[i], false
		for j := range prev.Taints {
			if taint.Same(&prev.Taints[j]) {
				taint.Since, known = prev.Taints[j].Since, true
			}
		}
		if !known && taint.Since == 0 {
			taint.Since = now.Unix()
			if cur.TaintedAt > 0 {
				taint.Since = min(cur.TaintedAt, now.Unix())
			}
		}
	}
}

// young says that a node may still be starting.
func young(n *object.Node, grace time.Duration, now time.Time) bool {
	return now.Unix() < n.CreateTime+inSeconds(grace)
}

// fullSlack is by how many percent points the requests on a full node must fall
// for it not to be full any more: one pod that comes and goes is no news.
const fullSlack = 5

// AdvanceMachine sets Full, which the requests of now and, between the two
// bounds, the state before decide, and FullSince.
func AdvanceMachine(prev, cur *Machine, t *Thresholds, now time.Time) {
	percent := cur.percent()
	cur.Full = percent >= int64(t.NodeFullPercent) ||
		prev != nil && prev.Full && prev.UID == cur.UID && percent >= int64(t.NodeFullPercent)-fullSlack
	cur.Full = cur.Full || cur.noPlace()
	switch {
	case !cur.Full:
		cur.FullSince, cur.FullChanges = 0, 0
	case prev != nil && prev.Full && prev.UID == cur.UID:
		cur.FullSince, cur.FullChanges = prev.FullSince, prev.FullChanges
		if prev.noPlace() != cur.noPlace() {
			cur.FullChanges++
		}
	default:
		cur.FullSince, cur.FullChanges = now.Unix(), 0
	}
}

// noPlace says that the node takes no further pod, whatever its size.
func (m *Machine) noPlace() bool {
	return m.AllocatablePods > 0 && m.Load.Pods >= m.AllocatablePods
}

// percent is the larger share of CPU and memory that is requested.
func (m *Machine) percent() int64 {
	return max(
		share(m.Load.Requested.CPUMillis, m.Allocatable.CPUMillis),
		share(m.Load.Requested.MemoryBytes, m.Allocatable.MemoryBytes),
	)
}

// share in percent, cut; 0 of nothing.
func share(part, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	return int64(float64(part) / float64(whole) * 100)
}

// unix is a time in a problem's id.
func unix(at int64) string {
	return strconv.FormatInt(at, 10)
}

// conditionDetails of a condition.
func conditionDetails(c *object.StatusCondition) *rightsizerv1.ConditionDetails {
	return &rightsizerv1.ConditionDetails{
		Type: c.Type, Status: c.Status, Reason: c.Reason, Message: c.Message, SinceTime: moment(c.Since),
	}
}
