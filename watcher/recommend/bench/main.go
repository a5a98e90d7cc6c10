package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"

	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/recommend/backtest"
)

// contender is one recommender, at a multiplier of its memory target.
type contender struct {
	name string
	with func(multiplier float64) func() backtest.Sizer
}

func contenders() []contender {
	return []contender{
		{"right-sizer", func(m float64) func() backtest.Sizer {
			s := recommend.DefaultSettings()
			s.Memory.Multiplier = m
			return backtest.Product(s)
		}},
		{"VPA 1.8.1", func(m float64) func() backtest.Sizer { return newVPA(m, 250) }},
		{"VPA without its floor", func(m float64) func() backtest.Sizer { return newVPA(m, 0) }},
		{"KRR simple", func(m float64) func() backtest.Sizer { return newKRR(m, false) }},
		{"KRR with OOM data", func(m float64) func() backtest.Sizer { return newKRR(m, true) }},
	}
}

// goal is the rate of OOM kills at which all are compared, in 1,000
// container-days.
const goal = 50

var multipliers = []float64{0.75, 0.85, 0.93, 1, 1.07, 1.15, 1.25, 1.4, 1.6}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	input := flag.String("input", "", "usage, as `rightsizer backtest` reads it")
	var o backtest.Options
	flag.IntVar(&o.Warmup, "warmup", 288, "step of the first size")
	flag.IntVar(&o.ScoreFrom, "score-from", 2016, "first step that counts")
	flag.Parse()
	file, err := os.Open(*input)
	if err != nil {
		return fmt.Errorf("--input: %w", err)
	}
	defer func() { _ = file.Close() }()
	series, err := backtest.Read(file)
	if err != nil {
		return fmt.Errorf("%s: %w", *input, err)
	}
	fmt.Printf("%d series; as shipped:\n\n| | OOM | events per OOM-day | L/U | memory slack %% | CPU under %% | deficit %% | slack %% | changes | resizes |\n|---|---|---|---|---|---|---|---|---|---|\n", len(series))
	var sweeps []sweep
	for _, c := range contenders() {
		s, err := sweepOf(ctx, c, series, o)
		if err != nil {
			return err
		}
		sweeps = append(sweeps, s)
		f := sum(s.runs[slices.Index(multipliers, 1)], nil).Figures()
		fmt.Printf("| %s | %.1f | %.2f | %.3f | %.1f | %.2f | %.2f | %.1f | %.2f | %.2f |\n", c.name, f.OOMPer1000ContainerDays,
			f.OOMPer1000ContainerDays/max(10*f.OOMDayPercent, 1e-9), f.MemoryLimitToUsage, f.MemorySlackPercent,
			f.CPUUnderPercent, f.CPUDeficitPercent, f.CPUSlackPercent, f.ChangesPerContainerDay, f.MemoryResizesPerContainerDay)
	}
	compare(sweeps, len(series))
	return nil
}

// sweep are the tallies of each series at each multiplier.
type sweep struct {
	name string
	runs [][]backtest.Tally
}

func sweepOf(ctx context.Context, c contender, series []*backtest.Series, o backtest.Options) (sweep, error) {
	s := sweep{name: c.name}
	for _, m := range multipliers {
		fmt.Fprintf(os.Stderr, "bench: %s at %v\n", c.name, m)
		tallies, err := backtest.Run(ctx, series, o, c.with(m))
		if err != nil {
			return s, err //nolint:wrapcheck // names itself
		}
		s.runs = append(s.runs, tallies)
	}
	return s, nil
}

// sum adds the tallies of these series, of all where picked is nil.
func sum(tallies []backtest.Tally, picked []int) *backtest.Tally {
	var t backtest.Tally
	if picked == nil {
		for i := range tallies {
			t.Add(&tallies[i])
		}
	}
	for _, i := range picked {
		t.Add(&tallies[i])
	}
	return &t
}

// equal are the figures at the goal.
type equal struct{ multiplier, ratio, slack, resizes float64 }

func (s *sweep) at(picked []int) equal {
	var before backtest.Figures
	for i, m := range multipliers {
		now := sum(s.runs[i], picked).Figures()
		a, b, want := math.Log(before.OOMPer1000ContainerDays), math.Log(max(now.OOMPer1000ContainerDays, 1e-9)), math.Log(goal)
		if i > 0 && (a-want)*(b-want) <= 0 && a != b {
			k := (want - a) / (b - a)
			mix := func(x, y float64) float64 { return x + k*(y-x) }
			return equal{
				mix(multipliers[i-1], m), mix(before.MemoryLimitToUsage, now.MemoryLimitToUsage),
				mix(before.MemorySlackPercent, now.MemorySlackPercent), mix(before.MemoryResizesPerContainerDay, now.MemoryResizesPerContainerDay),
			}
		}
		before = now
	}
	return equal{math.NaN(), math.NaN(), math.NaN(), math.NaN()}
}

const (
	bootstraps = 1000
	folds      = 5
)

func compare(sweeps []sweep, n int) {
	fmt.Printf("\nAt %d OOM kills in 1,000 container-days; spread over %d folds of series; difference from right-sizer with a 95 %% interval of %d bootstraps over series:\n\n", goal, folds, bootstraps)
	fmt.Print("| | multiplier | L/U | over folds | memory slack % | resizes | L/U of right-sizer below by % |\n|---|---|---|---|---|---|---|\n")
	for i := range sweeps {
		s := &sweeps[i]
		e := s.at(nil)
		least, most := math.Inf(1), math.Inf(-1)
		for fold := range folds {
			var picked []int
			for j := fold; j < n; j += folds {
				picked = append(picked, j)
			}
			if r := s.at(picked).ratio; !math.IsNaN(r) {
				least, most = min(least, r), max(most, r)
			}
		}
		fmt.Printf("| %s | %.2f | %.3f | %.2f–%.2f | %.1f | %.2f | %s |\n", s.name, e.multiplier, e.ratio, least, most, e.slack, e.resizes, interval(&sweeps[0], s, i == 0, n))
	}
}

func interval(own, peer *sweep, same bool, n int) string {
	if same {
		return ""
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // G404: the same every time
	var gains []float64
	for range bootstraps {
		picked := make([]int, n)
		for i := range picked {
			picked[i] = random.IntN(n)
		}
		if g := 100 * (1 - own.at(picked).ratio/peer.at(picked).ratio); !math.IsNaN(g) {
			gains = append(gains, g)
		}
	}
	slices.Sort(gains)
	if len(gains) < bootstraps/2 {
		return "not reached"
	}
	mean := 100 * (1 - own.at(nil).ratio/peer.at(nil).ratio)
	return fmt.Sprintf("%.1f (%.1f to %.1f)", mean, gains[len(gains)*25/1000], gains[len(gains)*975/1000])
}
