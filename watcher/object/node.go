package object

// Node is one machine.
type Node struct {
	Name          string
	UID           string
	Ready         bool
	Unschedulable bool
	// Pressures are the conditions *Pressure that are True, sorted, at most 8.
	Pressures []string
	// Conditions are Ready, and of MemoryPressure, DiskPressure, PIDPressure and
	// NetworkUnavailable those that are True.
	Conditions []StatusCondition
	Taints     []Taint
	// TaintedAt is when the list of taints was written last; 0 where nobody is known
	// to have.
	TaintedAt   int64
	Allocatable Resources
	// AllocatablePods is how many pods it takes; 0 where it does not say.
	AllocatablePods int64
	// Address is where its kubelet is reached, KubeletPort at which port; empty and
	// 0 where it does not say. MetricsPath is that of its resource metrics, where
	// the node names one.
	Address     string
	KubeletPort int32
	MetricsPath string
	// Group is the value of the label by which DaemonSets are measured apart.
	Group          string
	ProviderID     string
	InstanceType   string
	Zone           string
	KubeletVersion string
	BootID         string
	// Distribution is what the node's labels and kubelet version say about the
	// kind of cluster where providerID does not: k3s, kind, ...; else empty.
	Distribution string
	CreateTime   int64

	// What detect.AdvanceNode remembers from one status to the next:

	// CordonedAt is when the node was made unschedulable; 0 where it is not.
	CordonedAt int64
	// NotReadySince is when it was last found not ready; 0 while it is ready.
	NotReadySince int64
	// WasReady says that the node was ready at some time, as far as known.
	WasReady bool
}

// Condition finds a condition by type; nil where it is not held.
func (n *Node) Condition(conditionType string) *StatusCondition {
	return findCondition(n.Conditions, conditionType)
}

// MaxTaints bounds the taints of one node that are kept.
const MaxTaints = 32

// Taint keeps pods off a node.
type Taint struct {
	Key    string
	Value  string
	Effect string
	// Since is when it was added; 0 where nobody knows, for then it may have
	// been there from the node's start.
	Since int64
}

// Same says that both are one taint, whenever added.
func (t *Taint) Same(other *Taint) bool {
	return t.Key == other.Key && t.Value == other.Value && t.Effect == other.Effect
}

// NodeLoad is what the pods on a node that have not ended need of it.
type NodeLoad struct {
	Requested, Limits Resources
	Pods              int64
	// Movable pods are those that a drain evicts: neither a DaemonSet's nor
	// static ones.
	Movable int64
}

// LoadOf is what a pod adds to the load of a node, and which; nothing for nil
// and for a pod that is not bound or has ended. Amounts are capped, so that sums
// over pods can be taken back: a saturated sum could not.
func LoadOf(p *Pod) (load NodeLoad, node string) {
	if p == nil || p.Node == "" || p.Ended() {
		return NodeLoad{}, ""
	}
	const most = 1 << 50 // 1 PiB; a node's pods, 110 or a few hundred, stay far below 1<<63.
	capped := func(r Resources) Resources {
		return Resources{CPUMillis: min(r.CPUMillis, most), MemoryBytes: min(r.MemoryBytes, most)}
	}
	load = NodeLoad{Requested: capped(p.Requests), Limits: capped(p.Limits), Pods: 1}
	if p.Movable() {
		load.Movable = 1
	}
	return load, p.Node
}

// Movable says that a drain would evict the pod.
func (p *Pod) Movable() bool {
	return p.Owner == nil || p.Owner.Kind != "DaemonSet" && p.Owner.Kind != "Node"
}

// StatusCondition is one condition of an object's status.
type StatusCondition struct {
	Type string
	// Status is True, False or Unknown.
	Status  string
	Reason  string
	Message string
	// Since is its lastTransitionTime.
	Since int64
}

// The values of StatusCondition.Status.
const (
	ConditionTrue    = "True"
	ConditionFalse   = "False"
	ConditionUnknown = "Unknown"
)

func findCondition(conditions []StatusCondition, conditionType string) *StatusCondition {
	for i := range conditions {
		if conditions[i].Type == conditionType {
			return &conditions[i]
		}
	}
	return nil
}
