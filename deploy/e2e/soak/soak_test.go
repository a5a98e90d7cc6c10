//go:build soak

package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/deploy/devcluster"
	"github.com/rightsizer/rightsizer/server/streamtest"
)

// The faults at full length; a short run has them closer together.
const (
	streams       = 20
	apiServerEach = 30 * time.Second
	killEach      = time.Minute
	sampleEach    = 2 * time.Second
)

// What the second half may cost.
const (
	slackBytes      = 8 << 20 // once: caches that fill, the collector's breath
	bytesPerMinute  = 1 << 20
	slackGoroutines = 8 // a watch in hand, a request to the API server
)

func duration(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SOAKTIME")
	if text == "" {
		return 10 * time.Minute
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, "SOAKTIME wants a duration such as 10m")
	require.GreaterOrEqual(t, d, time.Minute, "SOAKTIME wants at least 1m")
	return d
}

// wait returns after d, or early when ctx ends; it says whether ctx goes on.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func TestSoak(t *testing.T) {
	half := duration(t) / 2
	cluster, err := devcluster.Start(t.Context(), devcluster.Options{Nodes: 3, Progress: devcluster.ProgressPrinter(os.Stderr, false)})
	require.NoError(t, err)
	defer func() { assert.NoError(t, cluster.Stop()) }()
	require.NoError(t, cluster.Apply(t.Context(), "mixed", ""))
	o := newOperator(t, cluster.KubeconfigPath())
	book := newLedger()
	o.start(t)

	t.Log("first half: the operator is killed, the API server restarts, clients come and go")
	stopReaders := readers(t, o, book)
	stopFaults := restartAPIServer(t, cluster, book, min(apiServerEach, half/3))
	for end := time.Now().Add(half); time.Until(end) > 0; {
		if !wait(t.Context(), min(killEach, half/3)) {
			break
		}
		o.end(syscall.SIGKILL)
		book.count("SIGKILLs")
		o.start(t)
	}
	stopReaders()
	stopFaults()

	t.Log("second half: the operator lives; its memory and goroutines are measured")
	before := quiet(t, o)
	stopReaders = readers(t, o, book)
	stopFaults = restartAPIServer(t, cluster, book, min(apiServerEach, half/3))
	wait(t.Context(), half/4) // warm-up: the ring fills, the heap finds its size
	memory := measure(t, o, half-half/4)
	stopReaders()
	stopFaults()
	after := settled(t, o, before+slackGoroutines)

	window := half - half/4
	rise := slope(memory) * window.Minutes()
	bound := slackBytes + bytesPerMinute*window.Minutes()
	t.Logf("%v; %d memory samples over %s: from %.1f to %.1f MiB, rise by least squares %.2f MiB (bound %.2f); goroutines without clients: %.0f before, %.0f after",
		book.counts, len(memory), window, memory[0].bytes/(1<<20), memory[len(memory)-1].bytes/(1<<20), rise/(1<<20), bound/(1<<20), before, after)
	assert.LessOrEqual(t, rise, bound, "resident memory rises")
	assert.LessOrEqual(t, after, before+slackGoroutines, "goroutines leak")
	for _, wrong := range book.wrong {
		t.Error(wrong)
	}
	for _, what := range []string{"entries", "resets", "resumes", "SIGKILLs", "API server restarts"} {
		assert.Positive(t, book.counts[what], "a soak without %s shows nothing", what)
	}
}

// readers keeps the streams coming and going until the function returned is called.
func readers(t *testing.T, o *operator, book *ledger) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	clients := streamtest.Clients("http://"+o.api, nil)
	var all sync.WaitGroup
	for i := range streams {
		client := clients[i%len(clients)]
		all.Go(func() {
			at := &cursor{client: fmt.Sprintf("reader %d, %s", i, client.Name())}
			after := ""
			for ctx.Err() == nil {
				after = read(ctx, o, book, client, at, after)
				wait(ctx, rand.N(500*time.Millisecond))
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// read reads one stream for some seconds and returns the position to go on from.
// Now and then a client forgets it.
func read(ctx context.Context, o *operator, book *ledger, client streamtest.Client, at *cursor, after string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second+rand.N(8*time.Second))
	defer cancel()
	if rand.IntN(10) == 0 {
		after = ""
	}
	life := o.life.Load()
	s, err := client.Open(ctx, nil, after)
	if err != nil {
		return after // it is dead for the moment
	}
	defer s.Close() //nolint:errcheck // it is over either way
	first, err := s.Next()
	if err != nil || first.GetOpened() == nil || o.life.Load() != life {
		return after // which life it was opened to is not sure
	}
	if at.life != life {
		at.position = ""
	}
	at.life, at.snapshot = life, false
	if after == "" {
		at.position = ""
	}
	book.take(at, first)
	for {
		msg, err := s.Next()
		if err != nil {
			return at.position
		}
		book.take(at, msg)
	}
}

// restartAPIServer does so again and again until the function returned is called.
func restartAPIServer(t *testing.T, cluster *devcluster.Cluster, book *ledger, each time.Duration) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for wait(ctx, each) {
			// A restart that was begun is finished: a cluster without an API server is no soak.
			if err := cluster.Restart(t.Context(), devcluster.APIServer); err != nil {
				t.Errorf("restart the API server: %v", err)
				return
			}
			book.count("API server restarts")
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
