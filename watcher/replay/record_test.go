package replay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/rightsizer/rightsizer/watcher"
	"github.com/rightsizer/rightsizer/watcher/replay"
	"github.com/rightsizer/rightsizer/watcher/watchertest"
)

// cluster is a server and what happens to it.
type cluster struct {
	// plain knows no streaming lists.
	plain bool
	// before is there when the watchers come.
	before func(*watchertest.Server)
	during func(*watchertest.Server)
}

// recorded runs a recorder and a watcher side by side and returns the recording
// and what was published live.
func recorded(t *testing.T, c cluster, o replay.RecordOptions) ([]byte, *published) {
	t.Helper()
	var (
		out  bytes.Buffer
		raw  []byte
		live = &published{}
	)
	synctest.Test(t, func(t *testing.T) {
		server := watchertest.New()
		if c.plain {
			server.WithoutWatchList()
		}
		if c.before != nil {
			c.before(server)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() {
			_, err := replay.Record(ctx, server.Config(), o, &out)
			done <- err
		}()
		w, err := watcher.New(watcher.Options{Config: server.Config(), Publisher: live})
		require.NoError(t, err)
		go func() { done <- w.Run(ctx) }()
		synctest.Wait()
		if c.during != nil {
			c.during(server)
		}
		synctest.Wait()
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		raw = out.Bytes()
	})
	return raw, live
}

func oneCrash(server *watchertest.Server) { server.Put(crashing("p", 2, "OOMKilled")) }

func pass(d time.Duration) {
	time.Sleep(d) // In the bubble: nobody waits.
	synctest.Wait()
}

// crashing is a pod whose container ended n times.
func crashing(name string, n int32, reason string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "ns", UID: "uid-1", CreationTimestamp: metav1.Now(),
			Annotations: map[string]string{
				"kubectl.kubernetes.io/last-applied-configuration": "hunter2", "example.com/token": "hunter2",
				"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
			},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		},
		Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyAlways, Containers: []corev1.Container{{
			Name: "app", Image: "registry.test/web:1", Command: []string{"run", "--password=hunter2"}, Args: []string{"hunter2"},
			Env: []corev1.EnvVar{
				{Name: "PASSWORD", Value: "hunter2"},
				{Name: "REF", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "key-of-secret"}}},
			},
			LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
				HTTPHeaders: []corev1.HTTPHeader{{Name: "Authorization", Value: "hunter2"}},
			}}},
			Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"hunter2"}}}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", RestartCount: n,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
		}}},
	}
	if n > 0 {
		p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: 137, Reason: reason, Message: "hunter2", ContainerID: "run-" + string('0'+n),
			StartedAt: metav1.NewTime(time.Now().Add(-time.Second)), FinishedAt: metav1.Now(),
		}
	}
	return p
}

// What a replay gives is what a watcher gave at the time, to the last field:
// through lists, changes, a lost watch, refusals, deadlines and deletions, with
// and without streaming lists.
func TestReplayIsWhatWasLive(t *testing.T) {
	for name, plain := range map[string]bool{"streaming lists": false, "pages": true} {
		t.Run(name, func(t *testing.T) {
			node := &corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "n"},
				Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
			}
			before := func(server *watchertest.Server) { server.Put(node) }
			raw, live := recorded(t, cluster{plain, before, func(server *watchertest.Server) {
				pass(time.Minute)
				// The id of a cordon comes from managedFields.
				node.Spec.Unschedulable = true
				node.ManagedFields = []metav1.ManagedFieldsEntry{{
					Manager: "kubectl", Time: &metav1.Time{Time: time.Now().Add(-time.Second)}, FieldsType: "FieldsV1",
					FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:unschedulable":{},"f:command":{}}}`),
				}}
				server.Put(node)
				pass(time.Minute)
				for n := range int32(4) {
					server.Put(crashing("p", n, "OOMKilled"))
					pass(time.Minute)
				}
				server.Bookmark()
				server.Drop() // Continued where it ended.
				pass(time.Minute)
				server.Refuse(503, "etcd is away")
				pass(5 * time.Second)
				server.Compact() // Not to be continued.
				server.Refuse(0, "")
				pass(time.Minute)
				server.Put(crashing("p", 4, "OOMKilled"))
				pass(20 * time.Minute) // The loop ends by itself.
				server.Bookmark()
				server.Delete(crashing("p", 5, "OOMKilled"))
				pass(time.Second)
			}}, replay.RecordOptions{Source: "a test"})
			again, result := play(t, name, raw)
			require.Len(t, again.events, len(live.events))
			for i, e := range live.events {
				assert.Truef(t, proto.Equal(e, again.events[i]), "%v\n%v", e, again.events[i])
			}
			assert.Len(t, live.resyncs, len(watcher.Resources()), "one for each watch")
			// In any order: those of different resources come from different goroutines.
			assert.ElementsMatch(t, live.lines, again.lines)
			assert.GreaterOrEqual(t, len(live.events), 9)
			assert.Equal(t, watchertest.ClusterUID, result.Header.ClusterID)
			assert.Equal(t, watchertest.Version, result.Header.ServerVersion)
			assert.Equal(t, "a test", result.Header.Source)
			require.NoError(t, result.Watcher.Ready())
		})
	}
}

