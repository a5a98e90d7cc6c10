package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

// What is promised of a cure under examples/auto.yaml, from the answer to the status
// write on, while the API server has 50 writes a second at most; never later than
// cureLast whatever it has.
const (
	cureP50    = 50 * time.Millisecond
	cureP99    = 250 * time.Millisecond
	cureLast   = 5 * time.Second
	cureWrites = 50
	// curedPerNamespace keeps below the policy's budget of 500.
	curedPerNamespace = 400
	// operatorWarmUp is how long the operator looks before it acts, and a little.
	operatorWarmUp = 12 * time.Second
	// limitBefore is what podTemplate allows.
	limitBefore = 128 << 20
)

var (
	crdResource    = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	policyResource = schema.GroupVersionResource{Group: "rightsizer.dev", Version: "v1alpha1", Resource: "rightsizerpolicies"}
)

// cured is one pod that is killed once.
type cured struct {
	pod                    *corev1.Pod
	begun, answered, given time.Time
}

// cures is a rate of kills with what came of it.
type cures struct {
	rate    int
	victims []*cured
	writes  float64 // that the API server answered, a second
}

// cure measures how long it takes from the write of an OOM kill into a status until
// the API server has accepted the larger limit, as a bare watch sees it. Each pod
// has a workload of its own, and so a decision of its own.
func cure(ctx context.Context, s *settings) (err error) {
	cluster, err := startControlPlane(ctx, s.nodes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	runs := make([]cures, len(s.kills))
	n := 0
	for i, rate := range s.kills {
		runs[i].rate = rate
		n += int(float64(rate) * s.span.Seconds())
	}
	victims, err := cureVictims(ctx, cluster, s, n)
	if err != nil {
		return err
	}
	o, err := serve(ctx, s, cluster)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.stopServing()) }()
	say("the operator warms up")
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(operatorWarmUp):
	}
	for i := range runs {
		r := &runs[i]
		n := int(float64(r.rate) * s.span.Seconds())
		r.victims, victims = victims[:n], victims[n:]
		if err := r.killAll(ctx, cluster); err != nil {
			return err
		}
		say("%d kills a second for %s", r.rate, s.span)
	}
	return judgeCures(s, runs)
}

// cureVictims makes namespaces with the shipped policy and pods in them.
func cureVictims(ctx context.Context, cluster *controlPlane, s *settings, n int) ([]*cured, error) {
	client, err := dynamic.NewForConfig(cluster.RESTConfig())
	if err != nil {
		return nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	crds, err := filepath.Glob("../crd/*.yaml")
	if err != nil || len(crds) == 0 {
		return nil, fmt.Errorf("find the CRDs in ../crd: %w", errors.Join(err, os.ErrNotExist))
	}
	for _, file := range crds {
		if err := applyFile(ctx, client.Resource(crdResource), file); err != nil {
			return nil, err
		}
	}
	spaces := (n + curedPerNamespace - 1) / curedPerNamespace
	names := []string{"rightsizer"}
	for i := range spaces {
		names = append(names, fmt.Sprintf("cure-%d", i))
	}
	for i, name := range names {
		if err := cluster.namespace(ctx, name); err != nil {
			return nil, err
		}
		for i > 0 {
			err := applyFile(ctx, client.Resource(policyResource).Namespace(name), "../crd/examples/auto.yaml")
			if err == nil {
				break
			}
			if !apierrors.IsNotFound(err) { // the CRD is served in a moment
				return nil, err
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	people := &population{cluster: cluster, nodes: s.nodes}
	victims := make([]*cured, n)
	err = inParallel(ctx, n, func(ctx context.Context, i int) error {
		apps, namespace := cluster.kube.AppsV1(), names[1+i%spaces]
		d, err := apps.Deployments(namespace).Create(ctx, deployment(fmt.Sprintf("victim-%04d", i), 1), by("helm"))
		if err != nil {
			return fmt.Errorf("create a Deployment: %w", err)
		}
		rs, err := apps.ReplicaSets(namespace).Create(ctx, replicaSet(d, "6f7c8d9b5", 1), by("kube-controller-manager"))
		if err != nil {
			return fmt.Errorf("create a ReplicaSet: %w", err)
		}
		made, err := people.run(ctx, rs, i)
		victims[i] = &cured{pod: made}
		return err
	})
	say("%d pods, each with a workload of its own", n)
	return victims, err
}

func applyFile(ctx context.Context, in dynamic.ResourceInterface, file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	obj := &unstructured.Unstructured{}
	if err := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096).Decode(&obj.Object); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	if _, err := in.Apply(ctx, obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "bench", Force: true}); err != nil {
		return fmt.Errorf("apply %s: %w", file, err)
	}
	return nil
}

// killAll has each pod's first container killed once, and waits until all have
// their cure, or for half a minute.
func (c *cures) killAll(ctx context.Context, cluster *controlPlane) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	given, ended, err := watchLimits(ctx, cluster)
	if err != nil {
		return err
	}
	before, err := cluster.writes(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	failed := make(chan error, len(c.victims))
	for i, v := range c.victims {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(c.rate))))
		go func() { failed <- v.kill(ctx, cluster) }()
	}
	var errs []error
	for range c.victims {
		errs = append(errs, <-failed)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	after, err := cluster.writes(ctx)
	if err != nil {
		return err
	}
	c.writes = (after - before) / time.Since(begin).Seconds()
	for deadline := time.Now().Add(30 * time.Second); !given.have(c.victims) && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	cancel()
	err = <-ended
	for _, v := range c.victims {
		v.given = given.at(string(v.pod.UID))
	}
	return err
}

