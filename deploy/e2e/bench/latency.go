package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/streamtest"
)

const (
	// warmUp is the begin of each rate that is not counted.
	warmUp = 3 * time.Second
	// arrival is how long the last changes may take.
	arrival = 5 * time.Second
	// sustained is the share of the rate asked for that must be reached.
	sustained = 0.95
	// latencyFactor and latencySlack are what is promised: p99 at most 1.25
	// times that of a bare watch, plus 2 ms.
	latencyFactor = 1.25
	latencySlack  = 2 * time.Millisecond
)

// latency prints how long an event takes, beside a bare watch, at each rate.
func latency(ctx context.Context, s *settings) (err error) {
	cluster, err := startControlPlane(ctx, s.nodes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	o, err := serve(ctx, s, cluster)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.stopServing()) }()
	people := &population{cluster: cluster, nodes: s.nodes}
	var rows []*course
	for i, rate := range s.rates {
		c, err := people.course(ctx, i, rate)
		if err != nil {
			return err
		}
		if err := c.measure(ctx, o.url, s.span); err != nil {
			return err
		}
		say("%d a second: %.1f reached, %d unseen, bare watch dropped %d times; bare watch p50 %s p99 %s, WebSocket p50 %s p99 %s",
			rate, c.reached, c.unseen(), c.dropped.Load(), c.bare(50), c.bare(99), c.socket(50), c.socket(99))
		rows = append(rows, c)
		if !c.sustained() {
			break
		}
	}
	printCourses(s, rows)
	return promise(rows)
}

// promise holds the figure that is promised, at the highest rate that the API
// server sustained.
func promise(rows []*course) error {
	var top *course
	for _, c := range rows {
		if c.sustained() {
			top = c
		}
	}
	if top == nil {
		return errors.New("the API server sustained none of the rates")
	}
	fmt.Printf("\nHighest rate sustained: %d changes a second. p99 %s, bound %s.\n", top.rate, ms(top.socket(99)), ms(top.bound()))
	if top.socket(99) > top.bound() {
		return fmt.Errorf("at %d a second p99 is %s, at most %s was promised", top.rate, top.socket(99), top.bound())
	}
	return nil
}

// course is one rate: pods of its own, and a journal of their changes. Change
// number n is kill n/len(pods)+1 of pod n%len(pods).
type course struct {
	cluster *controlPlane
	rate    int
	pods    []*corev1.Pod
	index   map[string]int // by name
	journal *journal
	both    bool         // each change kills both containers, not the first alone
	reached float64      // changes a second
	dropped atomic.Int32 // how often the bare watch had to be opened again
}

// course makes two seconds' worth of pods, so that no pod has two writes under
// way.
func (p *population) course(ctx context.Context, number, rate int) (*course, error) {
	namespace := fmt.Sprintf("course-%d", number)
	if err := p.cluster.namespace(ctx, namespace); err != nil {
		return nil, err
	}
	c := &course{cluster: p.cluster, rate: rate, pods: make([]*corev1.Pod, max(2*rate, 50)), index: map[string]int{}}
	apps := p.cluster.kube.AppsV1()
	d, err := apps.Deployments(namespace).Create(ctx, deployment("course", int32(len(c.pods))), by("helm"))
	if err != nil {
		return nil, fmt.Errorf("create a Deployment: %w", err)
	}
	rs, err := apps.ReplicaSets(namespace).Create(ctx, replicaSet(d, "6f7c8d9b5", int32(len(c.pods))), by("kube-controller-manager"))
	if err != nil {
		return nil, fmt.Errorf("create a ReplicaSet: %w", err)
	}
	err = inParallel(ctx, len(c.pods), func(ctx context.Context, i int) error {
		var err error
		c.pods[i], err = p.run(ctx, rs, i)
		return err
	})
	for i, pod := range c.pods {
		if err == nil {
			c.index[pod.Name] = i
		}
	}
	return c, err
}

// measure holds the rate for a span while a bare watch and a WebSocket look on.
func (c *course) measure(ctx context.Context, url string, span time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.journal = newJournal(int(float64(c.rate) * (span + warmUp).Seconds()))
	watching, err := c.watchBare(ctx)
	if err != nil {
		return err
	}
	listening, err := c.listen(ctx, url)
	if err != nil {
		return err
	}
	if err := c.write(ctx); err != nil {
		return err
	}
	for deadline := time.Now().Add(arrival); c.journal.open() > 0 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	cancel()
	return errors.Join(<-watching, <-listening)
}

