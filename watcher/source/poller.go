package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/rightsizer/rightsizer/watcher/meter"
)

// PollerOptions configure a Poller. Source, Targets and Take are required.
type PollerOptions struct {
	// Source is who is asked.
	Source Source
	// Interval is the length of a round, in which each target is asked once; from
	// 1 s. Default 30 s.
	Interval time.Duration
	// Workers bounds the requests under way. Default 2: answers are held whole or
	// in part while they are read.
	Workers int
	// Targets lists what to ask at the beginning of a round; false while that is
	// not known.
	Targets func() ([]Target, bool)
	// Take takes the samples of one target; the slice and what is in it are used
	// again. Err is what ended the answer, nil for a whole one.
	Take func(t *Target, samples []meter.Sample, err error)
	// Idle says that nothing is to be asked now, such as on a replica that does
	// not lead. Default: never.
	Idle func() bool
	// Round is told at the end of each round. Default: nobody.
	Round func(Round)
	// Clock tells the time. Default: the real one.
	Clock clock.WithTicker
}

// Round is what a round came to.
type Round struct {
	// Targets were there, Failed of them gave an error, Resting were not asked
	// because they kept failing.
	Targets, Failed, Resting int
	// Err is one of the errors, Target whose it is.
	Err    error
	Target string
	// Took is how long it lasted.
	Took time.Duration
}

// Down says that there was something to ask and no answer.
func (r *Round) Down() bool { return r.Failed > 0 && r.Failed+r.Resting == r.Targets }

// Poller asks a source about each target once in an interval, spread over it.
type Poller struct {
	opts PollerOptions

	mu       sync.Mutex
	failures map[string]failing
	// down says that the last round had no answer at all: then a few targets are
	// asked, and the others only where one of these answers. turn counts such rounds.
	down bool
	turn int
}

// failing is how a target fails: after n failures in a row it rests for 2^n
// rounds, at most maxRest.
type failing struct{ n, rest int }

const (
	maxRest     = 8
	maxProbes   = 3
	retryRounds = 2 * time.Second // how soon to ask again whether targets are known
)

// NewPoller checks the options. It starts nothing.
func NewPoller(o PollerOptions) (*Poller, error) {
	o.Interval = cmp.Or(o.Interval, 30*time.Second)
	o.Workers = cmp.Or(o.Workers, 2)
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Idle == nil {
		o.Idle = func() bool { return false }
	}
	if o.Round == nil {
		o.Round = func(Round) {}
	}
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(o.Source != nil, "Source is required")
	check(o.Targets != nil, "Targets is required")
	check(o.Take != nil, "Take is required")
	check(o.Interval >= time.Second, "Interval is %s, must be at least 1s", o.Interval)
	check(o.Workers >= 1 && o.Workers <= 64, "Workers is %d, must be 1 to 64", o.Workers)
	if len(errs) > 0 {
		return nil, fmt.Errorf("poller: %w", errors.Join(errs...))
	}
	return &Poller{opts: o, failures: make(map[string]failing)}, nil
}

// Run polls until ctx is done and all that it started is gone.
func (p *Poller) Run(ctx context.Context) {
	jobs := make(chan job)
	var running sync.WaitGroup
	for range p.opts.Workers {
		running.Go(func() { p.work(ctx, jobs) })
	}
	defer running.Wait()
	defer close(jobs)
	for first := true; ctx.Err() == nil; {
		begin := p.opts.Clock.Now()
		wait := retryRounds
		if targets, known := p.targets(); known {
			// The first round is quick, so that there is something to see.
			within := p.opts.Interval
			if first {
				within = min(within, 5*time.Second)
			}
			first = false
			p.round(ctx, targets, begin, within, jobs)
			wait = p.opts.Interval - p.opts.Clock.Since(begin)
		}
		if !p.sleep(ctx, wait) {
			return
		}
	}
}

func (p *Poller) targets() ([]Target, bool) {
	if p.opts.Idle() {
		return nil, false
	}
	return p.opts.Targets()
}

// job is one target to ask; done collects the answers of its round.
type job struct {
	target Target
	done   *tally
}

type tally struct {
	sync.WaitGroup

	mu    sync.Mutex
	round Round
}

