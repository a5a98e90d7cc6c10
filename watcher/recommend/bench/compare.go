package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/rightsizer/rightsizer/watcher/recommend/backtest"
)

// sweep are the tallies of each series at each multiplier, of all the time that
// counts and of its halves.
type sweep struct {
	name   string
	runs   [][]backtest.Tally
	halves [2][][]backtest.Tally
	// days says that the halves are of whole days, whose kills can be counted by day.
	days bool
}

// shipped are those at the multiplier 1.
func (s *sweep) shipped() []backtest.Tally { return s.runs[slices.Index(multipliers, 1)] }

func sweepOf(ctx context.Context, c contender, series []*backtest.Series, o backtest.Options) (sweep, error) {
	s := sweep{name: c.name}
	middle, first, days := halve(series, o.ScoreFrom)
	s.days = days
	second := o
	second.ScoreFrom = middle
	for _, m := range multipliers {
		fmt.Fprintf(os.Stderr, "bench: %s at %v\n", c.name, m)
		for _, part := range []struct {
			series []*backtest.Series
			o      backtest.Options
			into   *[][]backtest.Tally
		}{{series, o, &s.runs}, {first, o, &s.halves[0]}, {series, second, &s.halves[1]}} {
			tallies, err := backtest.Run(ctx, part.series, part.o, c.with(m))
			if err != nil {
				return s, err //nolint:wrapcheck // names itself
			}
			*part.into = append(*part.into, tallies)
		}
	}
	return s, nil
}

// halve cuts the time that counts, at a midnight where it is of several days, and
// returns the series up to there.
func halve(series []*backtest.Series, from int) (middle int, first []*backtest.Series, days bool) {
	longest, day := 0, 1
	for _, s := range series {
		longest, day = max(longest, len(s.CPU), len(s.Memory)), int(86400/s.StepSeconds)
	}
	middle = (from + longest) / 2
	if days = longest-from >= 4*day; days {
		middle = middle / day * day
	}
	for _, s := range series {
		cut := *s
		cut.CPU, cut.Memory = s.CPU[:min(middle, len(s.CPU))], s.Memory[:min(middle, len(s.Memory))]
		first = append(first, &cut)
	}
	return middle, first, days
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

// at interpolates between the runs around the goal.
func at(runs [][]backtest.Tally, picked []int) equal {
	var before backtest.Figures
	for i, m := range multipliers {
		now := sum(runs[i], picked).Figures()
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
	fmt.Print("| | multiplier | L/U | over folds | halves of the time | memory slack % | resizes | L/U of right-sizer below by % | slack below by % |\n|---|---|---|---|---|---|---|---|---|\n")
	for i := range sweeps {
		s := &sweeps[i]
		e := at(s.runs, nil)
		least, most := overFolds(n, func(picked []int) float64 { return at(s.runs, picked).ratio })
		halves := "–"
		if s.days {
			halves = fmt.Sprintf("%.2f, %.2f", at(s.halves[0], nil).ratio, at(s.halves[1], nil).ratio)
		}
		fmt.Printf("| %s | %.2f | %.3f | %.2f–%.2f | %s | %.1f | %.2f | %s | %s |\n", s.name, e.multiplier, e.ratio, least, most,
			halves, e.slack, e.resizes, below(&sweeps[0], s, n, equal.ofRatio), below(&sweeps[0], s, n, equal.ofSlack))
	}
}

// overFolds are the least and the most of a figure over folds of series.
func overFolds(n int, figure func(picked []int) float64) (least, most float64) {
	least, most = math.Inf(1), math.Inf(-1)
	for fold := range folds {
		var picked []int
		for j := fold; j < n; j += folds {
			picked = append(picked, j)
		}
		if x := figure(picked); !math.IsNaN(x) {
			least, most = min(least, x), max(most, x)
		}
	}
	return least, most
}

func (e equal) ofRatio() float64 { return e.ratio }
func (e equal) ofSlack() float64 { return e.slack }

// below is by how much a figure of own is below the peer's at the goal, with its
// interval.
func below(own, peer *sweep, n int, figure func(equal) float64) string {
	if own == peer {
		return ""
	}
	gain := func(picked []int) float64 {
		return 100 * (1 - figure(at(own.runs, picked))/figure(at(peer.runs, picked)))
	}
	least, most, ok := bootstrap(n, gain)
	if !ok {
		return "not reached"
	}
	return fmt.Sprintf("%.1f (%.1f to %.1f)", gain(nil), least, most)
}

// bootstrap is the 95 % interval of a figure over series drawn with replacement;
// false where most draws have none.
func bootstrap(n int, figure func(picked []int) float64) (least, most float64, ok bool) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // G404: the same every time
	var all []float64
	for range bootstraps {
		picked := make([]int, n)
		for i := range picked {
			picked[i] = random.IntN(n)
		}
		if x := figure(picked); !math.IsNaN(x) {
			all = append(all, x)
		}
	}
	if slices.Sort(all); len(all) < bootstraps/2 {
		return 0, 0, false
	}
	return all[len(all)*25/1000], all[len(all)*975/1000], true
}

// asShipped compares what is shipped: of each figure by how much own is below the
// peer, over all series, in how many draws of series it is, and in the halves of the
// time.
func asShipped(own, peer *sweep, n int) {
	fmt.Printf("\nAs shipped, %s below %s by %% of it:\n\n| | all | 95 %% interval | below in %% of draws | over folds | halves of the time |\n|---|---|---|---|---|---|\n", own.name, peer.name)
	one := slices.Index(multipliers, 1)
	for _, f := range figures {
		gain := func(a, b []backtest.Tally, picked []int) float64 {
			return 100 * (1 - f.of(sum(a, picked).Figures())/f.of(sum(b, picked).Figures()))
		}
		below := 0
		least, most, _ := bootstrap(n, func(picked []int) float64 {
			g := gain(own.shipped(), peer.shipped(), picked)
			if g > 0 {
				below++
			}
			return g
		})
		low, high := overFolds(n, func(picked []int) float64 { return gain(own.shipped(), peer.shipped(), picked) })
		fmt.Printf("| %s | %.1f | %.1f to %.1f | %d | %.1f to %.1f | %.1f, %.1f |\n", f.name, gain(own.shipped(), peer.shipped(), nil), least, most, 100*below/bootstraps, low, high,
			gain(own.halves[0][one], peer.halves[0][one], nil), gain(own.halves[1][one], peer.halves[1][one], nil))
	}
}

// figures are those in which less is better.
var figures = []struct {
	name string
	of   func(backtest.Figures) float64
}{
	{"OOM kills", func(f backtest.Figures) float64 { return f.OOMPer1000ContainerDays }},
	{"L/U", func(f backtest.Figures) float64 { return f.MemoryLimitToUsage }},
	{"memory slack", func(f backtest.Figures) float64 { return f.MemorySlackPercent }},
	{"CPU under", func(f backtest.Figures) float64 { return f.CPUUnderPercent }},
	{"CPU deficit", func(f backtest.Figures) float64 { return f.CPUDeficitPercent }},
	{"CPU slack", func(f backtest.Figures) float64 { return f.CPUSlackPercent }},
	{"changes", func(f backtest.Figures) float64 { return f.ChangesPerContainerDay }},
}
