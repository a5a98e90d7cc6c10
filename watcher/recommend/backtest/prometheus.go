package backtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxExportBytes bounds one export.
const maxExportBytes = 1 << 30

// export is the answer of Prometheus to a range query.
type export struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		ResultType string `json:"resultType"`
		Result     []struct {
			Metric map[string]string    `json:"metric"`
			Values [][2]json.RawMessage `json:"values"`
		} `json:"result"`
	} `json:"data"`
}

// point is one value of an export.
type point struct {
	at    float64 // Unix seconds
	value float64
}

// Export is one resource out of Prometheus: series by name.
type Export map[string][]point

// ReadExport reads the JSON answer to a range query (GET /api/v1/query_range),
// compressed or not. A series is named by its labels namespace, workload or pod,
// and container, else by all of them.
func ReadExport(r io.Reader) (Export, error) {
	plain, err := Decompress(r)
	if err != nil {
		return nil, err
	}
	var raw export
	limited := &io.LimitedReader{R: plain, N: maxExportBytes + 1}
	if err := json.NewDecoder(limited).Decode(&raw); err != nil {
		if limited.N == 0 {
			return nil, fmt.Errorf("longer than %d bytes: export fewer series or a shorter range", int64(maxExportBytes))
		}
		return nil, fmt.Errorf("wants the JSON that /api/v1/query_range answers: %w", err)
	}
	switch {
	case raw.Status != "success":
		return nil, fmt.Errorf("status: wants \"success\", not %s %s", quote(raw.Status), quote(raw.Error))
	case raw.Data.ResultType != "matrix":
		return nil, fmt.Errorf("data.resultType: wants \"matrix\", which query_range answers, not %s", quote(raw.Data.ResultType))
	}
	out := Export{}
	for i, result := range raw.Data.Result {
		points := make([]point, 0, len(result.Values))
		for j, pair := range result.Values {
			p, err := parsePair(pair)
			if err != nil {
				return nil, fmt.Errorf("data.result[%d].values[%d]: %w", i, j, err)
			}
			points = append(points, p)
		}
		name := nameOf(result.Metric)
		out[name] = append(out[name], points...)
	}
	if len(out) == 0 {
		return nil, errors.New("data.result: wants at least one series")
	}
	return out, nil
}

func parsePair(pair [2]json.RawMessage) (point, error) {
	at, err := strconv.ParseFloat(string(pair[0]), 64)
	if err != nil || !(at > 0 && at < 1<<40) {
		return point{}, fmt.Errorf("wants a time in Unix seconds, not %s", quote(string(pair[0])))
	}
	var text string
	if err := json.Unmarshal(pair[1], &text); err != nil {
		return point{}, fmt.Errorf("wants a value as a string, not %s", quote(string(pair[1])))
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return point{}, fmt.Errorf("wants a number, not %s", quote(text))
	}
	return point{at, value}, nil
}

func nameOf(labels map[string]string) string {
	var parts []string
	for _, key := range []string{"namespace", "workload", "pod", "container"} {
		if labels[key] != "" && (key != "pod" || labels["workload"] == "") {
			parts = append(parts, labels[key])
		}
	}
	if len(parts) == 0 {
		for _, key := range slices.Sorted(maps.Keys(labels)) {
			parts = append(parts, key+"="+labels[key])
		}
	}
	clean := strings.NewReplacer(",", "_", "\n", "_", "\r", "_")
	if name := clean.Replace(strings.Join(parts, "/")); name != "" {
		return name
	}
	return "all"
}

// Convert puts exports on one grid of step seconds, from the first time of both:
// CPU (in cores) as the mean of a step, memory (in bytes) as its maximum. NaN,
// infinite and negative values are no samples.
func Convert(cpu, memory Export, step int64) ([]*Series, error) {
	if step < 1 || step > actuateSeconds {
		return nil, fmt.Errorf("step: wants whole seconds from 1 to %d, not %d", actuateSeconds, step)
	}
	first, last := math.Inf(1), math.Inf(-1)
	names := map[string]bool{}
	for _, e := range []Export{cpu, memory} {
		for name, points := range e {
			names[name] = true
			for _, p := range points {
				first, last = min(first, p.at), max(last, p.at)
			}
		}
	}
	if len(names) == 0 || first > last {
		return nil, errors.New("there is no value in the exports")
	}
	steps := int((last-first)/float64(step)) + 1
	if steps > maxSteps {
		return nil, fmt.Errorf("%d steps of %d s: at most %d", steps, step, maxSteps)
	}
	var out []*Series
	for _, name := range slices.Sorted(maps.Keys(names)) {
		s := &Series{Name: name, StepSeconds: step}
		slot := func(p point) int { return int((p.at - first) / float64(step)) }
		if points, ok := cpu[name]; ok {
			s.CPU = means(points, steps, slot)
		}
		if points, ok := memory[name]; ok {
			s.Memory = maxima(points, steps, slot)
		}
		out = append(out, s)
	}
	return out, nil
}

func sound(x float64) bool { return x >= 0 && !math.IsInf(x, 1) }

func means(points []point, steps int, slot func(point) int) []float64 {
	sums, counts := make([]float64, steps), make([]float64, steps)
	for _, p := range points {
		if sound(p.value) {
			sums[slot(p)] += p.value * 1000
			counts[slot(p)]++
		}
	}
	for i := range sums {
		sums[i] /= counts[i] // 0/0 is NaN, no sample
	}
	return sums
}

func maxima(points []point, steps int, slot func(point) int) []float64 {
	out := make([]float64, steps)
	for i := range out {
		out[i] = math.NaN()
	}
	for _, p := range points {
		if i := slot(p); sound(p.value) && !(out[i] >= p.value) {
			out[i] = p.value
		}
	}
	return out
}

// Write writes series in the form that Read reads.
func Write(w io.Writer, series []*Series) error {
	out := bufio.NewWriter(w)
	_, _ = out.WriteString(Header + "\n")
	for _, s := range series {
		writeLine(out, s, ResourceCPU, s.CPU, 1)
		writeLine(out, s, ResourceMemory, s.Memory, 1<<20)
	}
	return out.Flush() //nolint:wrapcheck // the caller names the file
}

// writeLine leaves errors to Flush, which gives the first.
func writeLine(out *bufio.Writer, s *Series, resource string, values []float64, unit float64) {
	if values == nil {
		return
	}
	_, _ = fmt.Fprintf(out, "%s,%s,%d,,", s.Name, resource, s.StepSeconds)
	var word []byte
	for i, v := range values {
		if i > 0 {
			_ = out.WriteByte(' ')
		}
		if !math.IsNaN(v) {
			word = strconv.AppendFloat(word[:0], v/unit, 'g', 10, 64)
			_, _ = out.Write(word)
		}
	}
	_ = out.WriteByte('\n')
}
