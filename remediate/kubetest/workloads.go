package kubetest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// Workload is a Deployment, StatefulSet, DaemonSet, CronJob or Job.
type Workload interface {
	metav1.Object
	runtime.Object
}

// place is a workload by its resource.
type place struct {
	resource string
	key
}

const (
	deployments  = "deployments"
	statefulSets = "statefulsets"
	daemonSets   = "daemonsets"
	cronJobs     = "cronjobs"
	jobs         = "jobs"
	replicaSets  = "replicasets"
)

// shape is what kinds of workloads have in common.
type shape struct {
	resource, version, kind string
	template                *corev1.PodTemplateSpec
	replicas                int32
}

func shapeOf(w Workload) shape {
	count := func(n *int32) int32 {
		if n == nil {
			return 1
		}
		return *n
	}
	switch w := w.(type) {
	case *appsv1.Deployment:
		return shape{deployments, "apps/v1", "Deployment", &w.Spec.Template, count(w.Spec.Replicas)}
	case *appsv1.StatefulSet:
		return shape{statefulSets, "apps/v1", "StatefulSet", &w.Spec.Template, count(w.Spec.Replicas)}
	case *appsv1.DaemonSet:
		return shape{daemonSets, "apps/v1", "DaemonSet", &w.Spec.Template, max(w.Status.DesiredNumberScheduled, 1)}
	case *batchv1.CronJob:
		return shape{cronJobs, "batch/v1", "CronJob", &w.Spec.JobTemplate.Spec.Template, 0}
	case *batchv1.Job:
		return shape{jobs, "batch/v1", "Job", &w.Spec.Template, 0}
	}
	panic(fmt.Sprintf("no such workload here: %T", w))
}

// Put stores a workload whose rollout is complete, and a ready pod for each of its
// replicas, an hour old: NAME-0 and so on, with UIDs after their names.
func (a *API) Put(w Workload) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w = copyOf(w)
	w.SetUID(types.UID("uid-" + w.GetName()))
	w.SetGeneration(1)
	a.keep(w)
	a.seen[w.GetUID()] = 1
	for range shapeOf(w).replicas {
		a.makePod(w, now().Add(-time.Hour), true)
	}
}

// PutDeployment is Put.
func (a *API) PutDeployment(d *appsv1.Deployment) { a.Put(d) }

// ChangeWorkload changes a workload as somebody else would. Where its template
// changes, its pods are replaced, unless Settle said otherwise.
func (a *API) ChangeWorkload(w Workload, change func(Workload)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := copyOf(a.workloads[place{shapeOf(w).resource, key{w.GetNamespace(), w.GetName()}}])
	change(next)
	a.update(next)
}

// Workload returns a copy of a workload as it is now.
func (a *API) Workload(w Workload) Workload {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.shown(a.workloads[place{shapeOf(w).resource, key{w.GetNamespace(), w.GetName()}}])
}

func copyOf(w Workload) Workload {
	out, ok := w.DeepCopyObject().(Workload)
	if !ok {
		panic("a copy of a workload is one")
	}
	return out
}

// keep stores a workload; a.mu is held.
func (a *API) keep(w Workload) {
	w.SetResourceVersion(a.next())
	a.workloads[place{shapeOf(w).resource, key{w.GetNamespace(), w.GetName()}}] = w
}

// update stores what was written to a workload, and plays its controller: pods are
// added and taken away, and replaced where the template changed; a.mu is held.
func (a *API) update(w Workload) {
	s := shapeOf(w)
	was := a.workloads[place{s.resource, key{w.GetNamespace(), w.GetName()}}]
	w.SetGeneration(was.GetGeneration() + 1)
	a.keep(w)
	if s.resource == cronJobs || s.resource == jobs || !a.settle {
		return
	}
	a.seen[w.GetUID()] = w.GetGeneration()
	pods := a.podsOf(w)
	if !reflect.DeepEqual(shapeOf(was).template, s.template) {
		for _, pod := range pods {
			delete(a.pods, key{pod.Namespace, pod.Name})
		}
		pods = nil
	}
	for int32(len(pods)) > s.replicas {
		last := pods[len(pods)-1]
		delete(a.pods, key{last.Namespace, last.Name})
		pods = pods[:len(pods)-1]
	}
	for range s.replicas - int32(len(pods)) {
		a.makePod(w, now().Time, true)
	}
}