func TestSecretsAreNotRecorded(t *testing.T) {
	raw, _ := recorded(t, cluster{during: func(server *watchertest.Server) {
		server.Put(crashing("p", 2, "Error"))
		pass(time.Second)
		cannot := crashing("q", 2, "StartError")
		cannot.Status.ContainerStatuses[0].LastTerminationState.Terminated.Message = "exec: no such file"
		server.Put(cannot)
	}}, replay.RecordOptions{})
	text := string(raw)
	assert.NotContains(t, text, "hunter2")
	assert.NotContains(t, text, "managedFields")
	for _, kept := range []string{"PASSWORD", "key-of-secret", "safe-to-evict", "registry.test/web:1", "Authorization", "exec: no such file"} {
		assert.Contains(t, text, kept)
	}
}

// Whole objects are recorded where the watcher asks for metadata alone; it gets
// no more than that.
func TestWholeObjectsAreRecorded(t *testing.T) {
	for name, plain := range map[string]bool{"streaming lists": false, "pages": true} {
		t.Run(name, func(t *testing.T) {
			five := int32(5)
			job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "j", Namespace: "ns", UID: "j"}, Spec: batchv1.JobSpec{BackoffLimit: &five}}
			raw, _ := recorded(t, cluster{
				plain: plain, before: func(server *watchertest.Server) { server.Put(job) },
				during: func(server *watchertest.Server) {
					pass(time.Minute) // Until pages are read where streams are refused.
					job.Name, job.UID = "k", "k"
					server.Put(job)
				},
			}, replay.RecordOptions{})
			assert.Equal(t, 2, strings.Count(string(raw), `"backoffLimit":5`))
		})
	}
}

// What a detector goes by is in the recording, also where its name looks like
// somebody's own.
func TestARolloutOfADaemonSetIsRecorded(t *testing.T) {
	raw, live := recorded(t, cluster{during: func(server *watchertest.Server) {
		server.Put(&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{
			Name: "d", Namespace: "ns", UID: "d", CreationTimestamp: metav1.Now(),
			Annotations: map[string]string{appsv1.DeprecatedTemplateGeneration: "1", "mine": "hunter2"},
		}})
		pass(time.Second)
	}}, replay.RecordOptions{})
	require.Len(t, live.only("daemonset.rollout_started"), 1)
	again, _ := play(t, "f", raw)
	assert.Len(t, again.only("daemonset.rollout_started"), 1)
	assert.NotContains(t, string(raw), "hunter2")
}

func TestOnlySomeResources(t *testing.T) {
	raw, _ := recorded(t, cluster{during: func(server *watchertest.Server) {
		server.Put(crashing("p", 2, "Error"))
		server.Put(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "n"}})
	}}, replay.RecordOptions{Resources: []string{"nodes"}})
	for l := range strings.Lines(string(raw)) {
		assert.NotContains(t, l, `"pods"`)
	}
	assert.Contains(t, string(raw), `"nodes","type":"ADDED"`)

	_, err := replay.Record(t.Context(), watchertest.New().Config(), replay.RecordOptions{Resources: []string{"gizmos"}}, &bytes.Buffer{})
	require.ErrorIs(t, err, watcher.ErrUnknownResource)
}

