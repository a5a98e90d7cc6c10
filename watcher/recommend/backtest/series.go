package backtest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Series is the recorded use of one container on a grid; NaN is no sample.
type Series struct {
	Name string
	// StepSeconds is the width of the grid.
	StepSeconds int64
	// CPU in millicores, Memory in bytes.
	CPU, Memory []float64
}

// Header is the first line of the input.
const Header = "series,resource,step_s,capacity,values"

// The values of the column resource.
const (
	ResourceCPU    = "cpu_mcores"
	ResourceMemory = "mem_mib"
)

// Bounds of the input.
const (
	maxLineBytes = 64 << 20
	maxSeries    = 1_000_000
	maxSteps     = 5_000_000
)

// InputError is a fault of the input: its line from 1, and the field.
type InputError struct {
	Line  int
	Field string
	Text  string
}

func (e *InputError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Text)
	}
	return fmt.Sprintf("line %d, field %s: %s", e.Line, e.Field, e.Text)
}

// Read reads series from CSV, compressed by gzip or not: a line for each series
// and resource, its values separated by spaces, an empty one where there is no
// sample. The lines of one series need not follow each other.
func Read(r io.Reader) ([]*Series, error) {
	plain, err := Decompress(r)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(plain)
	lines.Buffer(make([]byte, 64<<10), maxLineBytes)
	var out []*Series
	known := map[string]*Series{}
	n := 0
	for lines.Scan() && lines.Err() == nil { // Else it is the rest of what could not be read.
		n++
		line := strings.TrimSuffix(lines.Text(), "\r")
		if n == 1 {
			if strings.TrimPrefix(line, "\ufeff") != Header {
				return nil, &InputError{Line: 1, Text: fmt.Sprintf("wants the header %q, not %s", Header, quote(line))}
			}
			continue
		}
		if line == "" {
			continue
		}
		s, err := parseLine(line, known)
		if err != nil {
			err.Line = n
			return nil, err
		}
		if known[s.Name] == nil {
			if len(out) == maxSeries {
				return nil, &InputError{Line: n, Field: "series", Text: fmt.Sprintf("more than %d series", maxSeries)}
			}
			known[s.Name] = s
			out = append(out, s)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, &InputError{Line: n + 1, Text: fmt.Sprintf("longer than %d bytes", maxLineBytes)}
	case err != nil:
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	case n == 0:
		return nil, &InputError{Line: 1, Text: fmt.Sprintf("wants the header %q, there is nothing", Header)}
	case len(out) == 0:
		return nil, &InputError{Line: n, Text: "wants at least one series after the header"}
	}
	return out, nil
}

// Decompress reads gzip as well as plain text, by the first bytes.
func Decompress(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := buffered.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return buffered, nil
	}
	z, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return z, nil
}

func parseLine(line string, known map[string]*Series) (*Series, *InputError) {
	fields := strings.SplitN(line, ",", 5)
	names := strings.Split(Header, ",")
	if len(fields) < 5 {
		return nil, &InputError{Field: names[len(fields)], Text: "missing: wants " + Header}
	}
	if fields[0] == "" {
		return nil, &InputError{Field: "series", Text: "wants a name"}
	}
	step, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || step < 1 || step > 3600 {
		return nil, &InputError{Field: "step_s", Text: "wants whole seconds from 1 to 3600, not " + quote(fields[2])}
	}
	s := known[fields[0]]
	if s == nil {
		s = &Series{Name: fields[0], StepSeconds: step}
	}
	if s.StepSeconds != step {
		return nil, &InputError{Field: "step_s", Text: fmt.Sprintf("is %d, but %d in another line of series %s", step, s.StepSeconds, quote(s.Name))}
	}
	into, unit := &s.CPU, 1.0
	switch fields[1] {
	case ResourceCPU:
	case ResourceMemory:
		into, unit = &s.Memory, 1<<20
	default:
		return nil, &InputError{Field: "resource", Text: fmt.Sprintf("wants %s or %s, not %s", ResourceCPU, ResourceMemory, quote(fields[1]))}
	}
	if *into != nil {
		return nil, &InputError{Field: "resource", Text: fmt.Sprintf("%s of series %s is there already", fields[1], quote(s.Name))}
	}
	values, bad := parseValues(fields[4], unit)
	if bad != nil {
		return nil, bad
	}
	*into = values
	return s, nil
}

func parseValues(text string, unit float64) ([]float64, *InputError) {
	count := strings.Count(text, " ") + 1
	if count > maxSteps {
		return nil, &InputError{Field: "values", Text: fmt.Sprintf("%d values, at most %d", count, maxSteps)}
	}
	out := make([]float64, 0, count)
	for word := range strings.SplitSeq(text, " ") {
		if word == "" {
			out = append(out, math.NaN())
			continue
		}
		v, err := strconv.ParseFloat(word, 64)
		if err != nil || math.IsNaN(v) || v < 0 || v*unit > 1<<50 {
			return nil, &InputError{Field: "values", Text: fmt.Sprintf("value %d: wants a number from 0, or nothing, not %s", len(out)+1, quote(word))}
		}
		out = append(out, v*unit)
	}
	return out, nil
}

// quote shows at most 64 bytes of foreign text.
func quote(text string) string {
	if len(text) > 64 {
		text = text[:64] + "…"
	}
	return strconv.Quote(text)
}
