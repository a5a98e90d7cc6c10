package backtest_test

import (
	"context"
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/recommend/backtest"
)

// fleet is two weeks of made-up containers: even ones, ones with busy hours, and spiky
// ones, of each some that grow and some that shrink.
func fleet() []*backtest.Series {
	const day, days = 288, 14
	var out []*backtest.Series
	for i := range 36 {
		random := rand.New(rand.NewPCG(uint64(i), 2026))
		s := &backtest.Series{Name: strconv.Itoa(i), StepSeconds: 300}
		size := 1 + float64(i%12)
		for step := range day * days {
			load := 1 + 0.1*random.Float64()
			switch hour := step % day / 12; {
			case i%3 == 1 && hour >= 8 && hour < 18:
				load *= 1.5 + 0.5*random.Float64()
			case i%3 == 2 && random.IntN(400) == 0:
				load *= 2 + 3*random.Float64()
			}
			switch along := float64(step) / (day * days); i % 4 {
			case 1:
				load *= 2.5 - 2*along
			case 3:
				load *= 1 + along
			}
			s.CPU = append(s.CPU, 80*size*load*(0.7+0.6*random.Float64()))
			s.Memory = append(s.Memory, 64*size*load*(1<<20))
		}
		out = append(out, s)
	}
	return out
}

// The method's figures on made-up containers. Where a change moves one of them, those of
// README.md are to be measured anew, with `make bench USAGE=…`, before these are replaced.
func TestTheFiguresOfTheMethod(t *testing.T) {
	t.Parallel()
	tallies, err := backtest.Run(context.Background(), fleet(), backtest.Options{Warmup: 288, ScoreFrom: 2016}, backtest.Product(recommend.DefaultSettings()))
	require.NoError(t, err)
	var total backtest.Tally
	for i := range tallies {
		total.Add(&tallies[i])
	}
	got, want := total.Figures(), backtest.Figures{
		OOMPer1000ContainerDays: 91.26984, OOMDayPercent: 7.93651, MemorySlackPercent: 45.44330, MemoryLimitToUsage: 2.42125,
		CPUUnderPercent: 0.70822, CPUDeficitPercent: 0.24644, CPUSlackPercent: 38.76045,
		ChangesPerContainerDay: 1.14683, MemoryResizesPerContainerDay: 0.82937, Series: 36, ContainerDays: 252,
	}
	for i, g := 0, reflect.ValueOf(got); i < g.NumField(); i++ {
		assert.InEpsilon(t, reflect.ValueOf(want).Field(i).Interface(), g.Field(i).Interface(), 1e-4, g.Type().Field(i).Name)
	}
}
