package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/audit"
)

// logs is a log that tests read while it is written.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func options(s *apiServer) audit.Options {
	return audit.Options{
		Config: s.config(), Namespace: "rightsizer", Replica: "one",
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	}.Small(64<<10, 512, 16<<20, 64, 20*time.Millisecond)
}

// start runs a log until the test ends, or stop is called.
func start(t *testing.T, opts audit.Options) (log *audit.Log, stop func()) {
	t.Helper()
	log, err := audit.New(opts)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return log, stop
}

func record(n int) *rightsizerv1.AuditRecord {
	return &rightsizerv1.AuditRecord{
		Actor: "system:serviceaccount:rightsizer:rightsizer", Action: "remediation.executing", Namespace: fmt.Sprintf("ns-%d", n%3),
		Target: "Pod/api-0", TargetUid: "u", Remediation: fmt.Sprintf("r-%d", n), Reason: "OOM kill", Policy: "RightSizerPolicy/ns/p", PolicyGeneration: 3,
		Diff:       `[{"op":"replace","path":"/spec/containers/0/resources/limits/memory","value":"512Mi"}]`,
		StateAfter: rightsizerv1.RemediationState_REMEDIATION_STATE_EXECUTING,
		Evidence:   map[string]string{"limit": "256Mi", "used": "255Mi"}, CauseEventIds: []string{"e1"},
	}
}

func appendN(t *testing.T, log *audit.Log, from, n int) (last *rightsizerv1.AuditHead) {
	t.Helper()
	for i := from; i < from+n; i++ {
		var err error
		last, err = log.Append(t.Context(), record(i))
		require.NoError(t, err)
	}
	return last
}

func verify(t *testing.T, log *audit.Log, known ...*rightsizerv1.AuditHead) *audit.Report {
	t.Helper()
	report, err := log.Verify(t.Context(), known...)
	require.NoError(t, err)
	return report
}

func kinds(r *audit.Report) (found []string) {
	for _, f := range r.Findings {
		found = append(found, f.GetKind())
	}
	return found
}

func TestRecordsAreChainedAndReadBack(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	out := &logs{}
	opts := options(s)
	opts.Logger = slog.New(slog.NewTextHandler(out, nil))
	log, _ := start(t, opts)
	head := appendN(t, log, 0, 5)
	assert.EqualValues(t, 5, head.GetSequence())
	assert.Contains(t, out.String(), head.GetHash(), "heads are logged")

	report := verify(t, log, head)
	assert.True(t, report.Valid(), report.Findings)
	assert.EqualValues(t, 5, report.Records)
	assert.EqualValues(t, 1, report.First)
	assert.Equal(t, head.GetHash(), report.Head.GetHash())

	var got []*rightsizerv1.AuditRecord
	require.NoError(t, log.Records(t.Context(), 0, func(r *rightsizerv1.AuditRecord) bool {
		got = append(got, r)
		return true
	}))
	require.Len(t, got, 5)
	assert.EqualValues(t, 5, got[0].GetSequence(), "the latest first")
	assert.Equal(t, got[1].GetHash(), got[0].GetPreviousHash())
	assert.Equal(t, strings.Repeat("0", 64), got[4].GetPreviousHash())
	assert.Equal(t, "one", got[4].GetReplica())
	assert.Equal(t, record(0).GetDiff(), got[4].GetDiff())
	assert.EqualValues(t, 3, got[4].GetPolicyGeneration())
	got = nil
	require.NoError(t, log.Records(t.Context(), 3, func(r *rightsizerv1.AuditRecord) bool {
		got = append(got, r)
		return false
	}))
	require.Len(t, got, 1)
	assert.EqualValues(t, 2, got[0].GetSequence())
}

// An append in the middle of a segment, that which closes it, and that which
// begins the next are one request each.
func TestAnAppendIsOneRequest(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	log, _ := start(t, options(s).Small(2000, 512, 1<<20, 9, time.Hour))
	appendN(t, log, 0, 1)
	for i := range 20 {
		before := s.count()
		appendN(t, log, i, 1)
		assert.Equal(t, 1, s.count()-before)
	}
	assert.Greater(t, len(s.names()), 3)
	names := s.names()
	s.edit(func(segments map[string]*corev1.ConfigMap) {
		for _, name := range names[:len(names)-1] {
			segment := segments[name]
			assert.True(t, segment.Immutable != nil && *segment.Immutable, "%s is behind, and not closed", name)
		}
	})
}

