package convert

import (
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/watcher/object"
)

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
		BootID:         Text(node.Status.NodeInfo.BootID, maxUID),
		Distribution:   distribution(node),
		CreateTime:     seconds(node.CreationTimestamp),
		Taints:         c.taints(node.Spec.Taints),
	}
	out.Address, out.KubeletPort = Text(address(node.Status.Addresses), maxName), node.Status.DaemonEndpoints.KubeletEndpoint.Port
	out.MetricsPath = Text(node.Annotations[metricsPath], maxName)
	if c.NodeGroupLabel != "" {
		out.Group = c.text(node.Labels[c.NodeGroupLabel], maxLabel)
	}
	if pods, ok := node.Status.Allocatable[corev1.ResourcePods]; ok {
		out.AllocatablePods = max(pods.Value(), 0)
	}
	if len(out.Taints) > 0 {
		out.TaintedAt = ownedSince(node.ManagedFields, `"f:taints"`)
	}
	if out.Unschedulable {
		out.CordonedAt = ownedSince(node.ManagedFields, `"f:unschedulable"`)
	}
	for i := range node.Status.Conditions {
		c.nodeCondition(out, &node.Status.Conditions[i])
	}
	sort.Strings(out.Pressures)
	return out, nil
}

// metricsPath is the annotation by which a node names the path of its resource
// metrics; metrics-server heeds it as well.
const metricsPath = "metrics.k8s.io/resource-metrics-path"

// address is where a node is reached from inside the cluster: its internal
// address, else a name, else the external one.
func address(all []corev1.NodeAddress) string {
	for _, kind := range []corev1.NodeAddressType{
		corev1.NodeInternalIP, corev1.NodeInternalDNS, corev1.NodeHostName, corev1.NodeExternalIP, corev1.NodeExternalDNS,
	} {
		for _, a := range all {
			if a.Type == kind && a.Address != "" {
				return a.Address
			}
		}
	}
	return ""
}

// nodeCondition keeps Ready, and what is wrong.
func (c *Converter) nodeCondition(out *object.Node, cond *corev1.NodeCondition) {
	isTrue := cond.Status == corev1.ConditionTrue
	if cond.Type == corev1.NodeReady && isTrue {
		out.Ready = true
	}
	if isTrue && strings.HasSuffix(string(cond.Type), "Pressure") && len(out.Pressures) < 8 {
		out.Pressures = append(out.Pressures, c.text(string(cond.Type), maxVersion))
	}
	switch cond.Type {
	case corev1.NodeReady:
	case corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure, corev1.NodeNetworkUnavailable:
		if !isTrue {
			return
		}
	default:
		return
	}
	if out.Condition(string(cond.Type)) != nil {
		return // A type occurs once; what a broken client adds is not counted twice.
	}
	out.Conditions = append(out.Conditions, c.statusCondition(string(cond.Type), string(cond.Status), cond.Reason, cond.Message,
		cond.LastTransitionTime))
}

// statusCondition shares all but the message, which is kept only where it tells of
// something else than the normal.
func (c *Converter) statusCondition(kind, status, reason, message string, since metav1.Time) object.StatusCondition {
	out := object.StatusCondition{
		Type: c.text(kind, maxReason), Status: status, Reason: c.text(reason, maxReason), Since: seconds(since),
	}
	switch status {
	case object.ConditionTrue:
		out.Status = object.ConditionTrue
	case object.ConditionFalse:
		out.Status = object.ConditionFalse
	default:
		out.Status = object.ConditionUnknown
	}
	if kind != string(corev1.NodeReady) || out.Status != object.ConditionTrue {
		out.Message = Text(message, maxCondition)
	}
	return out
}

// taints keeps at most object.MaxTaints.
func (c *Converter) taints(taints []corev1.Taint) []object.Taint {
	if len(taints) == 0 {
		return nil
	}
	out := make([]object.Taint, 0, min(len(taints), object.MaxTaints))
	for i := range taints[:min(len(taints), object.MaxTaints)] {
		t := &taints[i]
		taint := object.Taint{
			Key: c.text(t.Key, maxTaintKey), Value: c.text(t.Value, maxLabel), Effect: c.text(string(t.Effect), maxPhase),
		}
		if t.TimeAdded != nil {
			taint.Since = seconds(*t.TimeAdded)
		}
		out = append(out, taint)
	}
	return out
}

// ownedSince is when the last owner of a field wrote it, by managedFields; 0
// where nobody is known to. No parse: the field's name with its quotes and
// prefix cannot stand for anything else in a node's spec.
func ownedSince(entries []metav1.ManagedFieldsEntry, field string) int64 {
	var at int64
	for i := range entries {
		e := &entries[i]
		if e.Time == nil || e.FieldsV1 == nil || !strings.Contains(e.FieldsV1.GetRawString(), field) {
			continue
		}
		at = max(at, seconds(*e.Time))
	}
	return at
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
