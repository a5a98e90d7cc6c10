package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// environment is how many variables each container has.
const environment = 24

// podTemplate is a pod as a platform makes them: two containers with
// environment, volumes and probes, annotations of a service mesh, a scraper and
// an injector.
func podTemplate(app, revision string) corev1.PodTemplateSpec {
	container := func(name, image string, port int32) corev1.Container {
		c := corev1.Container{
			Name: name, Image: "registry.example.com/platform/" + image + "@sha256:" + strings.Repeat("8f", 32),
			Args:  []string{"--listen", fmt.Sprintf(":%d", port), "--config", "/etc/config/" + name + ".yaml"},
			Ports: []corev1.ContainerPort{{Name: name, ContainerPort: port}},
			Resources: corev1.ResourceRequirements{
				Requests: amount("10m", "64Mi"), Limits: amount("500m", "128Mi"),
			},
			VolumeMounts: []corev1.VolumeMount{
				{Name: "config", MountPath: "/etc/config"}, {Name: "scratch", MountPath: "/tmp"}, {Name: "secrets", MountPath: "/etc/secrets", ReadOnly: true},
			},
			LivenessProbe: probe("/healthz", port), ReadinessProbe: probe("/readyz", port), StartupProbe: probe("/startupz", port),
		}
		for i := range environment {
			c.Env = append(c.Env, corev1.EnvVar{
				Name: fmt.Sprintf("%s_SETTING_%02d", strings.ToUpper(name), i), Value: fmt.Sprintf("https://service-%02d.%s.svc.cluster.local:8443/v1", i, app),
			})
		}
		c.Env = append(c.Env, corev1.EnvVar{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}})
		return c
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{
				"app": app, "app.kubernetes.io/name": app, "app.kubernetes.io/part-of": "platform", "app.kubernetes.io/managed-by": "Helm",
				"helm.sh/chart": app + "-1.4.2", "team": "checkout", "pod-template-hash": revision,
			},
			Annotations: map[string]string{
				"checksum/config": strings.Repeat("0123456789abcdef", 4), "checksum/secrets": strings.Repeat("fedcba9876543210", 4),
				"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics",
				"mesh.example.com/status":                 `{"initContainers":[],"containers":["proxy"],"volumes":["config","scratch","secrets"],"revision":"default","inject":"` + strings.Repeat("x", 400) + `"}`,
				"kubectl.kubernetes.io/default-container": "app", "kubectl.kubernetes.io/restartedAt": "2026-11-20T08:15:30Z",
			},
		},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{container("app", app, 8080), container("proxy", "mesh-proxy", 15090)},
			Volumes: []corev1.Volume{
				{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: app}}}},
				{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "secrets", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: app}}},
			},
			Tolerations: []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists}},
			Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
				Weight: 100, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}},
			}}}},
		},
	}
}

func amount(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

func probe(path string, port int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(port)}},
		PeriodSeconds: 10, TimeoutSeconds: 3, FailureThreshold: 6,
	}
}

// deployment asks for pods that nobody makes but we: its controller is stopped.
func deployment(app string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: app, Labels: map[string]string{"app": app}, Annotations: map[string]string{"deployment.kubernetes.io/revision": "2"}},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}, Template: podTemplate(app, ""),
		},
	}
}

// replicaSet is one revision of a Deployment.
func replicaSet(d *appsv1.Deployment, revision string, replicas int32) *appsv1.ReplicaSet {
	labels := map[string]string{"app": d.Name, "pod-template-hash": revision}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: d.Name + "-" + revision, Labels: labels, OwnerReferences: owner("Deployment", d.Name, d.UID),
			Annotations: map[string]string{"deployment.kubernetes.io/desired-replicas": "5", "deployment.kubernetes.io/max-replicas": "7"},
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: podTemplate(d.Name, revision),
		},
	}
}

func owner(kind, name string, uid types.UID) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: name, UID: uid, Controller: &yes, BlockOwnerDeletion: &yes}}
}

// pod is one pod of a ReplicaSet, bound to a node as the scheduler would have.
func pod(rs *appsv1.ReplicaSet, suffix, node string) *corev1.Pod {
	template := podTemplate(rs.Labels["app"], rs.Labels["pod-template-hash"])
	p := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	p.Name, p.GenerateName = rs.Name+"-"+suffix, rs.Name+"-"
	p.OwnerReferences = owner("ReplicaSet", rs.Name, rs.UID)
	p.Spec.NodeName = node
	// The API server adds us; the others have written what they write.
	now := metav1.Now()
	for _, manager := range []string{"mesh-injector", "vpa-admission-controller"} {
		p.ManagedFields = append(p.ManagedFields, metav1.ManagedFieldsEntry{
			Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &now, FieldsType: "FieldsV1",
			FieldsV1: fieldsV1(manager),
		})
	}
	return p
}

// fieldsV1 are annotations and environment of the first container.
func fieldsV1(manager string) *metav1.FieldsV1 {
	env := map[string]any{".": map[string]any{}}
	for i := range environment {
		key := fmt.Sprintf(`k:{"name":"APP_SETTING_%02d"}`, i)
		env[key] = map[string]any{".": map[string]any{}, "f:name": map[string]any{}, "f:value": map[string]any{}}
	}
	raw, err := json.Marshal(map[string]any{
		"f:metadata": map[string]any{"f:annotations": map[string]any{"f:mesh.example.com/status": map[string]any{}, "f:" + manager: map[string]any{}}},
		"f:spec":     map[string]any{"f:containers": map[string]any{`k:{"name":"app"}`: map[string]any{"f:env": env, "f:resources": map[string]any{}}}},
	})
	if err != nil {
		panic(err) // strings and maps of them
	}
	return metav1.NewFieldsV1(string(raw))
}

// status is what a kubelet says of a pod whose containers were killed that many
// times, the last time at a moment that tells the kills apart. The runs are
// short: each restart also carries on a crash loop.
func status(p *corev1.Pod, kills int32, now time.Time) corev1.PodStatus {
	at := metav1.NewTime(now.Truncate(time.Second))
	begin := metav1.NewTime(at.Add(-time.Minute))
	s := corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: "10.0.0.1", PodIP: "10.64.0.1", StartTime: &begin, QOSClass: corev1.PodQOSBurstable,
		PodIPs: []corev1.PodIP{{IP: "10.64.0.1"}}, HostIPs: []corev1.HostIP{{IP: "10.0.0.1"}},
	}
	for _, condition := range []corev1.PodConditionType{"PodReadyToStartContainers", corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		s.Conditions = append(s.Conditions, corev1.PodCondition{Type: condition, Status: corev1.ConditionTrue, LastTransitionTime: begin})
	}
	started := true
	for i := range p.Spec.Containers {
		c := &p.Spec.Containers[i]
		id := func(n int32) string {
			return fmt.Sprintf("containerd://%s%s%08x", strings.ReplaceAll(string(p.UID), "-", ""), strings.Repeat("0", 24-i), n)
		}
		cs := corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: c.Image, ContainerID: id(kills), Ready: true, Started: &started, RestartCount: kills,
			State:     corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}},
			Resources: &c.Resources, AllocatedResources: c.Resources.Requests,
		}
		if kills > 0 {
			cs.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
				ExitCode: 137, Reason: "OOMKilled", StartedAt: begin, FinishedAt: at, ContainerID: id(kills - 1),
			}
		}
		s.ContainerStatuses = append(s.ContainerStatuses, cs)
	}
	return s
}
