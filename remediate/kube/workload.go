package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// ErrKind is wrapped for a workload of a kind that cannot be repaired.
var ErrKind = errors.New("must be Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob or Pod")

// Workload is a live workload, whatever its kind.
type Workload struct {
	APIVersion, Kind, Namespace, Name, UID, ResourceVersion string

	Labels      map[string]string
	Annotations map[string]string
	Managers    []metav1.ManagedFieldsEntry
	// Controller is what owns it, such as the Deployment of a ReplicaSet; nil for
	// none.
	Controller *metav1.OwnerReference
	// Replicas are wanted, Ready are ready.
	Replicas, Ready int32
	// Selector chooses its pods; nil for a bare pod and a CronJob.
	Selector *metav1.LabelSelector
	// Template of its pods; nil for a bare pod.
	Template *corev1.PodTemplateSpec
	// RollingOut says that a rollout is not complete, RolledOut when the last one
	// was; zero where that is not known.
	RollingOut bool
	RolledOut  time.Time
	// Rollout is how its pods are replaced; nil for a kind whose template replaces
	// none.
	Rollout *Rollout
	// Existing is how many pods its status counts, and Observed whether that status
	// is about its latest generation; both for what can be scaled.
	Existing int32
	Observed bool
	// Paused says that changes of its template roll nothing out.
	Paused bool
}

// String names it.
func (w *Workload) String() string { return w.Kind + " " + w.Namespace + "/" + w.Name }

// places are where kinds are served.
var places = map[string]struct{ version, path, resource string }{
	"Deployment":  {"apps/v1", "/apis/apps/v1", "deployments"},
	"StatefulSet": {"apps/v1", "/apis/apps/v1", "statefulsets"},
	"DaemonSet":   {"apps/v1", "/apis/apps/v1", "daemonsets"},
	"ReplicaSet":  {"apps/v1", "/apis/apps/v1", "replicasets"},
	"Job":         {"batch/v1", "/apis/batch/v1", "jobs"},
	"CronJob":     {"batch/v1", "/apis/batch/v1", "cronjobs"},
	"Pod":         {"v1", "/api/v1", "pods"},
}

// Kinds lists the kinds of workloads that can be read, sorted.
func Kinds() []string {
	out := make([]string, 0, len(places))
	for kind := range places {
		out = append(out, kind)
	}
	slices.Sort(out)
	return out
}

// Resource is the group and the resource that a kind of workload is served as, as
// rights name them; empty for a kind that is none.
func Resource(kind string) (group, resource string) {
	place := places[kind]
	group, _, found := strings.Cut(place.version, "/")
	if !found {
		group = ""
	}
	return group, place.resource
}

// APIVersion is that of a kind; empty for one that cannot be read.
func APIVersion(kind string) string { return places[kind].version }

func (c *Client) path(namespace, kind, name string) ([]string, error) {
	place, ok := places[kind]
	if !ok {
		return nil, fmt.Errorf("kind %q: %w", kind, ErrKind)
	}
	return []string{place.path, "namespaces", namespace, place.resource, name}, nil
}

// Workload reads one workload.
func (c *Client) Workload(ctx context.Context, namespace, kind, name string) (*Workload, error) {
	path, err := c.path(namespace, kind, name)
	if err != nil {
		return nil, err
	}
	w, err := c.read(ctx, kind, path)
	if err != nil {
		return nil, fmt.Errorf("read %s %s/%s: %w", kind, namespace, name, err)
	}
	w.Kind, w.APIVersion = kind, places[kind].version
	return w, nil
}

func (c *Client) read(ctx context.Context, kind string, path []string) (*Workload, error) {
	switch kind {
	case "Deployment":
		return readAs(ctx, c, path, fromDeployment)
	case "StatefulSet":
		return readAs(ctx, c, path, fromStatefulSet)
	case "DaemonSet":
		return readAs(ctx, c, path, fromDaemonSet)
	case "ReplicaSet":
		return readAs(ctx, c, path, fromReplicaSet)
	case "Job":
		return readAs(ctx, c, path, fromJob)
	case "CronJob":
		return readAs(ctx, c, path, fromCronJob)
	default:
		return readAs(ctx, c, path, fromPod)
	}
}

func base(m *metav1.ObjectMeta) *Workload {
	return &Workload{
		Namespace: m.Namespace, Name: m.Name, UID: string(m.UID), ResourceVersion: m.ResourceVersion,
		Labels: m.Labels, Annotations: m.Annotations, Managers: m.ManagedFields, Controller: metav1.GetControllerOf(m),
	}
}

func fromDeployment(d *appsv1.Deployment) *Workload {
	w := base(&d.ObjectMeta)
	w.Replicas, w.Ready = value(d.Spec.Replicas, 1), d.Status.ReadyReplicas
	w.Selector, w.Template, w.Paused = d.Spec.Selector, &d.Spec.Template, d.Spec.Paused
	w.Rollout = deploymentRollout(d)
	w.RollingOut = !w.Rollout.Complete(w.Replicas)
	w.Existing, w.Observed = d.Status.Replicas, d.Status.ObservedGeneration >= d.Generation
	for _, condition := range d.Status.Conditions {
		if condition.Type == appsv1.DeploymentProgressing && condition.Reason == "NewReplicaSetAvailable" {
			w.RolledOut = condition.LastUpdateTime.Time
		}
	}
	return w
}

