package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

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
	draws := flag.Int("validate", 0, "cross-validate a choice among so many drawn settings instead")
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
	if *draws > 0 {
		return validate(ctx, series, o, *draws)
	}
	fmt.Printf("%d series; as shipped:\n\n| | OOM | events per OOM-day | L/U | memory slack %% | CPU under %% | deficit %% | slack %% | changes | resizes |\n|---|---|---|---|---|---|---|---|---|---|\n", len(series))
	var sweeps []sweep
	for _, c := range contenders() {
		s, err := sweepOf(ctx, c, series, o)
		if err != nil {
			return err
		}
		sweeps = append(sweeps, s)
		f := sum(s.shipped(), nil).Figures()
		fmt.Printf("| %s | %.1f | %.2f | %.3f | %.1f | %.2f | %.2f | %.1f | %.2f | %.2f |\n", c.name, f.OOMPer1000ContainerDays,
			f.OOMPer1000ContainerDays/max(10*f.OOMDayPercent, 1e-9), f.MemoryLimitToUsage, f.MemorySlackPercent,
			f.CPUUnderPercent, f.CPUDeficitPercent, f.CPUSlackPercent, f.ChangesPerContainerDay, f.MemoryResizesPerContainerDay)
	}
	asShipped(&sweeps[0], &sweeps[1], len(series))
	compare(sweeps, len(series))
	return nil
}