// round asks each target at its place in the time given. A target that is slow
// takes a worker's time, and then the round is longer than that.
func (p *Poller) round(ctx context.Context, targets []Target, begin time.Time, within time.Duration, jobs chan<- job) {
	slices.SortFunc(targets, func(a, b Target) int { return cmp.Compare(a.Name(), b.Name()) })
	p.forget(targets)
	done := &tally{round: Round{Targets: len(targets)}}
	if p.down {
		var few []Target
		few, targets = p.probes(targets)
		p.ask(ctx, few, begin, 0, jobs, done)
		if done.Wait(); ctx.Err() != nil || done.round.Failed == len(few) {
			done.round.Resting = len(targets)
			p.tell(ctx, begin, done)
			return
		}
		p.mu.Lock()
		clear(p.failures) // It is back, and so may all of them be.
		p.mu.Unlock()
	}
	p.ask(ctx, targets, begin, within, jobs, done)
	done.Wait()
	p.tell(ctx, begin, done)
}

// probes are the few targets that are asked while there is no answer, and the others:
// spread over the list, and others each time, for some may be gone for good.
func (p *Poller) probes(targets []Target) (few, others []Target) {
	n := min(maxProbes, len(targets))
	chosen := make(map[int]bool, n)
	for i := range n {
		chosen[(p.turn+i*len(targets)/n)%len(targets)] = true
	}
	for i := range targets {
		if chosen[i] {
			few = append(few, targets[i])
		} else {
			others = append(others, targets[i])
		}
	}
	p.turn++
	return few, others
}

// tell ends a round.
func (p *Poller) tell(ctx context.Context, begin time.Time, done *tally) {
	if ctx.Err() != nil {
		return
	}
	r := done.round
	r.Took = p.opts.Clock.Since(begin)
	p.down = r.Down()
	p.opts.Round(r)
}

// ask sends targets to the workers, spread over a time; in a time of 0, all are
// asked though they may rest.
func (p *Poller) ask(ctx context.Context, targets []Target, begin time.Time, within time.Duration, jobs chan<- job, done *tally) {
	for i := range targets {
		at := begin.Add(within * time.Duration(i) / time.Duration(len(targets)))
		if !p.sleep(ctx, at.Sub(p.opts.Clock.Now())) {
			return
		}
		if within > 0 && p.rests(targets[i].Name()) {
			done.mu.Lock()
			done.round.Resting++
			done.mu.Unlock()
			continue
		}
		done.Add(1)
		select {
		case jobs <- job{targets[i], done}:
		case <-ctx.Done():
			done.Done()
		}
	}
}

func (p *Poller) work(ctx context.Context, jobs <-chan job) {
	var samples []meter.Sample
	for j := range jobs {
		samples = samples[:0]
		err := p.opts.Source.Read(ctx, &j.target, func(s *meter.Sample) { samples = append(samples, *s) })
		if ctx.Err() == nil {
			p.note(&j, err)
			p.opts.Take(&j.target, samples, err)
		}
		clear(samples) // It is used again and must not hold an answer's strings.
		if cap(samples) > 4096 {
			samples = nil
		}
		j.done.Done()
	}
}

// note remembers whether a target failed.
func (p *Poller) note(j *job, err error) {
	name := j.target.Name()
	p.mu.Lock()
	if err == nil {
		delete(p.failures, name)
	} else {
		n := min(p.failures[name].n+1, 8)
		p.failures[name] = failing{n: n, rest: min(1<<(n-1), maxRest) - 1}
	}
	p.mu.Unlock()
	if err == nil {
		return
	}
	j.done.mu.Lock()
	defer j.done.mu.Unlock()
	j.done.round.Failed++
	j.done.round.Err, j.done.round.Target = err, name
}

// rests says whether a target is left alone this time: a node that is gone takes
// a worker's whole timeout each time.
func (p *Poller) rests(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.failures[name]
	if !ok || f.rest <= 0 {
		return false
	}
	f.rest--
	p.failures[name] = f
	return true
}

// forget drops what is remembered of targets that are gone.
func (p *Poller) forget(targets []Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.failures) == 0 {
		return
	}
	there := make(map[string]bool, len(targets))
	for i := range targets {
		there[targets[i].Name()] = true
	}
	for name := range p.failures {
		if !there[name] {
			delete(p.failures, name)
		}
	}
}

// sleep waits; false when ctx is done first.
func (p *Poller) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := p.opts.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}
