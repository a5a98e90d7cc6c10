package watcher

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/rightsizer/rightsizer/watcher/convert"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// resource is one kind of object that is watched.
type resource struct {
	// name is the plural, as in health (`watch/pods`) and metrics.
	name string
	path string
	// metadata asks for metadata alone.
	metadata bool
	// expected is an example of what the reflector delivers.
	expected runtime.Object
	// kind of a controller; empty for others.
	kind string
	// needed says that Ready depends on it.
	needed bool
	// optional says that a role need not allow it: it is a shortcoming, no
	// failure.
	optional bool
	// late says that it is told under the names of controllers, and waits for these.
	late bool
	// hides is what may come and go unseen while it is not watched, for the
	// Resync marker of a loss. Everything that is watched feeds events, so none
	// is empty.
	hides   string
	convert func(*convert.Converter, any) (any, error)
}

// What may come and go while nobody watches; see resource.hides.
const (
	hidesPods       = "states that were overwritten, such as all ends of a container but the last, and the last states of what was deleted"
	hidesNodes      = "conditions, taints and cordons that came and went, and the last states of what was deleted"
	hidesRollouts   = "rollouts and changes of scale that were overtaken, conditions that came and went, and the last states of what was deleted"
	hidesJobs       = "Jobs that failed and were deleted"
	hidesOwners     = "owners that came and went: their pods are told under the name that the pods themselves give"
	hidesConditions = "conditions that came and went, and the last states of what was deleted"
	hidesEvidence   = "what Kubernetes Events alone tell and did not repeat: probes, volumes, sandboxes, refusals, kills on nodes"
)

// The resources. Pods come last: they are read after the controllers and Kubernetes
// Events, see Options.OwnerWait, and so are disruption budgets.
func resources() []*resource {
	return []*resource{
		{
			name: nodesResource, path: "/api/v1/nodes", expected: &corev1.Node{}, needed: true, hides: hidesNodes,
			convert: typed((*convert.Converter).Node),
		},
		{
			name: "deployments", path: "/apis/apps/v1/deployments", expected: &appsv1.Deployment{}, kind: "Deployment",
			hides:   hidesRollouts,
			convert: typed((*convert.Converter).Deployment),
		},
		{
			name: "statefulsets", path: "/apis/apps/v1/statefulsets", expected: &appsv1.StatefulSet{}, kind: "StatefulSet",
			hides:   hidesRollouts,
			convert: typed((*convert.Converter).StatefulSet),
		},
		{
			name: "daemonsets", path: "/apis/apps/v1/daemonsets", expected: &appsv1.DaemonSet{}, kind: "DaemonSet",
			hides:   hidesRollouts,
			convert: typed((*convert.Converter).DaemonSet),
		},
		metadataResource("replicasets", "/apis/apps/v1/replicasets", "ReplicaSet", hidesOwners),
		{
			name: "jobs", path: "/apis/batch/v1/jobs", expected: &batchv1.Job{}, kind: "Job",
			hides:   hidesJobs,
			convert: typed((*convert.Converter).Job),
		},
		metadataResource("cronjobs", "/apis/batch/v1/cronjobs", "CronJob", hidesOwners),
		{
			name: autoscalersResource, path: "/apis/autoscaling/v2/horizontalpodautoscalers",
			expected: &autoscalingv2.HorizontalPodAutoscaler{}, optional: true, hides: hidesConditions,
			convert: typed((*convert.Converter).Autoscaler),
		},
		{
			name: budgetsResource, path: "/apis/policy/v1/poddisruptionbudgets",
			expected: &policyv1.PodDisruptionBudget{}, optional: true, late: true, hides: hidesConditions,
			convert: typed((*convert.Converter).Budget),
		},
		{
			name: podsResource, path: "/api/v1/pods", expected: &corev1.Pod{}, needed: true, late: true, hides: hidesPods,
			convert: typed((*convert.Converter).Pod),
		},
	}
}

const (
	podsResource        = "pods"
	eventsResource      = "events"
	autoscalersResource = "horizontalpodautoscalers"
	budgetsResource     = "poddisruptionbudgets"
)

const (
	kindPod = "Pod"
	// kindNode is the one kind of object that Kubernetes Events name by other than
	// its UID.
	kindNode = "Node"
)

// kubeEvents are watched without a store, see kubeevents.go.
func kubeEvents() *resource {
	return &resource{name: eventsResource, path: "/api/v1/events", expected: &corev1.Event{}, hides: hidesEvidence}
}

func metadataResource(name, path, kind, hides string) *resource {
	return &resource{
		name: name, path: path, metadata: true, expected: &metav1.PartialObjectMetadata{}, kind: kind, hides: hides,
		convert: func(c *convert.Converter, obj any) (any, error) {
			meta, ok := obj.(*metav1.PartialObjectMetadata)
			if !ok {
				return nil, unexpected(obj)
			}
			return c.Controller(kind, meta)
		},
	}
}

// typed adapts a conversion of one type to any.
func typed[In, Out any](f func(*convert.Converter, *In) (*Out, error)) func(*convert.Converter, any) (any, error) {
	return func(c *convert.Converter, obj any) (any, error) {
		in, ok := obj.(*In)
		if !ok {
			return nil, unexpected(obj)
		}
		return f(c, in)
	}
}

func unexpected(obj any) error {
	return fmt.Errorf("unexpected object %T", obj)
}

// keyOf names an object before it is converted.
func keyOf(obj any) object.Key {
	if meta, ok := obj.(metav1.Object); ok {
		return object.Key{Namespace: meta.GetNamespace(), Name: meta.GetName()}
	}
	return object.Key{}
}
