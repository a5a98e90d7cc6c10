package auth

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Bounds of what is remembered, and of asking.
const (
	// rememberFor is how long an answer is good: a right that was taken away works
	// no longer than this.
	rememberFor = 10 * time.Second
	// askWithin bounds one question to the cluster or to an issuer.
	askWithin = 5 * time.Second
	// failFor is how long a question that could not be asked is not asked again.
	failFor = time.Second
	// maxAnswers bounds the answers that are remembered, of each kind.
	maxAnswers = 8192
	// maxAsking bounds the questions that are asked at a time, of each kind;
	// maxStrange those of them that strangers have asked.
	maxAsking  = 32
	maxStrange = maxAsking / 2
)

// errBusy says that too many questions are being asked.
var errBusy = errors.New("too many questions are being asked already")

type memoKey [32]byte

// memo remembers answers for a while, the least recently used going first, and
// asks each question once however many want its answer. Failures to ask are
// remembered for fails. Safe for concurrent use.
type memo[V any] struct {
	most  int
	fails time.Duration
	slots chan struct{}
	// strange are the places of strangers, who never take those of all.
	strange chan struct{}
	until   func(V, time.Time) time.Time // how long the answer to a question of then is good

	mu      sync.Mutex
	answers map[memoKey]*list.Element // of *answer[V]
	recent  *list.List                // the most recently used first
	asking  map[memoKey]*question[V]
}

type answer[V any] struct {
	key     memoKey
	value   V
	err     error
	expires time.Time
}

type question[V any] struct {
	done  chan struct{}
	asked time.Time
	value V
	err   error
}

func newMemo[V any](until func(V, time.Time) time.Time) *memo[V] {
	if until == nil {
		until = func(_ V, now time.Time) time.Time { return now.Add(rememberFor) }
	}
	return &memo[V]{
		most: maxAnswers, fails: failFor, slots: make(chan struct{}, maxAsking), strange: make(chan struct{}, maxStrange), until: until,
		answers: make(map[memoKey]*list.Element), recent: list.New(), asking: make(map[memoKey]*question[V]),
	}
}

// get returns the answer that is remembered, or asks for it. Who asks leaves with
// his context, at once; the question runs on for at most askWithin, since others
// may wait for it too. first, which may be nil, may refuse to ask, and says whether a
// stranger does.
func (m *memo[V]) get(ctx context.Context, key memoKey, first func() (stranger bool, err error), ask func(context.Context) (V, error)) (V, error) {
	q, err := m.question(ctx, key, first, ask)
	if err != nil {
		var none V
		return none, err
	}
	select {
	case <-q.done:
		return q.value, q.err
	default:
	}
	select {
	case <-q.done:
		return q.value, q.err
	case <-ctx.Done():
		var none V
		return none, context.Cause(ctx)
	}
}

// question returns one that is answered, is being asked, or is asked now.
func (m *memo[V]) question(ctx context.Context, key memoKey, first func() (stranger bool, err error), ask func(context.Context) (V, error)) (*question[V], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.remembered(key); known != nil {
		return &question[V]{done: answered, value: known.value, err: known.err}, nil
	}
	if q := m.asking[key]; q != nil {
		return q, nil
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	stranger := false
	if first != nil {
		var err error
		if stranger, err = first(); err != nil {
			return nil, err
		}
	}
	q := &question[V]{done: make(chan struct{}), asked: time.Now(), err: errBusy}
	m.asking[key] = q
	go m.ask(context.WithoutCancel(ctx), key, q, stranger, ask) // joined by who waits for q.done; it ends with askWithin
	return q, nil
}

// answered is the end of a question that was answered before.
var answered = func() chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}()

func (m *memo[V]) ask(ctx context.Context, key memoKey, q *question[V], stranger bool, ask func(context.Context) (V, error)) {
	defer m.settle(key, q)
	defer func() {
		if panicked := recover(); panicked != nil {
			q.err = fmt.Errorf("the question panicked: %v\n%s", panicked, debug.Stack())
		}
	}()
	within, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	if stranger {
		select {
		case m.strange <- struct{}{}:
			defer func() { <-m.strange }()
		case <-within.Done():
			return
		}
	}
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
		q.value, q.err = ask(within)
	case <-within.Done():
	}
}

// remembered returns an answer that is still good, or nil. The caller holds m.mu.
func (m *memo[V]) remembered(key memoKey) *answer[V] {
	element := m.answers[key]
	if element == nil {
		return nil
	}
	known := element.Value.(*answer[V]) //nolint:forcetypeassert // the list holds nothing else
	if !time.Now().Before(known.expires) {
		m.forget(element)
		return nil
	}
	m.recent.MoveToFront(element)
	return known
}

func (m *memo[V]) settle(key memoKey, q *question[V]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.asking, key)
	close(q.done)
	a := &answer[V]{key: key, value: q.value, err: q.err, expires: time.Now().Add(m.fails)}
	if q.err == nil {
		a.expires = m.until(q.value, q.asked)
	}
	m.answers[key] = m.recent.PushFront(a)
	for len(m.answers) > m.most {
		m.forget(m.recent.Back())
	}
}

func (m *memo[V]) forget(element *list.Element) {
	delete(m.answers, element.Value.(*answer[V]).key) //nolint:forcetypeassert // the list holds nothing else
	m.recent.Remove(element)
}