// podsOf lists the pods of a workload, by their number; a.mu is held.
func (a *API) podsOf(w Workload) []*corev1.Pod {
	var out []*corev1.Pod
	for n := range a.made {
		pod := a.pods[key{w.GetNamespace(), fmt.Sprintf("%s-%d", w.GetName(), n)}]
		if pod != nil {
			out = append(out, pod)
		}
	}
	return out
}

// makePod makes a pod of a workload; a.mu is held.
func (a *API) makePod(w Workload, created time.Time, ready bool) {
	s := shapeOf(w)
	var name string
	for n := 0; ; n++ { // a StatefulSet's keep their names, others have new ones
		name = fmt.Sprintf("%s-%d", w.GetName(), n)
		a.made = max(a.made, n+1)
		_, used := a.used[key{w.GetNamespace(), name}]
		if a.pods[key{w.GetNamespace(), name}] == nil && (!used || s.resource == statefulSets) {
			break
		}
	}
	k := key{w.GetNamespace(), name}
	a.used[k]++
	uid := "uid-" + name
	if n := a.used[k]; n > 1 {
		uid = fmt.Sprintf("%s-%d", uid, n)
	}
	owner := metav1.OwnerReference{APIVersion: s.version, Kind: s.kind, Name: w.GetName(), UID: w.GetUID(), Controller: new(true)}
	if s.resource == deployments {
		owner.Kind, owner.Name, owner.UID = "ReplicaSet", w.GetName()+"-rs", w.GetUID()+"-rs"
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: k.namespace, Name: name, UID: types.UID(uid), Labels: s.template.Labels, Annotations: s.template.Annotations, Generation: 1,
			CreationTimestamp: metav1.NewTime(created), OwnerReferences: []metav1.OwnerReference{owner},
		},
		Spec: *s.template.Spec.DeepCopy(),
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, ObservedGeneration: 1, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: conditionOf(ready)}},
		},
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Ready: ready, Resources: c.Resources.DeepCopy(), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		})
	}
	switch n := len(a.nodes); {
	case n > 0 && a.seen[w.GetUID()] == 1 && now().Sub(created) > time.Minute: // stored with it
		pod.Spec.NodeName = a.nodes[0].Name
	case n > 0:
		pod.Spec.NodeName = a.nodes[n-1].Name
	}
	pod.ResourceVersion = a.next()
	a.pods[k] = pod
}

