package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rightsizer/rightsizer/server/streamtest"
)

const (
	// ring is how many events the operator's ring holds by default; a quarter
	// more are published, so that it is full and was overwritten.
	ring = 4096
	// silence is what comes before the steady state is read.
	silence = 15 * time.Second
)

// footprint is one row of the table; bytes, where nothing else is said.
type footprint struct {
	pods   int
	stream bool

	// Peaks: until it is ready, until all pods were measured and the history has
	// them, until the ring is full, while lists are read again.
	first, used, full, relist int64
	// sketches and history are what these two take at the end.
	sketches, history int64
	charged           int64
	steady, heap      int64
	cpu               float64 // seconds
	ready             time.Duration
	events            int
}

func (f *footprint) peak() int64 { return max(f.first, f.used, f.full, f.relist) }

// memory prints the curve: pods → MiB.
func memory(ctx context.Context, s *settings) (err error) {
	cluster, err := startControlPlane(ctx, s.nodes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	usage, err := startMeasurements(ctx, cluster, s.nodes)
	if err != nil {
		return err
	}
	defer usage.server.Close()
	people := &population{cluster: cluster, nodes: s.nodes, usage: usage}
	var rows []footprint
	defer func() { // what was measured is told even where a later step fails
		if len(rows) > 0 {
			printFootprints(s, people, rows)
		}
	}()
	for _, pods := range s.pods {
		if err := people.grow(ctx, pods); err != nil {
			return err
		}
		for _, stream := range []bool{true, false} {
			if s.only != "" && (s.only == "stream") != stream {
				continue
			}
			row, err := weighOperator(ctx, s, people, stream)
			if err != nil {
				return err
			}
			say("%d pods, %s: peak %s MiB (first list %s, measured %s, ring full %s, relist %s), steady %s",
				pods, wayOf(stream), mib(row.peak()), mib(row.first), mib(row.used), mib(row.full), mib(row.relist), mib(row.steady))
			rows = append(rows, row)
		}
	}
	return judge(rows)
}

// judge holds the one figure that is promised.
func judge(rows []footprint) error {
	for _, r := range rows {
		if r.stream && r.pods <= 10000 && r.peak() >= memoryBound {
			return fmt.Errorf("%d pods took %s MiB at their peak, less than %d were promised", r.pods, mib(r.peak()), memoryBound>>20)
		}
	}
	return nil
}

// weighOperator runs the operator once: first list, usage of all pods, streams, a
// full ring, a relist, silence; usage goes on meanwhile.
func weighOperator(ctx context.Context, s *settings, people *population, stream bool) (_ footprint, err error) {
	row := footprint{pods: people.pods, stream: stream}
	var flags []string
	if !stream {
		flags = []string{"--disable-watch-list"}
	}
	begin := time.Now()
	o, err := serve(ctx, s, people.cluster, flags...)
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, o.stopServing()) }()
	row.ready, row.first = time.Since(begin), o.lap()
	name := fmt.Sprintf("%d-%s", people.pods, wayOf(stream))
	if err := o.profile(ctx, s, name+"-1-ready"); err != nil {
		return row, err
	}
	if err := o.until(ctx, "measured all pods", func() bool {
		return int(o.sum(ctx, "rightsizer_usage_pods", "")) >= people.pods && o.sum(ctx, "rightsizer_usage_history_series", "") > 0
	}); err != nil {
		return row, err
	}
	row.used = o.lap()
	streams, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := openStreams(streams, o.url, s.streams); err != nil {
		return row, err
	}
	published := func() int { return int(o.sum(ctx, "rightsizer_watcher_events_published_total", "")) }
	for published() < ring*5/4 {
		if err := people.kill(ctx); err != nil {
			return row, err
		}
	}
	row.full = o.lap()
	if err := o.profile(ctx, s, name+"-2-ring"); err != nil {
		return row, err
	}
	if err := people.cluster.loseHistory(ctx); err != nil {
		return row, err
	}
	if err := o.until(ctx, "read every list again", func() bool {
		return o.sum(ctx, "rightsizer_watcher_relists_total", `"pods"`) > 0 && o.sum(ctx, "rightsizer_watcher_relists_total", `"replicasets"`) > 0
	}); err != nil {
		return row, err
	}
	select {
	case <-ctx.Done():
		return row, ctx.Err()
	case <-time.After(silence):
	}
	row.relist, row.charged, row.steady = o.lap(), o.charged(), o.resident()
	row.heap, row.cpu = int64(o.sum(ctx, "go_memstats_heap_alloc_bytes", "")), o.sum(ctx, "process_cpu_seconds_total", "")
	row.sketches, row.history = int64(o.sum(ctx, "rightsizer_usage_sketch_bytes", "")), int64(o.sum(ctx, "rightsizer_usage_history_bytes", ""))
	row.events = published()
	if held := int(o.sum(ctx, "rightsizer_watcher_objects", `"pods"`)); held != people.pods {
		return row, fmt.Errorf("the operator holds %d pods, not %d", held, people.pods)
	}
	return row, o.profile(ctx, s, name+"-3-steady")
}

// openStreams opens streams that want everything and reads them to their end;
// every other one is a WebSocket, the rest Connect.
func openStreams(ctx context.Context, url string, n int) error {
	byName := map[string]streamtest.Client{}
	for _, c := range streamtest.Clients(url, nil) {
		if byName[c.Name()] == nil {
			byName[c.Name()] = c
		}
	}
	for i := range n {
		client := byName["websocket"]
		if i%2 == 1 {
			client = byName["connect"]
		}
		stream, err := client.Open(ctx, nil, "")
		if err != nil {
			return fmt.Errorf("open stream %d: %w", i+1, err)
		}
		if _, err := stream.Next(); err != nil {
			return fmt.Errorf("stream %d: %w", i+1, err)
		}
		go func() {
			for {
				if _, err := stream.Next(); err != nil {
					_ = stream.Close()
					return
				}
			}
		}()
	}
	return nil
}

func wayOf(stream bool) string {
	if stream {
		return "streamed"
	}
	return "paged"
}

func mib(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<20)) }

func printFootprints(s *settings, people *population, rows []footprint) {
	fmt.Printf("%s\n\n", machine())
	fmt.Printf("%d nodes; a pod is %d bytes in protobuf, %d in JSON; one Deployment and two ReplicaSets for %d pods; GOMEMLIMIT %s; %d streams; %s.\n\n",
		s.nodes, people.encoded, people.json, perDeployment, s.memLimit, s.streams, newGaugeName())
	fmt.Println("| pods | first list | peak MiB | until ready | measured | ring full | relist | with cached files | steady RSS | Go heap | sketches | history | ready after s | CPU s | events |")
	fmt.Println("|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, r := range rows {
		fmt.Printf("| %d | %s | **%s** | %s | %s | %s | %s | %s | %s | %s | %s | %s | %.1f | %.1f | %d |\n", r.pods, wayOf(r.stream),
			mib(r.peak()), mib(r.first), mib(r.used), mib(r.full), mib(r.relist), mib(r.charged), mib(r.steady), mib(r.heap),
			mib(r.sketches), mib(r.history), r.ready.Seconds(), r.cpu, r.events)
	}
}

// newGaugeName says how memory is measured on this machine.
func newGaugeName() string {
	g := newGauge(0, 0)
	defer g.end()
	return strings.TrimSpace(g.how())
}
