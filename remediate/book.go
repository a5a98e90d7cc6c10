package remediate

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/guard"
	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// objectKey names a Remediation.
type objectKey struct{ namespace, name string }

// row is what decisions of one kind for one container have in common.
type row struct {
	uid, container string
	action         v1alpha1.ActionKind
}

func rowOf(r *v1alpha1.Remediation) row {
	return row{r.Spec.Workload.UID, r.Spec.Container, r.Spec.Action.Kind}
}

func workloadOf(r *v1alpha1.Remediation) workloadKey {
	return workloadKey{r.Namespace, r.Spec.Workload.Kind, string(r.Spec.Workload.Name)}
}

// held is what is kept of a Remediation: all of it while it is open, else what
// guards, lists and lasting cures need.
type held struct {
	key      objectKey
	version  uint64
	uid      string
	workload workloadKey
	row      row
	episode  int
	created  time.Time
	open     bool
	past     guard.Past
	full     *v1alpha1.Remediation
	shown    []byte // the Remediation of the API, encoded
	cure     *cure
	reverted *reverted
	// keeps is the size that it puts into the template, where it follows a cure, or
	// hands out.
	keeps    *policy.Size
	follows  string // the name of the decision that it follows
	steps    int    // transitions that were told
	problems []string
	// rollback says that a person has asked for its effect to be taken back.
	rollback bool
	request  request
}

// request is the key of what a person asked for; its zero value is none.
type request struct{ by, id, hash string }

// cure is a size that lasts: new pods of the workload are given it.
type cure struct {
	decision       objectKey
	uid, container string
	// before is the size that its pods had, and led those that they had on the way to
	// size: new pods begin with one of them, as long as nobody changed the template.
	before, size policy.Size
	led          []policy.Size
	// given are the UIDs of the pods that were given it: where one has another size
	// again, somebody has taken it back.
	given       []string
	persistence v1alpha1.Persistence
	// proven says that its verification went well, to the end of its window.
	proven   bool
	want     v1alpha1.RemediationAction
	approval *v1alpha1.ApprovalDecision
	finished time.Time
	oom      bool
}

// book is every Remediation of the cluster.
type book struct {
	e *Engine

	mu      sync.RWMutex
	items   map[objectKey]*held
	rows    map[row]map[objectKey]*held
	count   map[string]int // by namespace
	claimed map[objectKey]guard.Past
	synced  bool
	broken  time.Time
	err     error
}

func newBook(e *Engine) *book {
	return &book{
		e: e, items: map[objectKey]*held{}, rows: map[row]map[objectKey]*held{}, count: map[string]int{},
		claimed: map[objectKey]guard.Past{},
	}
}

// put takes a Remediation as it is, unless a newer form is known; true where it
// was taken. The book keeps r: it must not be changed afterwards.
func (b *book) put(r *v1alpha1.Remediation) bool {
	h := hold(r)
	b.mu.Lock()
	was := b.items[h.key]
	if was != nil && was.version >= h.version {
		b.mu.Unlock()
		return false
	}
	if was != nil {
		h.steps = was.steps
		b.unlink(was)
	}
	b.link(h)
	if r.Status.StartTime != nil || !h.open {
		delete(b.claimed, h.key)
	}
	if !h.open {
		b.e.resting.end(h.key)
	}
	told := h.steps
	h.steps = len(r.Status.Transitions)
	synced := b.synced
	b.mu.Unlock()
	b.e.teller.changed(r, told, was == nil && !synced)
	return true
}

func hold(r *v1alpha1.Remediation) *held {
	version, err := strconv.ParseUint(r.ResourceVersion, 10, 64)
	if err != nil {
		version = 0
	}
	h := &held{
		key: objectKey{r.Namespace, r.Name}, version: version, uid: string(r.UID), workload: workloadOf(r), row: rowOf(r),
		episode: plan.EpisodeNumber(r.Spec.Episode), created: r.CreationTimestamp.Time, open: plan.Open(r.Status.State),
		past: guard.FromRemediation(r), cure: cureOf(r), reverted: revertedOf(r), keeps: keepsOf(r), follows: string(r.Spec.Action.Parameters[parameterFollows]), rollback: rollbackAsked(r) != "",
	}
	if r.Spec.RequestID != "" {
		h.request = request{by: r.Spec.RequestedBy, id: r.Spec.RequestID, hash: r.Spec.RequestHash}
	}
	if h.open || h.rollback {
		h.full = r
		return h
	}
	if c := r.Spec.Cause; c != nil {
		h.problems = append(h.problems, string(c.ProblemID))
	}
	for i := range r.Status.Causes {
		h.problems = append(h.problems, string(r.Status.Causes[i].ProblemID))
	}
	if h.shown, err = proto.Marshal(Proto(r)); err != nil {
		h.full = r // it has a string that is no UTF-8, which the API server does not let in
	}
	return h
}

func (b *book) link(h *held) {
	b.items[h.key] = h
	b.count[h.key.namespace]++
	in := b.rows[h.row]
	if in == nil {
		in = map[objectKey]*held{}
		b.rows[h.row] = in
	}
	in[h.key] = h
}

