package detect

import (
	"github.com/rightsizer/rightsizer/watcher/object"
)

// Subject is the object that findings and events are about.
type Subject struct {
	Kind string
	object.Key
	UID string
	// Workload is the controller at the top of its owners; without a kind where
	// there is none (nodes).
	Workload object.WorkloadKey
	// Node is the machine on which it happens; empty where there is none.
	Node string
	// Episode tells the events of one rollout of the workload from those of
	// another: part of the correlation id. Empty stands for the UID.
	Episode string
	// Tags are pairs to filter by, at most 31; values are cut and cleaned as
	// they are published.
	Tags map[string]string
}

// PodSubject describes a pod. Its tags are qos, pod_phase and the two labels
// that name an application. No other label becomes a tag, since labels are
// neither bounded nor meant for everybody.
func PodSubject(in *PodInput) Subject {
	pod := in.Cur
	return Subject{
		Kind: "Pod", Key: pod.Key, UID: pod.UID,
		Workload: object.WorkloadKey{Namespace: pod.Namespace, Kind: in.Workload.Kind, Name: in.Workload.Name},
		Node:     pod.Node,
		Episode:  pod.Revision,
		Tags: map[string]string{
			"qos":                    pod.QoS,
			"pod_phase":              pod.Phase,
			"app.kubernetes.io/name": pod.AppName,
			"app":                    pod.App,
		},
	}
}
