package remediate

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// later is when what could not be done or taken back now is tried again: the longer
// it has been tried, the more rarely.
func (e *Engine) later(r *v1alpha1.Remediation, err error) time.Duration {
	since := startOf(r)
	if c := meta.FindStatusCondition(r.Status.Conditions, conditionRollback); c != nil {
		since = c.LastTransitionTime.Time
	}
	after, _ := action.Retry(err)
	pause := min(max(e.now().Sub(since)/4, retryLater, after), 5*time.Minute)
	if until := r.Spec.ExpireTime; until != nil && r.Status.State == v1alpha1.StateExecuting {
		pause = min(pause, max(until.Sub(e.now()), time.Second))
	}
	e.resting.until(objectKey{r.Namespace, r.Name}, e.now().Add(pause))
	return pause
}

// rests is what is left alone for a while, whatever happens meanwhile. It holds no
// more than there are Remediations in the book.
type rests struct {
	mu   sync.Mutex
	over map[objectKey]time.Time
}

func (r *rests) until(key objectKey, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over == nil {
		r.over = map[objectKey]time.Time{}
	}
	r.over[key] = at
}

// end forgets what is not open any more.
func (r *rests) end(key objectKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.over, key)
}

// left is how long it is still left alone; 0 is not at all.
func (r *rests) left(key objectKey, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.over[key]
	if ok && now.Before(at) {
		return at.Sub(now)
	}
	delete(r.over, key)
	return 0
}