func (b *book) unlink(h *held) {
	delete(b.items, h.key)
	if b.count[h.key.namespace]--; b.count[h.key.namespace] == 0 {
		delete(b.count, h.key.namespace)
	}
	in := b.rows[h.row]
	delete(in, h.key)
	if len(in) == 0 {
		delete(b.rows, h.row)
	}
}

func (b *book) remove(key objectKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := b.items[key]; h != nil {
		b.unlink(h)
	}
	delete(b.claimed, key)
	b.e.resting.end(key)
	b.e.words.forget(key)
}

// of lists the Remediations of a workload that there is something to do for, the
// oldest first, as copies.
func (b *book) of(key workloadKey) []*v1alpha1.Remediation {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []*v1alpha1.Remediation
	for _, h := range b.items {
		if (h.open || h.rollback) && h.workload == key && h.full != nil {
			out = append(out, h.full.DeepCopy())
		}
	}
	slices.SortFunc(out, func(a, c *v1alpha1.Remediation) int {
		return cmp.Or(a.CreationTimestamp.Compare(c.CreationTimestamp.Time), cmp.Compare(a.Name, c.Name))
	})
	return out
}

// current is a Remediation as it is now, a copy; nil where there is nothing to do for
// it any more.
func (b *book) current(key objectKey) *v1alpha1.Remediation {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if h := b.items[key]; h != nil && (h.open || h.rollback) && h.full != nil {
		return h.full.DeepCopy()
	}
	return nil
}

// row returns the open Remediation of a row, a copy or nil, and the number of its
// last episode: where none is remembered, one above all that were and are deleted.
func (b *book) row(r row) (open *v1alpha1.Remediation, last int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, h := range b.rows[r] {
		last = max(last, h.episode)
		if h.open && h.full != nil {
			open = h.full.DeepCopy()
		}
	}
	if last == 0 {
		last = plan.NoEpisode(b.e.now())
	}
	return open, last
}

// followed says whether another decision of a row follows this one.
func (b *book) followed(r row, name string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, h := range b.rows[r] {
		if h.follows == name {
			return true
		}
	}
	return false
}

// raises is how often memory was raised for an OOM kill since, in a row.
func (b *book) raises(r row, since time.Time) int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n := 0
	for _, h := range b.rows[r] {
		if h.past.GaveMemory(since) {
			n++
		}
	}
	return n
}

// ended is one of some states in which a decision of a row ended since; empty where none
// did.
func (b *book) ended(r row, since time.Time, in ...v1alpha1.RemediationState) v1alpha1.RemediationState {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, h := range b.rows[r] {
		if h.past.Finished.After(since) && slices.Contains(in, h.past.State) {
			return h.past.State
		}
	}
	return ""
}

// history is what guards look at, with what was let through a moment ago.
func (b *book) history() []guard.Past {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]guard.Past, 0, len(b.items)+len(b.claimed))
	for key, h := range b.items {
		if claimed, ok := b.claimed[key]; ok && h.past.Started.IsZero() {
			out = append(out, claimed)
		} else if !h.past.Started.IsZero() {
			out = append(out, h.past)
		}
	}
	for key, claimed := range b.claimed {
		if b.items[key] == nil {
			out = append(out, claimed)
		}
	}
	return out
}

// claim notes what was let through, before its status says so; unclaim takes that
// back.
func (b *book) claim(key objectKey, p guard.Past) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.claimed[key] = p
}

func (b *book) unclaim(key objectKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.claimed, key)
}

func (b *book) isSynced() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.synced
}

func (b *book) inNamespace(namespace string) int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.count[namespace]
}

// unfinished lists the workloads that there is something to do for.
func (b *book) unfinished() []workloadKey {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []workloadKey
	for _, h := range b.items {
		if h.open || h.rollback {
			out = append(out, h.workload)
		}
	}
	return out
}

// requested returns what came of a person's request in a namespace, a copy; nil
// where nothing did. same says that the request was the same.
func (b *book) requested(namespace string, q request) (made *rightsizerv1.Remediation, same bool) {
	for _, m := range b.entries(func(h *held) bool {
		if h.key.namespace != namespace || h.request.id != q.id || h.request.by != q.by {
			return false
		}
		same = h.request.hash == q.hash
		return true
	}) {
		made = m
	}
	return made, same
}

// entries lists what the API shows.
func (b *book) entries(fits func(h *held) bool) []*rightsizerv1.Remediation {
	b.mu.RLock()
	var found []*held
	for _, h := range b.items {
		if fits(h) {
			found = append(found, h)
		}
	}
	b.mu.RUnlock()
	out := make([]*rightsizerv1.Remediation, 0, len(found))
	for _, h := range found { // a held one is never changed
		if h.full != nil {
			out = append(out, Proto(h.full))
			continue
		}
		m := &rightsizerv1.Remediation{}
		if proto.Unmarshal(h.shown, m) == nil {
			out = append(out, m)
		}
	}
	return out
}