func fromStatefulSet(s *appsv1.StatefulSet) *Workload {
	w := base(&s.ObjectMeta)
	w.Replicas, w.Ready = value(s.Spec.Replicas, 1), s.Status.ReadyReplicas
	w.Selector, w.Template = s.Spec.Selector, &s.Spec.Template
	w.Rollout = statefulSetRollout(s)
	halfway := !w.Rollout.ByHand && w.Rollout.Kept == 0 && s.Status.UpdateRevision != s.Status.CurrentRevision
	w.RollingOut = halfway || !w.Rollout.Complete(w.Replicas)
	w.Existing, w.Observed = s.Status.Replicas, s.Status.ObservedGeneration >= s.Generation
	return w
}

func fromDaemonSet(d *appsv1.DaemonSet) *Workload {
	w := base(&d.ObjectMeta)
	w.Replicas, w.Ready = d.Status.DesiredNumberScheduled, d.Status.NumberReady
	w.Selector, w.Template = d.Spec.Selector, &d.Spec.Template
	w.Rollout = daemonSetRollout(d)
	w.RollingOut = !w.Rollout.Complete(w.Replicas)
	return w
}

func fromReplicaSet(r *appsv1.ReplicaSet) *Workload {
	w := base(&r.ObjectMeta)
	w.Replicas, w.Ready = value(r.Spec.Replicas, 1), r.Status.ReadyReplicas
	w.Selector, w.Template = r.Spec.Selector, &r.Spec.Template
	w.Existing, w.Observed = r.Status.Replicas, r.Status.ObservedGeneration >= r.Generation
	return w
}

func fromJob(j *batchv1.Job) *Workload {
	w := base(&j.ObjectMeta)
	w.Replicas, w.Ready = value(j.Spec.Parallelism, 1), value(j.Status.Ready, 0)
	w.Selector, w.Template = j.Spec.Selector, &j.Spec.Template
	return w
}

func fromCronJob(j *batchv1.CronJob) *Workload {
	w := base(&j.ObjectMeta)
	w.Replicas = 1
	w.Template = &j.Spec.JobTemplate.Spec.Template
	return w
}

func fromPod(p *corev1.Pod) *Workload {
	w := base(&p.ObjectMeta)
	w.Replicas = 1
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			w.Ready = 1
		}
	}
	return w
}

func value(p *int32, otherwise int32) int32 {
	if p == nil {
		return otherwise
	}
	return *p
}

// PatchWorkload patches a workload by a strategic merge patch that carries
// metadata.uid and metadata.resourceVersion, and returns it as it is then.
func (c *Client) PatchWorkload(ctx context.Context, w *Workload, patch []byte, how Write) (*Workload, error) {
	path, err := c.path(w.Namespace, w.Kind, w.Name)
	if err != nil {
		return nil, err
	}
	req := how.onto(c.rest.Patch(types.StrategicMergePatchType).AbsPath(path...)).Body(patch)
	out, err := patchAs(ctx, w.Kind, req)
	if err != nil {
		return nil, fmt.Errorf("patch %s: %w", w, err)
	}
	out.Kind, out.APIVersion = w.Kind, w.APIVersion
	return out, nil
}

// SetScale writes a workload's scale; its UID and resource version are the
// preconditions.
func (c *Client) SetScale(ctx context.Context, w *Workload, scale *autoscalingv1.Scale, how Write) (*autoscalingv1.Scale, error) {
	path, err := c.path(w.Namespace, w.Kind, w.Name)
	if err != nil {
		return nil, err
	}
	scale = scale.DeepCopy()
	scale.TypeMeta = metav1.TypeMeta{APIVersion: "autoscaling/v1", Kind: "Scale"}
	body, err := json.Marshal(scale)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	out := &autoscalingv1.Scale{}
	req := how.onto(c.rest.Put().AbsPath(append(path, "scale")...)).SetHeader("Content-Type", asJSON).Body(body)
	if err := do(ctx, req, out); err != nil {
		return nil, fmt.Errorf("scale %s: %w", w, err)
	}
	return out, nil
}

// marks are what tools that own manifests leave on the objects.
var marks = []struct{ tool, key string }{
	{"Argo CD", "argocd.argoproj.io/tracking-id"},
	{"Argo CD", "argocd.argoproj.io/instance"},
	{"Flux", "kustomize.toolkit.fluxcd.io/name"},
	{"Flux", "helm.toolkit.fluxcd.io/name"},
}

// owners are the field managers of such tools.
var owners = map[string]string{
	"argocd-controller": "Argo CD", "argocd-application-controller": "Argo CD",
	"kustomize-controller": "Flux", "helm-controller": "Flux",
}

// GitOps names the tool that owns the workload's manifests; empty where none is
// known.
func (w *Workload) GitOps() string { return owner(w.Labels, w.Annotations, w.Managers) }

// GitOps names the tool that owns an object's manifest; empty where none is known.
func GitOps(m *metav1.ObjectMeta) string { return owner(m.Labels, m.Annotations, m.ManagedFields) }

func owner(labels, annotations map[string]string, managers []metav1.ManagedFieldsEntry) string {
	for _, m := range marks {
		if annotations[m.key] != "" || labels[m.key] != "" {
			return m.tool
		}
	}
	for i := range managers {
		if tool := owners[strings.ToLower(managers[i].Manager)]; tool != "" {
			return tool
		}
	}
	return ""
}

// Covered says whether a disruption budget's selector covers the workload's pods:
// an absent one covers none, an empty one all.
func (w *Workload) Covered(selector *metav1.LabelSelector) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil || selector == nil {
		return false
	}
	if w.Template != nil {
		return s.Matches(labels.Set(w.Template.Labels))
	}
	return s.Matches(labels.Set(w.Labels))
}