// kill writes that the first container was killed.
func (v *cured) kill(ctx context.Context, cluster *controlPlane) error {
	s := status(v.pod, 1, time.Now())
	other := &s.ContainerStatuses[1]
	other.RestartCount, other.LastTerminationState = 0, corev1.ContainerState{}
	v.begun = time.Now()
	err := cluster.report(ctx, v.pod, s)
	v.answered = time.Now()
	return err
}

// limits is when each pod had more memory, by its UID.
type limits struct {
	mu    sync.Mutex
	first map[string]time.Time
}

func (l *limits) have(victims []*cured) bool {
	return !slices.ContainsFunc(victims, func(v *cured) bool { return l.at(string(v.pod.UID)).IsZero() })
}

func (l *limits) at(uid string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first[uid]
}

func (l *limits) see(pod *corev1.Pod, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	uid := string(pod.UID)
	if _, known := l.first[uid]; !known && pod.Spec.Containers[0].Resources.Limits.Memory().Value() > limitBefore {
		l.first[uid] = at
	}
}

func watchLimits(ctx context.Context, cluster *controlPlane) (*limits, <-chan error, error) {
	now, err := cluster.kube.CoreV1().Pods("").List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, nil, fmt.Errorf("list pods: %w", err)
	}
	given, ended := &limits{first: map[string]time.Time{}}, make(chan error, 1)
	go func() {
		version, err := now.ResourceVersion, error(nil)
		for err == nil && ctx.Err() == nil { // a busy API server ends watches; what was missed is told late, and counts as late
			version, err = given.follow(ctx, cluster, version)
		}
		if ctx.Err() != nil {
			err = nil
		}
		ended <- err
	}()
	return given, ended, nil
}

// follow watches pods from a version on until the watch ends, and returns how far it
// came.
func (l *limits) follow(ctx context.Context, cluster *controlPlane, version string) (string, error) {
	w, err := cluster.kube.CoreV1().Pods("").Watch(ctx, metav1.ListOptions{ResourceVersion: version})
	if err != nil {
		return version, fmt.Errorf("watch pods: %w", err)
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		at := time.Now()
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			return version, fmt.Errorf("watch pods: %w", apierrors.FromObject(event.Object))
		}
		version = pod.ResourceVersion
		l.see(pod, at)
	}
	return version, nil
}

// judgeCures prints the figures and holds what is promised.
func judgeCures(s *settings, runs []cures) error {
	fmt.Printf("%s\n\n", machine())
	fmt.Printf("OOM kills, one workload each, under examples/auto.yaml, for %s each; GOMEMLIMIT %s; ms from the answer to the status write until a bare watch sees the larger limit, in brackets from the begin of the write.\n\n", s.span, s.memLimit)
	fmt.Println("| kills/s | writes/s of the API server | uncured | status write p50 | p99 | cure p50 | p99 | latest |")
	fmt.Println("|--:|--:|--:|--:|--:|--:|--:|--:|")
	var errs []error
	for i := range runs {
		errs = append(errs, runs[i].judge())
	}
	return errors.Join(errs...)
}

func (c *cures) judge() error {
	var whole, after, write []time.Duration
	missing := 0
	for _, v := range c.victims {
		write = append(write, v.answered.Sub(v.begun))
		if v.given.IsZero() {
			missing++
			continue
		}
		whole, after = append(whole, v.given.Sub(v.begun)), append(after, v.given.Sub(v.answered))
	}
	if missing == len(c.victims) {
		return fmt.Errorf("%d kills a second: nothing was cured", c.rate)
	}
	at := func(all []time.Duration, percent int) time.Duration {
		slices.Sort(all)
		return all[min(len(all)*percent/100, len(all)-1)]
	}
	fmt.Printf("| %d | %.0f | %d | %s | %s | %s (%s) | %s (%s) | %s (%s) |\n", c.rate, c.writes, missing, ms(at(write, 50)), ms(at(write, 99)),
		ms(at(after, 50)), ms(at(whole, 50)), ms(at(after, 99)), ms(at(whole, 99)), ms(at(after, 100)), ms(at(whole, 100)))
	switch {
	case missing > 0:
		return fmt.Errorf("%d kills a second: %d of %d were not cured", c.rate, missing, len(c.victims))
	case c.writes <= cureWrites && (at(after, 50) > cureP50 || at(after, 99) > cureP99):
		return fmt.Errorf("%d kills a second: promised were p50 %s and p99 %s", c.rate, cureP50, cureP99)
	case at(after, 100) > cureLast:
		return fmt.Errorf("%d kills a second: promised was never later than %s", c.rate, cureLast)
	}
	return nil
}
