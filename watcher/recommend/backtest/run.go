package backtest

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

// Options of a run.
type Options struct {
	// Warmup is the step at which the first limit is set, ScoreFrom the first one
	// that counts; not before Warmup.
	Warmup, ScoreFrom int
	// Progress, if set, is called after each series, by several goroutines.
	Progress func(done, total int)
}

// Check names what is wrong with the options.
func (o *Options) Check() error {
	if o.Warmup < 0 {
		return fmt.Errorf("warm-up: wants 0 or more steps, not %d", o.Warmup)
	}
	if o.ScoreFrom < o.Warmup {
		return fmt.Errorf("score from: wants a step from the warm-up's %d on, not %d", o.Warmup, o.ScoreFrom)
	}
	return nil
}

// Sizer is who is tested: the recommender, or one that it is compared with.
type Sizer interface {
	// Observe takes a sample at the time in Unix seconds, NaN where there is
	// none.
	Observe(t int64, cpuMillis, memoryBytes float64)
	// OOM takes a kill at a limit in bytes.
	OOM(t int64, limitBytes float64)
	// Size returns what is to be in force from now on, given what is, in
	// millicores and bytes, 0 before the first; 0 is no opinion.
	Size(t int64, cpuMillis, memoryBytes float64) (cpu, memory float64)
}

// Run tests a new Sizer on each series and returns the sums of each.
func Run(ctx context.Context, series []*Series, o Options, sizer func() Sizer) ([]Tally, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	out := make([]Tally, len(series))
	var next, done atomic.Int64
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(series)) {
		all.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(series) {
					return
				}
				out[i] = walk(series[i], &o, sizer())
				if n := int(done.Add(1)); o.Progress != nil {
					o.Progress(n, len(series))
				}
			}
		})
	}
	all.Wait()
	return out, ctx.Err() //nolint:wrapcheck // the caller's own context
}

// start is the time of step 0; any midnight would do.
const start = 1_704_067_200 // 2024-01-01T00:00:00Z

// actuateSeconds is how often a recommendation is asked for.
const actuateSeconds = 3600

// walker is one series under test.
type walker struct {
	Tally

	sizer       Sizer
	cpu, memory float64 // in force; 0 is none
	scored      bool
	day, oomDay int
}

func walk(s *Series, o *Options, sizer Sizer) Tally {
	w := walker{sizer: sizer, day: -1, oomDay: -1}
	w.Series = 1
	every := max(int(actuateSeconds/s.StepSeconds), 1)
	for step := range max(len(s.CPU), len(s.Memory)) {
		t := start + int64(step)*s.StepSeconds
		w.scored = step >= o.ScoreFrom
		if step >= o.Warmup && step%every == 0 {
			w.actuate(t, true)
		}
		cpu, memory := at(s.CPU, step), at(s.Memory, step)
		killed := w.memory > 0 && memory > w.memory // false for NaN
		if w.scored {
			w.score(cpu, memory, killed, int(int64(step)*s.StepSeconds/86400))
		}
		limit := w.memory
		if killed {
			memory = limit
		}
		sizer.Observe(t, cpu, memory)
		if killed {
			sizer.OOM(t, limit)
			w.actuate(t, false)
		}
	}
	return w.Tally
}

func at(values []float64, step int) float64 {
	if step < len(values) {
		return values[step]
	}
	return math.NaN()
}

// actuate puts into force what the sizer says; of an OOM kill memory alone.
func (w *walker) actuate(t int64, both bool) {
	cpu, memory := w.sizer.Size(t, w.cpu, w.memory)
	if both && cpu > 0 && cpu != w.cpu {
		if w.scored && w.cpu > 0 {
			w.CPUChanges++
		}
		w.cpu = cpu
	}
	if memory > 0 && memory != w.memory {
		if w.scored && w.memory > 0 {
			w.MemoryResizes++
		}
		w.memory = memory
	}
}

func (w *walker) score(cpu, memory float64, killed bool, day int) {
	hasCPU, hasMemory := w.cpu > 0 && !math.IsNaN(cpu), w.memory > 0 && !math.IsNaN(memory)
	if (hasCPU || hasMemory) && day != w.day {
		w.day = day
		w.Days++
	}
	if hasMemory {
		used := min(memory, w.memory)
		w.MemorySamples++
		w.MemorySlack += (w.memory - used) / w.memory
		w.MemoryLimit += w.memory
		w.MemoryUsed += used
	}
	if killed {
		w.OOMs++
		if day != w.oomDay {
			w.oomDay = day
			w.OOMDays++
		}
	}
	if hasCPU {
		w.CPUSamples++
		w.CPUUsed += cpu
		w.CPUSlack += max(w.cpu-cpu, 0) / w.cpu
		if cpu > w.cpu {
			w.CPUUnder++
			w.CPUDeficit += cpu - w.cpu
		}
	}
}

// product is the recommender as the operator runs it.
type product struct {
	settings    recommend.Settings
	sketch      usage.Sketch
	cpu, memory inForce
}

// inForce is one resource as it was seen last, and since when. What was proposed is in
// force once it is seen: not all of it is done.
type inForce struct {
	amount            float64
	proposed, changed time.Time
}

func (f *inForce) see(amount float64) {
	if amount != f.amount {
		f.amount, f.changed = amount, f.proposed
	}
}

// Product returns Sizers that follow the recommender: what it says is due is
// done.
func Product(settings recommend.Settings) func() Sizer {
	return func() Sizer { return &product{settings: settings} }
}

func (p *product) Observe(t int64, cpuMillis, memoryBytes float64) {
	p.sketch.Observe(usage.Sample{Time: t, CPUMillis: cpuMillis, MemoryBytes: memoryBytes, Age: usage.Unknown})
}

func (p *product) OOM(t int64, limitBytes float64) { p.sketch.ObserveOOM(t, limitBytes) }

func (p *product) Size(t int64, cpuMillis, memoryBytes float64) (cpu, memory float64) {
	now := time.Unix(t, 0)
	p.cpu.see(cpuMillis)
	p.memory.see(memoryBytes)
	size := object.Resources{CPUMillis: int64(cpuMillis), MemoryBytes: int64(memoryBytes)}
	r := p.settings.Recommend(&recommend.Input{
		Now: now, Sketch: &p.sketch, CPUChanged: p.cpu.changed, MemoryChanged: p.memory.changed,
		Current: object.Allotment{Requests: size, Limits: object.Resources{MemoryBytes: size.MemoryBytes}},
	})
	if r.ChangeCPU {
		cpu, p.cpu.proposed = float64(r.Requests.CPUMillis), now
	}
	if r.ChangeMemory {
		memory, p.memory.proposed = float64(r.Limits.MemoryBytes), now
	}
	return cpu, memory
}
