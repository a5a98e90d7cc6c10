package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rightsizer/rightsizer/server/streamtest"
)

// What the deployment grants, and the load that it must carry within.
const (
	limitMiB   = memoryBound >> 20
	limitCPU   = 100 // millicores
	limitPods  = 500 // beside those that are killed
	limitRate  = 25  // status writes a second
	perWrite   = 4   // events of each: an OOM kill and a crash loop of two containers
	limitReads = 20  // subscribers
	settle     = time.Minute
)

// withinLimits runs the operator inside the deployment's own limits and holds that
// nothing is lost: 100 events a second to 20 subscribers over all protocols.
func withinLimits(ctx context.Context, s *settings) (err error) {
	own := *s
	own.limit, own.millicores, own.memLimit = limitMiB, limitCPU, "" // what Go may take follows from the limit
	cluster, err := startControlPlane(ctx, own.nodes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	usage, err := startMeasurements(ctx, cluster, own.nodes)
	if err != nil {
		return err
	}
	defer usage.server.Close()
	people := &population{cluster: cluster, nodes: own.nodes, usage: usage}
	if err := people.grow(ctx, limitPods); err != nil {
		return err
	}
	c, err := people.course(ctx, 0, limitRate)
	if err != nil {
		return err
	}
	c.both = true
	begin := time.Now()
	o, err := serve(ctx, &own, cluster)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.stopServing()) }()
	if o.cpuDir == "" {
		return errors.New("this machine has no cgroup for CPU to be had")
	}
	l := &limited{course: c, ready: time.Since(begin)}
	say("ready after %s", l.ready)
	if err := l.run(ctx, o, s.span); err != nil {
		return err
	}
	l.print(o)
	return l.judge()
}

// limited is one run inside limits.
type limited struct {
	*course

	ready       time.Duration
	subscribers []*subscriber
	before      throttling // when the load began
	after       throttling
}

func (l *limited) run(ctx context.Context, o *operator, span time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.journal = newJournal(int(float64(l.rate) * (span + warmUp).Seconds()))
	watching, err := l.watchBare(ctx)
	if err != nil {
		return err
	}
	clients := streamtest.Clients(o.url, nil)
	var reading sync.WaitGroup
	for i := range limitReads {
		r := &subscriber{course: l.course, name: clients[i%len(clients)].Name(), oomKills: map[string]bool{}}
		stream, err := clients[i%len(clients)].Open(ctx, nil, "")
		if err == nil {
			err = r.begin(stream)
		}
		if err != nil {
			return fmt.Errorf("subscriber %d: %w", i+1, err)
		}
		l.subscribers = append(l.subscribers, r)
		reading.Go(func() { r.read(stream) })
	}
	l.before = o.throttling()
	if err := l.write(ctx); err != nil {
		return err
	}
	for deadline := time.Now().Add(settle); !l.whole() && time.Now().Before(deadline) && ctx.Err() == nil; {
		time.Sleep(50 * time.Millisecond)
	}
	l.after = o.throttling()
	cancel()
	reading.Wait()
	return <-watching
}

// kills is how many OOM kills there were.
func (l *limited) kills() int { return 2 * len(l.journal.sent) }

// whole says that every subscriber has every OOM kill, and as many events as the
// others: crash loops are told behind them.
func (l *limited) whole() bool {
	_, events, _ := l.subscribers[0].got()
	for _, r := range l.subscribers {
		if kills, of, _ := r.got(); kills < l.kills() || of != events {
			return false
		}
	}
	return true
}

// judge holds that nothing was lost and that the load was what it should be.
func (l *limited) judge() error {
	var errs []error
	_, events, _ := l.subscribers[0].got()
	for i, r := range l.subscribers {
		kills, of, lost := r.got()
		if kills != l.kills() || of != events || lost != 0 {
			errs = append(errs, fmt.Errorf("subscriber %d (%s) got %d of %d OOM kills and %d events, %d lost", i+1, r.name, kills, l.kills(), of, lost))
		}
	}
	if l.reached < sustained*float64(l.rate) {
		errs = append(errs, fmt.Errorf("the API server took %.1f writes a second of %d", l.reached, l.rate))
	}
	return errors.Join(errs...)
}

func (l *limited) print(o *operator) {
	_, events, _ := l.subscribers[0].got()
	var late []time.Duration
	for _, r := range l.subscribers {
		late = append(late, r.late...)
	}
	slices.Sort(late)
	at := func(percent int) string {
		if len(late) == 0 {
			return "–"
		}
		return ms(late[min(len(late)*percent/100, len(late)-1)])
	}
	t := l.after.since(l.before)
	fmt.Printf("%s\n\n", machine())
	fmt.Printf("Limits of the operator's cgroups: %dm CPU, %d MiB; %d pods with usage; %d subscribers, all protocols; ms from the begin of the status write.\n\n",
		limitCPU, limitMiB, limitPods+len(l.pods), limitReads)
	fmt.Println("| events/s | events to each | OOM kills missing | bare watch p50 | p99 | subscribers p50 | p99 | periods throttled | throttled s | CPU s | peak MiB | ready after s |")
	fmt.Println("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	missing := 0
	for _, r := range l.subscribers {
		kills, _, _ := r.got()
		missing += l.kills() - kills
	}
	fmt.Printf("| %.0f | %d | %d | %s | %s | %s | %s | %d of %d | %.1f | %.1f | %s | %.1f |\n", l.reached*perWrite, events, missing,
		ms(l.bare(50)), ms(l.bare(99)), at(50), at(99), t.throttled, t.periods, t.stood.Seconds(), t.used.Seconds(), mib(o.lap()), l.ready.Seconds())
}

// subscriber reads one stream of everything.
type subscriber struct {
	*course

	name string

	mu       sync.Mutex
	oomKills map[string]bool // by id
	events   int
	lost     int64
	late     []time.Duration // of the first container's kills, after the warm-up
}

// begin reads to the end of the snapshot.
func (r *subscriber) begin(stream streamtest.Stream) error {
	for {
		msg, err := stream.Next()
		if err != nil || msg.GetSynced() != nil {
			return err
		}
	}
}

// read reads until the stream ends.
func (r *subscriber) read(stream streamtest.Stream) {
	defer stream.Close() //nolint:errcheck // read to its end
	for {
		msg, err := stream.Next()
		if err != nil {
			return
		}
		at := r.journal.now()
		r.mu.Lock()
		r.lost += msg.GetLost().GetCount()
		if ev := msg.GetEvent(); ev != nil {
			r.events++
			if end := ev.GetOomKilled(); end != nil {
				r.oomKills[ev.GetId()] = true
				n := r.number(ev.GetObject().GetName(), end.GetAttempt()+1)
				if n >= int(warmUp.Seconds())*r.rate && n < len(r.journal.sent) && ev.GetContainer() == r.pods[0].Spec.Containers[0].Name {
					r.late = append(r.late, time.Duration(at-r.journal.sent[n].Load()))
				}
			}
		}
		r.mu.Unlock()
	}
}

// got is how many OOM kills and events came, and how many events were told lost.
func (r *subscriber) got() (kills, events int, lost int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.oomKills), r.events, r.lost
}
