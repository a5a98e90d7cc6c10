package backtest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/recommend/backtest"
)

func TestReadNamesLineAndField(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                           `line 1: wants the header "series,resource,step_s,capacity,values", there is nothing`,
		"a,b\n":                      `line 1: wants the header "series,resource,step_s,capacity,values", not "a,b"`,
		"H\na,cpu_mcores,300\n":      "line 2, field capacity: missing: wants series,resource,step_s,capacity,values",
		"H\n,cpu_mcores,300,,1\n":    "line 2, field series: wants a name",
		"H\na,disk,300,,1\n":         `line 2, field resource: wants cpu_mcores or mem_mib, not "disk"`,
		"H\na,cpu_mcores,0,,1\n":     `line 2, field step_s: wants whole seconds from 1 to 3600, not "0"`,
		"H\na,cpu_mcores,300,,1 x\n": `line 2, field values: value 2: wants a number from 0, or nothing, not "x"`,
		"H\na,mem_mib,300,,-1\n":     `line 2, field values: value 1: wants a number from 0, or nothing, not "-1"`,
		"H\na,mem_mib,300,,NaN\n":    `line 2, field values: value 1: wants a number from 0, or nothing, not "NaN"`,
		"H\na,mem_mib,300,,1\na,cpu_mcores,60,,1\n": `line 3, field step_s: is 60, but 300 in another line of series "a"`,
		"H\na,mem_mib,300,,1\na,mem_mib,300,,1\n":   `line 3, field resource: mem_mib of series "a" is there already`,
		"H\n": "line 1: wants at least one series after the header",
	} {
		_, err := backtest.Read(strings.NewReader(strings.Replace(text, "H", backtest.Header, 1)))
		assert.EqualError(t, err, want)
	}
}

// What is cut off is not taken for a shorter line.
func TestAFileThatIsCutOffIsRefused(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(backtest.Header + "\na,mem_mib,300,,10 20\nb,mem_mib,300,,100 2"))
	require.NoError(t, z.Flush())
	whole := packed.Len()
	require.NoError(t, z.Close())
	for _, n := range []int{20, 40, whole} {
		_, err := backtest.Read(bytes.NewReader(packed.Bytes()[:n]))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, n)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	text := backtest.Header + "\na,cpu_mcores,300,,1  2.5\na,mem_mib,300,,10 20 \nb,mem_mib,60,,1\n"
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(text))
	require.NoError(t, z.Close())
	series, err := backtest.Read(&packed)
	require.NoError(t, err)
	require.Len(t, series, 2)
	assert.True(t, math.IsNaN(series[0].CPU[1]), "an empty value is no sample")
	var out strings.Builder
	require.NoError(t, backtest.Write(&out, series))
	assert.Equal(t, text, out.String())
}

// scripted is a Sizer that does what the test says.
type scripted struct {
	size func(t int64) (cpu, memory float64)
	seen []float64
	ooms int
}

func (s *scripted) Observe(_ int64, _, memoryBytes float64) { s.seen = append(s.seen, memoryBytes) }
func (s *scripted) OOM(int64, float64)                      { s.ooms++ }
func (s *scripted) Size(t int64, _, _ float64) (cpu, memory float64) {
	return s.size(t)
}

func TestFiguresByHand(t *testing.T) {
	t.Parallel()
	s := &scripted{size: func(int64) (float64, float64) { return 100, 50 }}
	series := []*backtest.Series{{
		Name: "a", StepSeconds: 3600,
		CPU:    []float64{10, 50, 150, math.NaN()},
		Memory: []float64{80, 25, 80, math.NaN()},
	}}
	tallies, err := backtest.Run(context.Background(), series, backtest.Options{Warmup: 1, ScoreFrom: 1}, func() backtest.Sizer { return s })
	require.NoError(t, err)
	assert.Equal(t, backtest.Figures{
		OOMPer1000ContainerDays: 1000, OOMDayPercent: 100, MemorySlackPercent: 25, MemoryLimitToUsage: 100.0 / 75,
		CPUUnderPercent: 50, CPUDeficitPercent: 25, CPUSlackPercent: 25, Series: 1, ContainerDays: 1,
	}, tallies[0].Figures())
	assert.Equal(t, 80.0, s.seen[0], "there is no limit before the warm-up's end")
	assert.Equal(t, 50.0, s.seen[2], "nobody sees memory above the limit")
	assert.Equal(t, 1, s.ooms)
}

