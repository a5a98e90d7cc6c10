package auth

import (
	"container/list"
	"context"
	"errors"
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
	// maxAnswers bounds the answers that are remembered, of each kind.
	maxAnswers = 8192
	// maxAsking bounds the questions that are asked at a time, of each kind.
	maxAsking = 32
)

// errBusy says that too many questions are being asked.
var errBusy = errors.New("too many questions are being asked already")

type memoKey [32]byte

// memo remembers answers for a while, the least recently used going first, and
// asks each question once however many want its answer. Failures to ask are not
// remembered. Safe for concurrent use.
type memo[V any] struct {
	most  int
	slots chan struct{}
	until func(V, time.Time) time.Time // how long the answer to a question of then is good

	mu      sync.Mutex
	answers map[memoKey]*list.Element // of *answer[V]
	recent  *list.List                // the most recently used first
	asking  map[memoKey]*question[V]
}

type answer[V any] struct {
	key     memoKey
	value   V
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
		most: maxAnswers, slots: make(chan struct{}, maxAsking), until: until,
		answers: make(map[memoKey]*list.Element), recent: list.New(), asking: make(map[memoKey]*question[V]),
	}
}

// get returns the answer that is remembered, or asks for it: in the caller's
// goroutine, but not ended with his context, since others may wait for it too.
// first, which may be nil, may refuse to ask.
func (m *memo[V]) get(ctx context.Context, key memoKey, first func() error, ask func(context.Context) (V, error)) (V, error) {
	var none V
	m.mu.Lock()
	if value, ok := m.remembered(key); ok {
		m.mu.Unlock()
		return value, nil
	}
	if q := m.asking[key]; q != nil {
		m.mu.Unlock()
		select {
		case <-q.done:
			return q.value, q.err
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
	}
	if first != nil {
		if err := first(); err != nil {
			m.mu.Unlock()
			return none, err
		}
	}
	q := &question[V]{done: make(chan struct{}), asked: time.Now(), err: errBusy}
	m.asking[key] = q
	m.mu.Unlock()
	defer m.settle(key, q) // also where ask panics
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), askWithin)
	defer cancel()
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
		q.value, q.err = ask(within)
	case <-within.Done():
	}
	return q.value, q.err
}

// remembered returns an answer that is still good. The caller holds m.mu.
func (m *memo[V]) remembered(key memoKey) (V, bool) {
	var none V
	element := m.answers[key]
	if element == nil {
		return none, false
	}
	known := element.Value.(*answer[V]) //nolint:forcetypeassert // the list holds nothing else
	if !time.Now().Before(known.expires) {
		m.forget(element)
		return none, false
	}
	m.recent.MoveToFront(element)
	return known.value, true
}

func (m *memo[V]) settle(key memoKey, q *question[V]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.asking, key)
	close(q.done)
	if q.err != nil {
		return
	}
	m.answers[key] = m.recent.PushFront(&answer[V]{key: key, value: q.value, expires: m.until(q.value, q.asked)})
	for len(m.answers) > m.most {
		m.forget(m.recent.Back())
	}
}

func (m *memo[V]) forget(element *list.Element) {
	delete(m.answers, element.Value.(*answer[V]).key) //nolint:forcetypeassert // the list holds nothing else
	m.recent.Remove(element)
}
