package convert

import (
	"errors"
	"sort"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/watcher/object"
)

var errNil = errors.New("no object")

// Node converts one node. It fails where its name or UID is missing.
func (c *Converter) Node(node *corev1.Node) (*object.Node, error) {
	if node == nil {
		return nil, errNil
	}
	if err := identity("Node", "", node.Name, node.UID, false); err != nil {
		return nil, err
	}
	out := &object.Node{
		Name:           c.strings.of(node.Name),
		UID:            string(node.UID),
		Unschedulable:  node.Spec.Unschedulable,
		Allocatable:    amounts(node.Status.Allocatable),
		ProviderID:     Text(node.Spec.ProviderID, maxName),
		InstanceType:   c.text(node.Labels[corev1.LabelInstanceTypeStable], 128),
		Zone:           c.text(node.Labels[corev1.LabelTopologyZone], 128),
		KubeletVersion: c.text(node.Status.NodeInfo.KubeletVersion, maxVersion),
		Distribution:   distribution(node),
		CreateTime:     seconds(node.CreationTimestamp),
	}
	for i := range node.Status.Conditions {
		cond := &node.Status.Conditions[i]
		if cond.Status != corev1.ConditionTrue {
			continue
		}
		switch {
		case cond.Type == corev1.NodeReady:
			out.Ready = true
		case strings.HasSuffix(string(cond.Type), "Pressure") && len(out.Pressures) < 8:
			out.Pressures = append(out.Pressures, c.text(string(cond.Type), maxVersion))
		}
	}
	sort.Strings(out.Pressures)
	return out, nil
}

// distribution recognises clusters whose nodes carry no providerID.
func distribution(node *corev1.Node) string {
	version := node.Status.NodeInfo.KubeletVersion
	switch {
	case strings.Contains(version, "+k3s"):
		return "k3s"
	case strings.Contains(version, "+rke2"):
		return "rke2"
	case node.Labels["type"] == "kwok" || strings.HasPrefix(version, "kwok-"):
		return "kwok"
	}
	return ""
}

// Controller converts a controller that is watched as metadata alone
// (ReplicaSet, Job, CronJob). It fails where its name, namespace or UID is
// missing.
func (c *Converter) Controller(kind string, meta *metav1.PartialObjectMetadata) (*object.Controller, error) {
	if meta == nil {
		return nil, errNil
	}
	return c.controller(kind, &meta.ObjectMeta, 0)
}

// Deployment converts a Deployment; see Controller.
func (c *Converter) Deployment(d *appsv1.Deployment) (*object.Controller, error) {
	if d == nil {
		return nil, errNil
	}
	return c.controller("Deployment", &d.ObjectMeta, replicas(d.Spec.Replicas))
}

// StatefulSet converts a StatefulSet; see Controller.
func (c *Converter) StatefulSet(s *appsv1.StatefulSet) (*object.Controller, error) {
	if s == nil {
		return nil, errNil
	}
	return c.controller("StatefulSet", &s.ObjectMeta, replicas(s.Spec.Replicas))
}

// DaemonSet converts a DaemonSet, which asks for a pod on each node that suits
// it; see Controller.
func (c *Converter) DaemonSet(d *appsv1.DaemonSet) (*object.Controller, error) {
	if d == nil {
		return nil, errNil
	}
	return c.controller("DaemonSet", &d.ObjectMeta, max(d.Status.DesiredNumberScheduled, 0))
}

// replicas unset means 1, the API's default.
func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return max(*n, 0)
}

func (c *Converter) controller(kind string, meta *metav1.ObjectMeta, desired int32) (*object.Controller, error) {
	if err := identity(kind, meta.Namespace, meta.Name, meta.UID, true); err != nil {
		return nil, err
	}
	return &object.Controller{
		Key:        object.Key{Namespace: c.strings.of(meta.Namespace), Name: meta.Name},
		Kind:       kind,
		UID:        string(meta.UID),
		Parent:     c.controllerOf(meta.OwnerReferences),
		Desired:    desired,
		CreateTime: seconds(meta.CreationTimestamp),
	}, nil
}

// KubeEvent converts a Kubernetes Event. It never fails: an Event that names
// nothing usable is evidence of nothing.
func (c *Converter) KubeEvent(e *corev1.Event) *object.KubeEvent {
	if e == nil {
		return &object.KubeEvent{}
	}
	at := max(seconds(e.LastTimestamp), seconds(metav1.Time(e.EventTime)))
	if e.Series != nil {
		at = max(at, seconds(metav1.Time(e.Series.LastObservedTime)))
	}
	if at == 0 {
		at = seconds(e.CreationTimestamp)
	}
	return &object.KubeEvent{
		Kind: c.text(e.InvolvedObject.Kind, maxKind),
		Key: object.Key{
			Namespace: c.text(e.InvolvedObject.Namespace, maxNamespace),
			Name:      Text(e.InvolvedObject.Name, maxName),
		},
		UID:        Text(string(e.InvolvedObject.UID), maxUID),
		Container:  c.text(containerOfPath(e.InvolvedObject.FieldPath), maxContainer),
		Reason:     c.text(e.Reason, maxReason),
		Restarting: strings.HasPrefix(e.Message, "Back-off restarting"),
		Time:       at,
	}
}

// containerOfPath reads `spec.containers{app}`.
func containerOfPath(path string) string {
	_, rest, ok := strings.Cut(path, "{")
	if !ok {
		return ""
	}
	container, _, ok := strings.Cut(rest, "}")
	if !ok {
		return ""
	}
	return container
}

// controllerOf is the reference marked as the controller; nil where there is
// none or it is not usable as a name.
func (c *Converter) controllerOf(refs []metav1.OwnerReference) *object.Owner {
	for i := range refs {
		ref := &refs[i]
		if ref.Controller == nil || !*ref.Controller {
			continue
		}
		if name("kind", ref.Kind, maxKind) != nil || name("name", ref.Name, maxName) != nil {
			return nil
		}
		return c.owners.of(object.Owner{
			Kind: c.strings.of(ref.Kind),
			Name: ref.Name,
			UID:  Text(string(ref.UID), maxUID),
		})
	}
	return nil
}

// ownerTable lets the pods of one controller share its reference; bounded in
// the same way as interner.
type ownerTable struct {
	mu       sync.Mutex
	young    map[object.Owner]*object.Owner
	previous map[object.Owner]*object.Owner
}

func newOwnerTable() *ownerTable {
	return &ownerTable{young: make(map[object.Owner]*object.Owner)}
}

func (t *ownerTable) of(o object.Owner) *object.Owner {
	t.mu.Lock()
	defer t.mu.Unlock()
	if shared, ok := t.young[o]; ok {
		return shared
	}
	shared, ok := t.previous[o]
	if !ok {
		shared = &o
	}
	if len(t.young) >= internLimit {
		t.previous = t.young
		t.young = make(map[object.Owner]*object.Owner)
	}
	t.young[*shared] = shared
	return shared
}