func conditionOf(is bool) corev1.ConditionStatus {
	if is {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

// shown is a workload with its status by its pods; a.mu is held.
func (a *API) shown(w Workload) Workload {
	if w == nil {
		return nil
	}
	w = copyOf(w)
	s := shapeOf(w)
	pods := a.podsOf(w)
	total, ready, updated := int32(len(pods)), int32(0), int32(0)
	for _, pod := range pods {
		for i := range pod.Status.Conditions {
			if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				ready++
			}
		}
		if reflect.DeepEqual(pod.Annotations, s.template.Annotations) {
			updated++
		}
	}
	observed := a.seen[w.GetUID()]
	switch w := w.(type) {
	case *appsv1.Deployment:
		w.Status.ObservedGeneration, w.Status.Replicas, w.Status.ReadyReplicas, w.Status.UpdatedReplicas = observed, total, ready, updated
		w.TypeMeta = metav1.TypeMeta{APIVersion: s.version, Kind: s.kind}
	case *appsv1.StatefulSet:
		w.Status.ObservedGeneration, w.Status.Replicas, w.Status.ReadyReplicas, w.Status.UpdatedReplicas = observed, total, ready, updated
		w.TypeMeta = metav1.TypeMeta{APIVersion: s.version, Kind: s.kind}
	case *appsv1.DaemonSet:
		w.Status.ObservedGeneration, w.Status.DesiredNumberScheduled, w.Status.NumberReady, w.Status.UpdatedNumberScheduled = observed, total, ready, updated
		w.TypeMeta = metav1.TypeMeta{APIVersion: s.version, Kind: s.kind}
	case *batchv1.CronJob:
		w.TypeMeta = metav1.TypeMeta{APIVersion: s.version, Kind: s.kind}
	case *batchv1.Job:
		w.TypeMeta = metav1.TypeMeta{APIVersion: s.version, Kind: s.kind}
	}
	return w
}

// workload reads a workload, or patches it: UID and resource version in the patch
// are preconditions; a.mu is held.
func (a *API) workload(method string, w Write, patch []byte, dry bool) (any, error) {
	at := place{w.Resource, key{w.Namespace, w.Name}}
	if method != "PATCH" {
		if a.workloads[at] == nil {
			return nil, notFound(w.Resource, w.Name)
		}
		return a.shown(a.workloads[at]), nil
	}
	w.Verb = "patch"
	if !dry {
		a.announce(w)
	}
	there := a.workloads[at]
	if there == nil {
		return nil, notFound(w.Resource, w.Name)
	}
	if err := held(w, patch, there); err != nil {
		return nil, err
	}
	next := copyOf(there)
	if err := merge(next, patch); err != nil {
		return nil, err
	}
	if job, ok := next.(*batchv1.Job); ok && !reflect.DeepEqual(&job.Spec.Template, shapeOf(there).template) {
		return nil, apierrors.NewBadRequest("spec.template: field is immutable")
	}
	if dry {
		return a.shown(next), nil
	}
	at2 := now()
	next.SetManagedFields(append(next.GetManagedFields(), metav1.ManagedFieldsEntry{
		Manager: w.Manager, Operation: metav1.ManagedFieldsOperationUpdate, Time: &at2,
	}))
	a.update(next)
	a.accept(w)
	return a.shown(next), nil
}

// held checks the preconditions of a patch.
func held(w Write, patch []byte, there metav1.Object) error {
	var head struct{ Metadata metav1.ObjectMeta }
	if err := json.Unmarshal(patch, &head); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	if uid := head.Metadata.UID; uid != "" && uid != there.GetUID() {
		return conflict(w.Resource, w.Name, "the UID in the precondition does not match")
	}
	if version := head.Metadata.ResourceVersion; version != "" && version != there.GetResourceVersion() {
		return conflict(w.Resource, w.Name, "the object has been modified")
	}
	return nil
}

// merge merges a strategic patch into an object.
func merge(object runtime.Object, patch []byte) error {
	raw, err := json.Marshal(object)
	if err != nil {
		return err
	}
	if raw, err = strategicpatch.StrategicMergePatch(raw, patch, object); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	fresh := reflect.New(reflect.TypeOf(object).Elem()) // what is there already would be kept
	if err := json.Unmarshal(raw, fresh.Interface()); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	reflect.ValueOf(object).Elem().Set(fresh.Elem())
	return nil
}

// replicaSet is the ReplicaSet that a Deployment's pods belong to; a.mu is held.
func (a *API) replicaSet(w Write) (any, error) {
	for at, d := range a.workloads {
		if at.resource != deployments || at.namespace != w.Namespace || at.name+"-rs" != w.Name {
			continue
		}
		return &appsv1.ReplicaSet{
			TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"},
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.Namespace, Name: w.Name, UID: d.GetUID() + "-rs", ResourceVersion: "1",
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: at.name, UID: d.GetUID(), Controller: new(true)}},
			},
		}, nil
	}
	return nil, notFound(w.Resource, w.Name)
}
