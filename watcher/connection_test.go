package watcher_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/watchertest"
)

const (
	healthOK       = rightsizerv1.HealthState_HEALTH_STATE_OK
	healthStarting = rightsizerv1.HealthState_HEALTH_STATE_STARTING
	healthDegraded = rightsizerv1.HealthState_HEALTH_STATE_DEGRADED
	healthDown     = rightsizerv1.HealthState_HEALTH_STATE_DOWN
)

func TestWaitsForAnAPIServerThatStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop(web("web-a"))
		server.SetDown(true)
		began := time.Now()
		r := start(t, server)
		defer r.stop()
		assert.Equal(t, healthStarting, r.component("kubernetes").GetState())
		assert.Contains(t, r.component("kubernetes").GetReason(), "connection refused")
		require.ErrorIs(t, r.Ready(), watcher.ErrNotSynced)

		server.Refuse(503, "building kube-apiserver: 41 %\x1b[2J")
		server.SetDown(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		line := r.component("kubernetes")
		assert.Equal(t, healthStarting, line.GetState())
		assert.Equal(t, "building kube-apiserver: 41 % [2J", line.GetReason())
		assert.Equal(t, began.Unix(), line.GetSince().AsTime().Unix())
		require.ErrorContains(t, r.Ready(), "building kube-apiserver")
		assert.Equal(t, healthStarting, r.component("watch/pods").GetState())

		server.Refuse(503, "starting etcd")
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, "starting etcd", r.component("kubernetes").GetReason(), "told within a second")

		server.Refuse(0, "")
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		require.NoError(t, r.Ready())
		for _, h := range r.Health() {
			assert.Equal(t, healthOK, h.GetState(), h.GetComponent())
			assert.Empty(t, h.GetReason(), h.GetComponent())
		}
		assert.Equal(t, watchertest.Version, r.Cluster().GetVersion())
		assert.NotNil(t, r.Cluster().GetSyncedTime())
	})
}

func TestALostConnectionIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, shop(web("web-a")))
		defer r.stop()
		time.Sleep(10 * time.Minute) // Nothing happens in this cluster.
		assert.Equal(t, healthDegraded, r.component("watch/pods").GetState(), "not even a bookmark")
		r.server.Bookmark()
		synctest.Wait()
		assert.Equal(t, healthOK, r.component("watch/pods").GetState())
		assert.Equal(t, time.Now(), r.LastActivity())

		time.Sleep(50 * time.Second)
		r.server.SetDown(true)
		synctest.Wait()
		lost := time.Now()
		for _, name := range []string{"kubernetes", "watch/pods", "watch/nodes", "watch/replicasets", "watch/events"} {
			assert.Equal(t, healthDown, r.component(name).GetState(), name)
			assert.Contains(t, r.component(name).GetReason(), "connection refused", name)
		}
		require.NoError(t, r.Ready(), "forgiven for a minute")
		time.Sleep(time.Minute)
		require.NoError(t, r.Ready())
		time.Sleep(2 * time.Second)
		require.ErrorIs(t, r.Ready(), watcher.ErrBlind)
		assert.Equal(t, lost.Unix(), r.component("watch/pods").GetSince().AsTime().Unix())
		assert.True(t, r.Synced(), "stays true")

		r.server.SetDown(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.NoError(t, r.Ready())
		assert.Equal(t, healthOK, r.component("kubernetes").GetState())
	})
}

// A dying server, or a proxy without one behind it: client-go takes that for an
// empty watch.
func TestAServerThatDropsConnectionsIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := web("web-a")
		r := start(t, shop(pod))
		defer r.stop()
		r.server.Bookmark()
		synctest.Wait()
		heard := time.Now()
		time.Sleep(10 * time.Second)
		r.server.SetDropping(true)
		synctest.Wait()
		assert.Equal(t, healthDown, r.component("watch/pods").GetState())
		time.Sleep(62 * time.Second)
		require.ErrorIs(t, r.Ready(), watcher.ErrBlind)
		r.server.Compact()
		r.server.SetDropping(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.NoError(t, r.Ready())
		resyncs := r.out.takeResyncs()
		require.ElementsMatch(t, everyResource(), scopes(resyncs))
		assert.Equal(t, heard.Unix(), resyncs[0].GetSince().AsTime().Unix())
	})
}

