package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/audit"
)

// kept is an Appender that keeps what it is given.
type kept struct {
	mu      sync.Mutex
	records []*rightsizerv1.AuditRecord
}

func (k *kept) Append(_ context.Context, r *rightsizerv1.AuditRecord) (*rightsizerv1.AuditHead, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.records = append(k.records, r)
	return &rightsizerv1.AuditHead{}, nil
}

// calls sums what the records say.
func (k *kept) calls(t *testing.T) (records int, calls int64) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.records {
		n, err := strconv.ParseInt(r.GetEvidence()["calls"], 10, 64)
		require.NoError(t, err)
		calls += n
	}
	return len(k.records), calls
}

// only is the only record that there is.
func (k *kept) only(t *testing.T) *rightsizerv1.AuditRecord {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	require.Len(t, k.records, 1)
	return k.records[0]
}

func (k *kept) of(actor string) (out []*rightsizerv1.AuditRecord) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.records {
		if r.GetActor() == actor {
			out = append(out, r)
		}
	}
	return out
}

func denials(t *testing.T, k *kept) (d *audit.Denials, stop func()) {
	t.Helper()
	d = audit.NewDenials(k, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); assert.NoError(t, d.Run(ctx)) }()
	return d, func() { cancel(); <-done }
}

func TestARefusalIsRecordedAndRepetitionsAreSummed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{}
		d, stop := denials(t, k)
		defer stop()
		mallory := audit.Denial{User: "mallory", Groups: []string{"g"}, What: "create remediations/approve", Namespace: "shop"}
		d.Note(mallory)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		r := k.only(t)
		assert.Equal(t, "mallory", r.GetActor())
		assert.Equal(t, "access.denied", r.GetAction())
		assert.Equal(t, "shop", r.GetNamespace())
		assert.Equal(t, "may not create remediations/approve", r.GetReason())
		for range 1000 {
			d.Note(mallory)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		k.only(t) // once a minute
		time.Sleep(time.Minute)
		synctest.Wait()
		n, calls := k.calls(t)
		assert.Equal(t, 2, n)
		assert.EqualValues(t, 1001, calls, "none goes unsaid")
	})
}

// Whoever makes up names fills neither the chain nor the memory, and every call is
// counted.
func TestRefusalsCannotPushOutTheChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{}
		d, stop := denials(t, k)
		defer stop()
		const noted = 5000
		for i := range noted {
			d.Note(audit.Denial{User: fmt.Sprintf("user-%d", i), What: "create remediations"})
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		n, _ := k.calls(t)
		assert.LessOrEqual(t, n, 30+60)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		_, calls := k.calls(t)
		assert.EqualValues(t, noted, calls)
	})
}

// Whoever is refused in ever more namespaces hides nobody else: of him a few things are
// told apart, and who was refused for the first time comes before his repetitions.
func TestOneCallerHidesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{}
		d, stop := denials(t, k)
		defer stop()
		const noted = 3000
		for i := range noted {
			d.Note(audit.Denial{User: "mallory", What: "create remediations", Namespace: fmt.Sprintf("ns-%d", i)})
			if i%10 == 0 {
				time.Sleep(time.Second)
			}
		}
		d.Note(audit.Denial{User: "trent", What: "create remediations/approve", Namespace: "shop"})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		named, more := 0, int64(0)
		for _, r := range k.of("mallory") {
			if n, _ := strconv.ParseInt(r.GetEvidence()["calls"], 10, 64); r.GetNamespace() == "" {
				more += n
				assert.Contains(t, r.GetReason(), "too many to be told apart")
			} else {
				named++
			}
		}
		assert.Positive(t, named)
		assert.Positive(t, more)
		require.Len(t, k.of("trent"), 1)
		assert.Equal(t, "may not create remediations/approve", k.of("trent")[0].GetReason())
		assert.Equal(t, "shop", k.of("trent")[0].GetNamespace())
		time.Sleep(time.Hour)
		synctest.Wait()
		_, calls := k.calls(t)
		assert.EqualValues(t, noted+1, calls, "none goes unsaid")
	})
}

// As many callers as there is room for are told apart, whatever else they try.
func TestManyCallersHideNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{}
		d, stop := denials(t, k)
		defer stop()
		const callers, each = 60, 20
		for i := range callers {
			for n := range each {
				d.Note(audit.Denial{User: fmt.Sprintf("mallory-%d", i), What: "create remediations", Namespace: fmt.Sprintf("ns-%d", n)})
			}
		}
		d.Note(audit.Denial{User: "trent", What: "create remediations/approve", Namespace: "shop"})
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Len(t, k.of("trent"), 1)
		assert.Equal(t, "may not create remediations/approve", k.of("trent")[0].GetReason())
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		_, calls := k.calls(t)
		assert.EqualValues(t, callers*each+1, calls, "none goes unsaid")
	})
}