// What may not be read is told once, not once a second.
func TestRefusalsAreRecordedOnce(t *testing.T) {
	raw, _ := recorded(t, cluster{
		before: func(server *watchertest.Server) { server.Forbid(watchertest.CronJobs, true) },
		during: func(server *watchertest.Server) {
			pass(time.Minute)
			server.Put(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "n"}})
		},
	}, replay.RecordOptions{})
	assert.Equal(t, 1, strings.Count(string(raw), `"type":"ERROR"`))
	_, result := play(t, "f", raw)
	assert.Contains(t, reasons(result.Watcher), "watch/cronjobs: forbidden: /apis/batch/v1/cronjobs")
	assert.True(t, result.Watcher.Synced())
}

// A watch that works again after a failure is healthy in the replay, too.
func TestWatchThatGoesOn(t *testing.T) {
	raw, _ := recorded(t, cluster{during: func(server *watchertest.Server) {
		server.Refuse(503, "away")
		pass(10 * time.Second)
		server.Refuse(0, "")
		pass(10 * time.Second)
	}}, replay.RecordOptions{})
	_, result := play(t, "f", raw)
	assert.NotContains(t, reasons(result.Watcher), "away")
	require.NoError(t, result.Watcher.Ready())
}

// At its bound a recording ends; what is there can be played.
func TestRecordingIsBounded(t *testing.T) {
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		server := watchertest.New()
		for name := range strings.SplitSeq("abcdefghijklmnopqrstuvwxyz", "") {
			server.Put(crashing("p-"+name, 2, "OOMKilled"))
		}
		lines, err := replay.Record(t.Context(), server.Config(), replay.RecordOptions{MaxBytes: 16 << 10}, &out)
		require.ErrorIs(t, err, replay.ErrFull)
		assert.Positive(t, lines)
	})
	assert.LessOrEqual(t, out.Len(), 16<<10)
	play(t, "f", out.Bytes())
	_, err := replay.Record(t.Context(), watchertest.New().Config(), replay.RecordOptions{MaxBytes: 1}, &out)
	require.ErrorContains(t, err, "MaxBytes is 1, must be at least 1024")
}

func TestNobodyToRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := watchertest.New()
		server.SetDown(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := replay.Record(ctx, server.Config(), replay.RecordOptions{}, &bytes.Buffer{})
		require.ErrorContains(t, err, "nothing was recorded: the API server could not be read: ")
	})
}

// Who answers and has nothing to give is told apart from who cannot be reached.
func TestNobodyToRecordFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := &rest.Config{Host: "https://cluster.test", Transport: answers(http.StatusServiceUnavailable)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := replay.Record(ctx, config, replay.RecordOptions{}, &bytes.Buffer{})
		require.ErrorContains(t, err, "the API server could not be read: 503 Service Unavailable")
	})
}

// answers is a server that has one answer.
type answers int

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: int(a), Status: fmt.Sprintf("%d %s", int(a), http.StatusText(int(a))),
		Header: http.Header{}, Body: http.NoBody, Request: req,
	}, nil
}

// Gzip is written and recognised.
func TestGzip(t *testing.T) {
	raw, _ := recorded(t, cluster{during: oneCrash}, replay.RecordOptions{Gzip: true})
	assert.Equal(t, []byte{0x1f, 0x8b}, raw[:2])
	out, _ := play(t, "f", raw)
	assert.NotEmpty(t, out.events)
}

// A file that cannot be written ends the recording.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := replay.Record(t.Context(), watchertest.New().Config(), replay.RecordOptions{}, full{})
		require.ErrorIs(t, err, http.ErrContentLength)
	})
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, http.ErrContentLength }

// Any object comes out of redaction as JSON, with its names.
func TestLinesAreJSON(t *testing.T) {
	raw, _ := recorded(t, cluster{during: oneCrash}, replay.RecordOptions{})
	for l := range strings.Lines(string(raw)) {
		assert.True(t, json.Valid([]byte(l)))
	}
}