func TestWhatWaitsTogetherGoesTogether(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	release := make(chan struct{})
	var held atomic.Bool
	s.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && held.CompareAndSwap(false, true) {
			<-release
		}
		return false
	}
	log, _ := start(t, options(s))
	appendN(t, log, 0, 1)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			_, err := log.Append(t.Context(), record(i))
			assert.NoError(t, err)
		})
	}
	require.Eventually(t, held.Load, time.Second, time.Millisecond)
	before := s.count()
	close(release)
	wg.Wait()
	assert.LessOrEqual(t, s.count()-before, 4, "40 records in a few requests")
	report := verify(t, log)
	assert.True(t, report.Valid())
	assert.EqualValues(t, 41, report.Records)
}

func TestReplicasShareOneChain(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	var wg sync.WaitGroup
	var sequences sync.Map
	logs := make([]*audit.Log, 3)
	for i := range logs {
		logs[i], _ = start(t, options(s).Small(4000, 512, 1<<20, 9, time.Hour))
	}
	for _, log := range logs {
		for w := range 4 {
			wg.Go(func() {
				for n := range 10 {
					head, err := log.Append(t.Context(), record(w*10+n))
					if assert.NoError(t, err) {
						_, twice := sequences.LoadOrStore(head.GetSequence(), true)
						assert.False(t, twice)
					}
				}
			})
		}
	}
	wg.Wait()
	for _, log := range logs {
		report := verify(t, log)
		assert.True(t, report.Valid(), report.Findings)
		assert.EqualValues(t, 120, report.Records)
	}
}

// An answer that gets lost does not make a record twice.
func TestALostAnswerIsNoSecondRecord(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	var writes atomic.Int32
	s.after = func(r *http.Request) bool {
		return r.Method != http.MethodGet && writes.Add(1)%2 == 1
	}
	log, _ := start(t, options(s).Small(2500, 512, 1<<20, 9, time.Hour))
	head := appendN(t, log, 0, 12)
	assert.EqualValues(t, 12, head.GetSequence())
	report := verify(t, log)
	assert.True(t, report.Valid(), report.Findings)
	assert.EqualValues(t, 12, report.Records)
}

func TestWithoutTheClusterNothingIsKept(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	var refuse atomic.Bool
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if refuse.Load() && r.Method != http.MethodGet {
			status(w, http.StatusForbidden, metav1.StatusReasonForbidden)
			return true
		}
		return false
	}
	log, stop := start(t, options(s))
	appendN(t, log, 0, 2)
	refuse.Store(true)
	_, err := log.Append(t.Context(), record(2))
	require.ErrorIs(t, err, audit.ErrUnavailable)
	var unavailable *audit.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	assert.Equal(t, audit.PartCluster, unavailable.Part)
	h := log.Health()
	assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DOWN, h.GetState())
	assert.Contains(t, h.GetReason(), "remediation stops")
	assert.True(t, verify(t, log).Valid(), "reading goes on")

	refuse.Store(false)
	appendN(t, log, 2, 1)
	assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, log.Health().GetState())
	assert.EqualValues(t, 3, verify(t, log).Records)

	stop()
	_, err = log.Append(t.Context(), record(3))
	require.ErrorIs(t, err, audit.ErrUnavailable)
}

func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	log, err := audit.New(options(s)) // nobody runs it
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var full, waited atomic.Int32
	for i := range audit.MaxQueue + 10 {
		wg.Go(func() {
			_, err := log.Append(ctx, record(i))
			if errors.Is(err, audit.ErrUnavailable) {
				if full.Add(1) == 10 {
					cancel()
				}
			} else if errors.Is(err, context.Canceled) {
				waited.Add(1)
			}
		})
	}
	wg.Wait()
	cancel()
	assert.EqualValues(t, 10, full.Load())
	assert.EqualValues(t, audit.MaxQueue, waited.Load())
}

func TestOldSegmentsAreLetGoOfAndSaidSo(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	log, _ := start(t, options(s).Small(1500, 4, 1<<20, 9, time.Hour))
	appendN(t, log, 0, 40)
	require.Eventually(t, func() bool { return len(s.names()) <= 4 }, 5*time.Second, time.Millisecond)
	report := verify(t, log)
	assert.True(t, report.Valid(), report.Findings)
	assert.Equal(t, []string{audit.KindHeldElsewhere}, kinds(report))
	assert.Greater(t, report.First, int64(10))

	oldest := s.names()[0]
	// Without such a record, a missing beginning is a fault.
	s.edit(func(segments map[string]*corev1.ConfigMap) { delete(segments, oldest) })
	report = verify(t, log)
	assert.False(t, report.Valid())
	assert.Contains(t, kinds(report), audit.KindTruncated)

	// Another replica, which knows nothing, goes on where the chain ends.
	other, _ := start(t, options(s).Small(1500, 4, 1<<20, 9, time.Hour))
	head := appendN(t, other, 0, 1)
	assert.Greater(t, head.GetSequence(), report.Head.GetSequence())
}

