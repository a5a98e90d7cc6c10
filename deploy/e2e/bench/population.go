package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// perDeployment is how many pods a Deployment has; each has two ReplicaSets.
	perDeployment = 5
	namespaces    = 10
	// writers is how many requests are under way at a time.
	writers = 12
	// victims is how many pods are kept at hand to be killed.
	victims = 500
)

// population is what was put into the cluster.
type population struct {
	cluster *controlPlane
	usage   *measurements
	nodes   int
	pods    int // so far
	victims []*corev1.Pod
	kills   int32 // of each victim so far
	// encoded are the sizes of one pod in protobuf and JSON, in bytes.
	encoded, json int
}

// grow brings the cluster to that many pods, all running.
func (p *population) grow(ctx context.Context, pods int) error {
	if p.pods == 0 {
		for i := range namespaces {
			if err := p.cluster.namespace(ctx, namespaceOf(i)); err != nil {
				return err
			}
		}
	}
	first, last := p.pods/perDeployment, pods/perDeployment
	var mu sync.Mutex
	done := 0
	err := inParallel(ctx, last-first, func(ctx context.Context, i int) error {
		made, err := p.deploy(ctx, first+i)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, pod := range made {
			if len(p.victims) < victims {
				p.victims = append(p.victims, pod)
			}
		}
		if done++; done%200 == 0 {
			say("%d of %d pods", (first+done)*perDeployment, pods)
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.pods = pods
	return p.weigh(ctx)
}

func namespaceOf(i int) string { return fmt.Sprintf("bench-%d", i%namespaces) }

// deploy makes one Deployment with a former and a present ReplicaSet, and the
// pods of the latter.
func (p *population) deploy(ctx context.Context, n int) ([]*corev1.Pod, error) {
	namespace := namespaceOf(n)
	apps := p.cluster.kube.AppsV1()
	d, err := apps.Deployments(namespace).Create(ctx, deployment(fmt.Sprintf("service-%04d", n), perDeployment), by("helm"))
	if err != nil {
		return nil, fmt.Errorf("create a Deployment: %w", err)
	}
	var rs *appsv1.ReplicaSet
	for revision, replicas := range []int32{0, perDeployment} {
		made := replicaSet(d, fmt.Sprintf("%08x", n*2+revision), replicas)
		if rs, err = apps.ReplicaSets(namespace).Create(ctx, made, by("kube-controller-manager")); err != nil {
			return nil, fmt.Errorf("create a ReplicaSet: %w", err)
		}
	}
	made := make([]*corev1.Pod, perDeployment)
	for i := range made {
		if made[i], err = p.run(ctx, rs, n*perDeployment+i); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// run makes the n-th pod and has its containers run.
func (p *population) run(ctx context.Context, rs *appsv1.ReplicaSet, n int) (*corev1.Pod, error) {
	made := pod(rs, fmt.Sprintf("p%05d", n), fmt.Sprintf("node-%d", n%p.nodes+1))
	made, err := p.cluster.kube.CoreV1().Pods(rs.Namespace).Create(ctx, made, by("kube-controller-manager"))
	if err != nil {
		return nil, fmt.Errorf("create a pod: %w", err)
	}
	if p.usage != nil {
		p.usage.add(made)
	}
	return made, p.cluster.report(ctx, made, status(made, 0, time.Now()))
}

// report writes a pod's status as its kubelet would. It does not touch the pod
// that is given.
func (p *controlPlane) report(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	written := *pod
	written.ResourceVersion = "" // whatever it is by now
	written.ManagedFields = nil
	written.Status = status
	_, err := p.kube.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, &written, metav1.UpdateOptions{FieldManager: "kubelet"})
	if err != nil {
		return fmt.Errorf("write the status of %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

// kill has both containers of every victim killed once more.
func (p *population) kill(ctx context.Context) error {
	p.kills++
	return inParallel(ctx, len(p.victims), func(ctx context.Context, i int) error {
		pod := p.victims[i]
		return p.cluster.report(ctx, pod, status(pod, p.kills, time.Now()))
	})
}

// weigh learns how large a pod is, as the API server sends it.
func (p *population) weigh(ctx context.Context) error {
	v := p.victims[0]
	pod, err := p.cluster.kube.CoreV1().Pods(v.Namespace).Get(ctx, v.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read a pod: %w", err)
	}
	text, err := json.Marshal(pod)
	if err != nil {
		return fmt.Errorf("encode a pod: %w", err)
	}
	p.encoded, p.json = pod.Size(), len(text)
	if p.encoded < 8<<10 {
		return fmt.Errorf("a pod takes %d bytes, that is no real one: at least 8192 are wanted", p.encoded)
	}
	return nil
}

// by names the writer in managedFields.
func by(manager string) metav1.CreateOptions { return metav1.CreateOptions{FieldManager: manager} }

// inParallel does n things, a few at a time, until one fails.
func inParallel(ctx context.Context, n int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	running.Wait()
	return context.Cause(ctx)
}
