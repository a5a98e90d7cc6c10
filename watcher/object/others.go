package object

import "cmp"

// Owner is a controller that an object names in its ownerReferences.
type Owner struct {
	Kind string
	Name string
	UID  string
}

// Controller is a watched object that owns pods, directly or through others.
type Controller struct {
	Key
	Kind string
	UID  string
	// Parent is the controller's own controller; nil at the top.
	Parent *Owner
	// Desired is how many pods it asks for; 0 where its kind, or the form in
	// which it is watched, does not say.
	Desired    int32
	CreateTime int64
}

// Node is one machine.
type Node struct {
	Name          string
	UID           string
	Ready         bool
	Unschedulable bool
	// Pressures are the conditions *Pressure that are True, sorted, at most 8.
	Pressures      []string
	Allocatable    Resources
	ProviderID     string
	InstanceType   string
	Zone           string
	KubeletVersion string
	// Distribution is what the node's labels and kubelet version say about the
	// kind of cluster where providerID does not: k3s, kind, ...; else empty.
	Distribution string
	CreateTime   int64
}

// KubeEvent is a Kubernetes Event, stripped.
type KubeEvent struct {
	// Kind, Key and UID of the object that it is about.
	Kind string
	Key
	UID string
	// Container by the object's fieldPath; empty where it names none.
	Container string
	Reason    string
	// Restarting tells the BackOff of a container's restart from that of an
	// image pull, which has the same reason.
	Restarting bool
	// Time is when it last happened.
	Time int64
}

// WorkloadKey names a workload: the controller at the top of a pod's owners. A
// bare pod is its own.
type WorkloadKey struct {
	Namespace string
	Kind      string
	Name      string
}

// Compare orders by namespace, kind and name.
func (k WorkloadKey) Compare(other WorkloadKey) int {
	return cmp.Or(
		cmp.Compare(k.Namespace, other.Namespace),
		cmp.Compare(k.Kind, other.Kind),
		cmp.Compare(k.Name, other.Name),
	)
}
