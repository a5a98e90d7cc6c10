package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/recommend/backtest"
)

// drawn are settings of the method by chance, from ranges that no series chose: what
// somebody would try who has not seen any.
func drawn(random *rand.Rand) recommend.Settings {
	between := func(least, most float64) float64 { return least + random.Float64()*(most-least) }
	factor := func(least, most float64) float64 { return least * math.Pow(most/least, random.Float64()) }
	hours := func(least, most float64) time.Duration {
		return time.Duration(factor(least, most) * float64(time.Hour))
	}
	s := recommend.DefaultSettings()
	m, c := &s.Memory, &s.CPU
	m.OOMCost = factor(3, 40)
	m.Ahead = 1 + random.IntN(4)
	m.Keep = m.Ahead + random.IntN(24)
	m.Recent = 1 + random.IntN(8)
	m.RecentWeight = factor(0.3, 3)
	m.DayWeight = between(0.8, 1)
	m.Margin, m.MarginYoung = between(0, 0.1), between(0, 0.1)
	m.TypicalMargin, m.FlatMargin, m.TypicalRange = between(0, 0.3), between(0, 0.15), between(0.05, 0.3)
	m.OOMBump, m.OOMBumpUneven, m.OOMHold = between(1.2, 2.5), between(0, 1.5), hours(1, 24)
	m.Raise, m.Shrink, m.Hold = between(0, 0.15), between(0.05, 0.5), hours(1, 24)
	c.Quantile, c.Margin = between(0.9, 0.99), between(0, 0.2)
	c.Raise, c.Shrink, c.Hold = between(0, 0.15), between(0.05, 0.3), hours(1, 48)
	c.Room = between(0, 0.1)
	return s
}

// together is how a container does whose memory is sized as by one and whose CPU as by
// the other: neither knows of the other.
func together(memory, cpu *backtest.Tally) backtest.Tally {
	t := *memory
	t.CPUSamples, t.CPUUnder, t.CPUSlack = cpu.CPUSamples, cpu.CPUUnder, cpu.CPUSlack
	t.CPUDeficit, t.CPUUsed, t.CPUChanges = cpu.CPUDeficit, cpu.CPUUsed, cpu.CPUChanges
	return t
}

// best joins, of the settings that were tried, those for memory and those for CPU with
// which the smallest gain of all figures over the peer is the largest on the series
// that are picked.
func best(tried [][]backtest.Tally, peer []backtest.Tally, picked []int) (memory, cpu int) {
	sums := make([]*backtest.Tally, len(tried))
	for i := range tried {
		sums[i] = sum(tried[i], picked)
	}
	than := sum(peer, picked).Figures()
	most := math.Inf(-1)
	for i := range sums {
		for j := range sums {
			both := together(sums[i], sums[j])
			own, least := both.Figures(), math.Inf(1)
			for _, f := range figures {
				least = min(least, 1-f.of(own)/f.of(than))
			}
			if least > most {
				memory, cpu, most = i, j, least
			}
		}
	}
	return memory, cpu
}

// validate says what settings are worth on series that did not choose them: in each
// fold the best of so many that were drawn on the other folds, beside those of the
// product, which all series chose.
func validate(ctx context.Context, series []*backtest.Series, o backtest.Options, draws int) error {
	run := func(name string, with func() backtest.Sizer) ([]backtest.Tally, error) {
		fmt.Fprintln(os.Stderr, "bench:", name)
		return backtest.Run(ctx, series, o, with) //nolint:wrapcheck // names itself
	}
	vpa, err := run("VPA 1.8.1", newVPA(1, 250))
	if err != nil {
		return err
	}
	shipped, err := run("as shipped", backtest.Product(recommend.DefaultSettings()))
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // G404: the same every time
	tried := make([][]backtest.Tally, draws)
	for i := range tried {
		if tried[i], err = run(fmt.Sprintf("draw %d of %d", i+1, draws), backtest.Product(drawn(random))); err != nil {
			return err
		}
	}
	held := make([]backtest.Tally, len(series)) // each series as its fold's choice did on it
	for fold := range folds {
		var others []int
		for i := range series {
			if i%folds != fold {
				others = append(others, i)
			}
		}
		memory, cpu := best(tried, vpa, others)
		for i := fold; i < len(series); i += folds {
			held[i] = together(&tried[memory][i], &tried[cpu][i])
		}
	}
	memory, cpu := best(tried, vpa, nil)
	all := make([]backtest.Tally, len(series))
	for i := range all {
		all[i] = together(&tried[memory][i], &tried[cpu][i])
	}
	fmt.Printf("\nBelow VPA 1.8.1 by %% of it, over %d series; chosen among %d drawn settings:\n\n", len(series), draws)
	fmt.Print("| | chosen on the other folds | 95 % interval | over folds | chosen on all series | as shipped | over folds |\n|---|---|---|---|---|---|---|\n")
	for _, f := range figures {
		gain := func(own []backtest.Tally) func([]int) float64 {
			return func(picked []int) float64 {
				return 100 * (1 - f.of(sum(own, picked).Figures())/f.of(sum(vpa, picked).Figures()))
			}
		}
		least, most, _ := bootstrap(len(series), gain(held))
		low, high := overFolds(len(series), gain(held))
		shippedLow, shippedHigh := overFolds(len(series), gain(shipped))
		fmt.Printf("| %s | %.1f | %.1f to %.1f | %.1f to %.1f | %.1f | %.1f | %.1f to %.1f |\n", f.name, gain(held)(nil), least, most, low, high,
			gain(all)(nil), gain(shipped)(nil), shippedLow, shippedHigh)
	}
	return nil
}