// write sends the changes, each at its time.
func (c *course) write(ctx context.Context) error {
	begin := time.Now()
	failed := make(chan error, len(c.journal.sent))
	slots := make(chan struct{}, 64) // a server that is slower than the rate holds it up here
	for n := range c.journal.sent {
		time.Sleep(time.Until(begin.Add(time.Duration(n) * time.Second / time.Duration(c.rate))))
		slots <- struct{}{}
		go func() {
			failed <- c.change(ctx, n)
			<-slots
		}()
	}
	var errs []error
	for range c.journal.sent {
		errs = append(errs, <-failed)
	}
	c.reached = float64(len(c.journal.sent)) / time.Since(begin).Seconds()
	return errors.Join(errs...)
}

// change has the first container of a pod killed once more.
func (c *course) change(ctx context.Context, n int) error {
	pod, kills := c.pods[n%len(c.pods)], int32(n/len(c.pods)+1)
	status := status(pod, kills, time.Now())
	if other := &status.ContainerStatuses[1]; !c.both {
		other.RestartCount, other.LastTerminationState = 0, corev1.ContainerState{}
	}
	c.journal.sent[n].Store(c.journal.now())
	err := c.cluster.report(ctx, pod, status)
	c.journal.answered[n].Store(c.journal.now())
	return err
}

// number finds the change of a pod's kill, -1 where it is none of ours.
func (c *course) number(pod string, kills int32) int {
	i, ours := c.index[pod]
	if !ours || kills < 1 {
		return -1
	}
	return int(kills-1)*len(c.pods) + i
}

// watchBare follows all pods as a client-go program would, on a connection of
// its own; its error comes once ctx is done.
func (c *course) watchBare(ctx context.Context) (<-chan error, error) {
	config := unthrottled(c.cluster.Cluster)
	config.Dial = (&net.Dialer{}).DialContext // not shared with the writes
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	now, err := kube.CoreV1().Pods("").List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	position := now.ResourceVersion
	open := func() (watch.Interface, error) {
		return kube.CoreV1().Pods("").Watch(ctx, metav1.ListOptions{ResourceVersion: position})
	}
	w, err := open()
	if err != nil {
		return nil, fmt.Errorf("watch pods: %w", err)
	}
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		for err == nil {
			position, err = c.readBare(w, position)
			w.Stop()
			if ctx.Err() != nil {
				return
			}
			c.dropped.Add(1) // a busy API server drops watches that do not keep up
			if err == nil {
				w, err = open()
			}
		}
		ended <- fmt.Errorf("the bare watch: %w", err)
	}()
	return ended, nil
}

// readBare reads one watch to its end and returns the last position.
func (c *course) readBare(w watch.Interface, position string) (string, error) {
	for event := range w.ResultChan() {
		at := c.journal.now()
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			return position, apierrors.FromObject(event.Object)
		}
		position = pod.ResourceVersion
		if len(pod.Status.ContainerStatuses) > 0 {
			c.journal.seen(c.journal.watched, c.number(pod.Name, pod.Status.ContainerStatuses[0].RestartCount), at)
		}
	}
	return position, nil
}

// listen follows OOM kills on a WebSocket; see watchBare.
func (c *course) listen(ctx context.Context, url string) (<-chan error, error) {
	clients := streamtest.Clients(url, nil)
	at := slices.IndexFunc(clients, func(c streamtest.Client) bool { return c.Name() == "websocket" })
	stream, err := clients[at].Open(ctx, &rightsizerv1.EventFilter{EventTypes: []string{"pod.oom_killed"}}, "")
	if err != nil {
		return nil, fmt.Errorf("open a WebSocket: %w", err)
	}
	for synced := false; !synced; {
		msg, err := stream.Next()
		if err != nil {
			return nil, fmt.Errorf("read the WebSocket: %w", err)
		}
		synced = msg.GetSynced() != nil
	}
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		defer stream.Close() //nolint:errcheck // read to its end
		for {
			msg, err := stream.Next()
			if err != nil {
				if ctx.Err() == nil {
					ended <- fmt.Errorf("read the WebSocket: %w", err)
				}
				return
			}
			at := c.journal.now()
			if event := msg.GetEvent(); event != nil {
				c.journal.seen(c.journal.heard, c.number(event.GetObject().GetName(), event.GetOomKilled().GetAttempt()+1), at)
			}
		}
	}()
	return ended, nil
}