func TestTamperingInTheClusterIsFound(t *testing.T) {
	t.Parallel()
	first := func(segments map[string]*corev1.ConfigMap) *corev1.ConfigMap {
		return segments["rightsizer-audit-00000001"]
	}
	for name, c := range map[string]struct {
		change func(map[string]*corev1.ConfigMap)
		kind   string
		at     int64
		place  string
	}{
		"a value edited": {func(m map[string]*corev1.ConfigMap) {
			d := first(m).Data
			d["r0000000000000002"] = strings.Replace(d["r0000000000000002"], "512Mi", "513Mi", 1)
		}, audit.KindEdited, 2, "rightsizer-audit-00000001 r0000000000000002:1"},
		"a record removed": {func(m map[string]*corev1.ConfigMap) { delete(first(m).Data, "r0000000000000002") }, audit.KindMissing, 2, ""},
		"records swapped": {func(m map[string]*corev1.ConfigMap) {
			d := first(m).Data
			d["r0000000000000002"], d["r0000000000000003"] = d["r0000000000000003"], d["r0000000000000002"]
		}, audit.KindReordered, 2, ""},
		"a record twice": {func(m map[string]*corev1.ConfigMap) {
			d := first(m).Data
			d["r0000000000000002"] += d["r0000000000000002"]
		}, audit.KindReordered, 2, ""},
		"a line added":           {func(m map[string]*corev1.ConfigMap) { first(m).Data["zzz"] = "hello\n" }, audit.KindEdited, 0, "rightsizer-audit-00000001 zzz:1"},
		"the first segment gone": {func(m map[string]*corev1.ConfigMap) { delete(m, "rightsizer-audit-00000001") }, audit.KindTruncated, 1, ""},
		"the last segment gone": {func(m map[string]*corev1.ConfigMap) {
			for n := 9; n > 0; n-- {
				name := fmt.Sprintf("rightsizer-audit-%08d", n)
				if _, ok := m[name]; ok {
					delete(m, name)
					return
				}
			}
		}, audit.KindTruncated, 12, ""},
		"everything gone": {func(m map[string]*corev1.ConfigMap) { clear(m) }, audit.KindTruncated, 12, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newAPIServer(t)
			log, _ := start(t, options(s).Small(3000, 99, 1<<20, 9, time.Hour))
			appendN(t, log, 0, 12)
			require.True(t, verify(t, log).Valid())
			s.edit(c.change)
			report := verify(t, log)
			assert.False(t, report.Valid())
			found := false
			for _, f := range report.Findings {
				found = found || f.GetKind() == c.kind && (c.at == 0 || f.GetSequence() == c.at) && (c.place == "" || f.GetPlace() == c.place)
			}
			assert.True(t, found, "want %s at %d, got %v", c.kind, c.at, report.Findings)
			// The chain goes on, and the finding stays.
			head := appendN(t, log, 12, 1)
			assert.EqualValues(t, 13, head.GetSequence())
			assert.False(t, verify(t, log).Valid())
		})
	}
}

// Whoever makes the end of the chain anew, hashes and all, is found out by a head
// that is known.
func TestAChainMadeAnewIsFoundByAKnownHead(t *testing.T) {
	t.Parallel()
	s, forged := newAPIServer(t), newAPIServer(t)
	log, stop := start(t, options(s))
	head := appendN(t, log, 0, 3)
	stop()
	forger, stopForger := start(t, options(forged))
	appendN(t, forger, 100, 3)
	stopForger()
	s.edit(func(m map[string]*corev1.ConfigMap) {
		forged.edit(func(other map[string]*corev1.ConfigMap) {
			m["rightsizer-audit-00000001"].Data = other["rightsizer-audit-00000001"].Data
		})
	})
	assert.Equal(t, audit.KindRewritten, kinds(verify(t, log))[0], "this process knows what it wrote")
	fresh, _ := start(t, options(s))
	assert.True(t, verify(t, fresh).Valid(), "another cannot know")
	report := verify(t, fresh, head)
	assert.Equal(t, []string{audit.KindRewritten}, kinds(report))
}