func TestTheProductLearnsFromAnOOMKill(t *testing.T) {
	t.Parallel()
	memory := make([]float64, 4*288)
	for i := range memory {
		memory[i] = 100 << 20
		if i >= 700 {
			memory[i] = 180 << 20
		}
	}
	tallies, err := backtest.Run(context.Background(), []*backtest.Series{{Name: "a", StepSeconds: 300, Memory: memory}},
		backtest.Options{Warmup: 288, ScoreFrom: 288}, backtest.Product(recommend.DefaultSettings()))
	require.NoError(t, err)
	assert.EqualValues(t, 1, tallies[0].OOMs)
	assert.Less(t, tallies[0].Figures().MemoryLimitToUsage, 1.4)
}

// An OOM kill puts memory into force alone: what was proposed of CPU then is not what
// holds the next change back.
func TestWhatWasNotDoneIsNotAChange(t *testing.T) {
	t.Parallel()
	const step = 300
	sizer := backtest.Product(recommend.DefaultSettings())()
	at := int64(1_704_067_200)
	observe := func(hours int, cpu float64) {
		for range hours * 3600 / step {
			at += step
			sizer.Observe(at, cpu, 100<<20)
		}
	}
	observe(24, 1000)
	cpu, memory := sizer.Size(at, 0, 0)
	require.Positive(t, cpu)
	observe(200, 100)
	lower, _ := sizer.Size(at, cpu, memory) // as after an OOM kill: it is not done
	require.Positive(t, lower)
	require.Less(t, lower, cpu)
	observe(1, 100)
	again, _ := sizer.Size(at, cpu, memory)
	assert.Positive(t, again, "nothing was changed, so nothing is held")
	observe(12, 10)
	held, _ := sizer.Size(at, again, memory)
	assert.Zero(t, held)
}

func TestTheKeysOfTheJSON(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(backtest.Figures{})
	require.NoError(t, err)
	var keys map[string]any
	require.NoError(t, json.Unmarshal(raw, &keys))
	for key := range strings.FieldsSeq("oom_per_1000_container_days oom_day_percent memory_slack_percent memory_limit_to_usage cpu_under_percent " +
		"cpu_deficit_percent cpu_slack_percent changes_per_container_day memory_resizes_per_container_day series container_days") {
		assert.Contains(t, keys, key)
	}
	assert.Len(t, keys, 11)
}

func TestPrometheusExports(t *testing.T) {
	t.Parallel()
	parse := func(values string) backtest.Export {
		e, err := backtest.ReadExport(strings.NewReader(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"namespace":"n","pod":"p","container":"c"},"values":` + values + `}]}}`))
		require.NoError(t, err)
		return e
	}
	series, err := backtest.Convert(parse(`[[600,"0.5"],[700,"0.7"],[1200,"NaN"]]`), parse(`[[600,"1048576"],[1300,"3145728"]]`), 300)
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, backtest.Write(&out, series))
	assert.Equal(t, backtest.Header+"\nn/p/c,cpu_mcores,300,,600  \nn/p/c,mem_mib,300,,1  3\n", out.String())

	for text, want := range map[string]string{
		`{"status":"error","error":"bad query"}`:                                                          `status: wants "success", not "error" "bad query"`,
		`{"status":"success","data":{"resultType":"vector"}}`:                                             `data.resultType: wants "matrix"`,
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"x"]]}]}}`: `data.result[0].values[0]: wants a number, not "x"`,
		`[`: "wants the JSON that /api/v1/query_range answers",
	} {
		_, err := backtest.ReadExport(strings.NewReader(text))
		assert.ErrorContains(t, err, want)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(backtest.Header + "\na,cpu_mcores,300,,1  2.5\n")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = backtest.Read(strings.NewReader(text)) })
}

func FuzzReadExport(f *testing.F) {
	f.Add(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}}`)
	f.Fuzz(func(_ *testing.T, text string) {
		if e, err := backtest.ReadExport(strings.NewReader(text)); err == nil {
			_, _ = backtest.Convert(e, e, 300)
		}
	})
}