// A server that is overloaded says when to come again: no request comes before,
// and soon after one does. What it asks for is bounded.
func TestRetryAfterIsHeeded(t *testing.T) {
	for name, tt := range map[string]struct {
		asks  func() string
		least time.Duration
	}{
		"seconds":           {func() string { return "7" }, 7 * time.Second},
		"a date":            {func() string { return time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat) }, 8 * time.Second},
		"beyond the bound":  {func() string { return "86400" }, 30 * time.Second},
		"less than a pause": {func() string { return "0" }, 0},
		"nonsense":          {func() string { return "soon" }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, shop(web("web-a")))
				defer r.stop()
				watches := len(watcher.Resources())
				throttled := func() (n int) {
					for _, request := range r.server.Requests() {
						if strings.HasPrefix(request, "throttled ") {
							n++
						}
					}
					return n
				}
				time.Sleep(time.Minute) // No watch is short.
				r.server.Throttle(tt.asks())
				synctest.Wait()
				if tt.least == 0 {
					time.Sleep(5 * time.Second)
					synctest.Wait()
					assert.Greater(t, throttled(), 3*watches, "its own pauses")
					return
				}
				require.Equal(t, watches, throttled(), "once each")
				assert.Equal(t, healthDown, r.component("watch/pods").GetState())
				assert.Contains(t, r.component("watch/pods").GetReason(), "too many requests")
				time.Sleep(tt.least - time.Millisecond)
				synctest.Wait()
				assert.Equal(t, watches, throttled(), "none before the time")
				r.server.Throttle("")
				time.Sleep(tt.least/4 + 2*time.Second) // With the jitter.
				synctest.Wait()
				assert.Equal(t, watches, throttled())
				require.NoError(t, r.Ready())
				assert.Equal(t, healthOK, r.component("watch/pods").GetState())
				assert.Empty(t, r.out.takeResyncs(), "continued: nothing was lost")
			})
		})
	}
}

func TestPagesWhereThereIsNoStreaming(t *testing.T) {
	tests := map[string]struct {
		server  *watchertest.Server
		disable bool
	}{
		"an old server":                 {server: watchertest.New().WithoutWatchList()},
		"switched off by configuration": {server: watchertest.New(), disable: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.server.Put(webDeployment(), webReplicaSet())
				for _, p := range manyPods(1200) {
					tt.server.Put(p)
				}
				r := start(t, tt.server, func(o *watcher.Options) { o.DisableWatchList = tt.disable })
				defer r.stop()
				time.Sleep(2 * time.Second)
				synctest.Wait()
				require.NoError(t, r.Ready())
				assert.Equal(t, int32(1200), r.Cluster().GetPods())
				pages := 0
				for _, req := range tt.server.Requests() {
					if req == "list "+watchertest.Pods {
						pages++
					}
				}
				assert.Equal(t, 12, pages, "100 at a time")

				// What comes later is a change, and a list after a loss a relist.
				tt.server.SetDown(true)
				synctest.Wait()
				tt.server.Delete(manyPods(1)[0])
				tt.server.Compact()
				tt.server.SetDown(false)
				time.Sleep(3 * time.Second)
				synctest.Wait()
				assert.Equal(t, int32(1199), r.Cluster().GetPods())
				assert.ElementsMatch(t, everyResource(), scopes(r.out.takeResyncs()))
			})
		})
	}
}

// A list of several pages that expires between two of them is begun anew: what
// was not read yet is not gone.
func TestAListThatExpiresHalfwayIsReadAnew(t *testing.T) {
	for name, times := range map[string]int{"once": 1, "more often than it is begun anew at once": 9} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := shop()
				for _, p := range manyPods(250) {
					server.Put(p)
				}
				r := start(t, server, func(o *watcher.Options) { o.DisableWatchList = true })
				defer r.stop()
				require.Equal(t, int32(250), r.Cluster().GetPods())
				r.out.take()
				server.ExpirePages(watchertest.Pods, times)
				server.Expire(watchertest.Pods)
				time.Sleep(time.Minute)
				synctest.Wait()
				assert.Equal(t, []string{"pods"}, scopes(r.out.takeResyncs()))
				assert.Equal(t, int32(250), r.Cluster().GetPods())
				assert.Empty(t, r.out.take(), "no pod is gone")
			})
		})
	}
}

func TestWhatMayNotBeReadIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := end(web("web-a"), "OOMKilled", 137, time.Second)
		server := shop(pod)
		server.Forbid(watchertest.ReplicaSets, true)
		server.Forbid(watchertest.Events, true)
		r := start(t, server)
		defer r.stop()
		require.NoError(t, r.Ready())
		assert.Equal(t, healthDown, r.component("watch/replicasets").GetState())
		assert.Contains(t, r.component("watch/replicasets").GetReason(), "forbidden")
		assert.Equal(t, healthOK, r.component("kubernetes").GetState(), "it answers")
		events := r.out.take()
		require.Len(t, events, 1)
		assert.Equal(t, "Deployment", events[0].GetWorkload().GetKind(), "by the template hash")
		assert.Equal(t, "web", events[0].GetWorkload().GetName())

		// The right is granted later.
		server.Forbid(watchertest.ReplicaSets, false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, healthOK, r.component("watch/replicasets").GetState())
	})
}

func TestPodsThatMayNotBeReadKeepItFromBeingReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		server.Forbid(watchertest.Pods, true)
		r := start(t, server)
		defer r.stop()
		require.ErrorContains(t, r.Ready(), "waiting for pods")
		assert.False(t, r.Synced())
	})
}

func TestWithoutTheRightToReadTheClusterID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := shop()
		server.Forbid("/api/v1/namespaces/kube-system", true)
		r := start(t, server)
		assert.Contains(t, r.component("kubernetes").GetReason(), "cluster's id")
		r.stop()

		r = start(t, server, func(o *watcher.Options) { o.ClusterID = "mine" })
		defer r.stop()
		require.NoError(t, r.Ready())
		assert.Equal(t, "mine", r.Cluster().GetId())
		assert.Equal(t, "mine", r.ClusterID())
	})
}

func TestRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, shop())
		require.ErrorIs(t, r.Run(t.Context()), watcher.ErrRunning)
		r.stop()
		require.ErrorIs(t, r.Run(t.Context()), watcher.ErrRunning)
	})
}

// No time passes between the end of ctx and that of Run, whatever goes on then. A
// bubble each, since what the process keeps from one to the next (client-go's
// handler of errors does, and sleeps by it) shows only there.
func TestRunEndsWhileTheServerIsAway(t *testing.T) {
	for range 30 {
		synctest.Test(t, func(t *testing.T) {
			server := shop()
			var log strings.Builder
			r := start(t, server, func(o *watcher.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			server.SetDown(true)
			time.Sleep(time.Minute)
			began := time.Now()
			r.stop()
			require.Zero(t, time.Since(began))
			require.NotContains(t, log.String(), context.Canceled.Error(), "that we stop is no failure")

			r = start(t, server)
			time.Sleep(time.Minute)
			began = time.Now()
			r.stop()
			require.Zero(t, time.Since(began))
		})
	}
}

// Over a real connection: nothing is left behind, whatever state it ends in.
func TestRunLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	server := shop(web("web-a"))
	network := httptest.NewServer(server)
	defer network.Close()
	out := &recorder{t: t}
	w, err := watcher.New(watcher.Options{Config: &rest.Config{Host: network.URL}, Publisher: out})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	require.Eventually(t, w.Synced, 10*time.Second, 5*time.Millisecond)
	server.Put(end(web("web-a"), "OOMKilled", 137, time.Second))
	require.Eventually(t, func() bool { return len(w.Problems()) == 1 }, 10*time.Second, time.Millisecond)
	network.CloseClientConnections()
	require.Eventually(t, func() bool { return w.Ready() == nil }, 10*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

// A port at which nobody listens.
func TestRunLeavesNothingBehindWithoutAServer(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	host := l.Addr().String()
	require.NoError(t, l.Close())
	w, err := watcher.New(watcher.Options{Config: &rest.Config{Host: "http://" + host}, Publisher: &recorder{t: t}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	require.Eventually(t, func() bool {
		return w.Health()[0].GetReason() == "dial tcp "+host+": connect: connection refused"
	}, 10*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

func manyPods(n int) []*corev1.Pod {
	out := make([]*corev1.Pod, 0, n)
	for i := range n {
		p := web("web-" + string(rune('a'+i%26)) + "-" + itoa(i))
		p.CreationTimestamp = metav1.Now()
		out = append(out, p)
	}
	return out
}
