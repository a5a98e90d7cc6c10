package object

import "cmp"

// Owner is a controller that an object names in its ownerReferences.
type Owner struct {
	Kind string
	Name string
	UID  string
}

// KubeEvent is a Kubernetes Event, stripped. None is stored.
type KubeEvent struct {
	// Kind, Key and UID of the object that it is about. The namespace is the
	// Event's, a node's as well. Kubelets write the name of a node in place of its
	// UID, or none.
	Kind string
	Key
	UID string
	// Container by the object's fieldPath; empty where it names none.
	Container string
	Reason    string
	// Message is cut at 512 bytes.
	Message string
	// Source is the component that says it.
	Source string
	// First and Last are when it happened first and last.
	First int64
	Last  int64
	// Count is how often it happened, at least 1.
	Count int32
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
