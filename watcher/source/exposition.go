package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// maxLine bounds a line of an exposition. cAdvisor's have about 600 bytes; longer
// ones than this are skipped.
const maxLine = 16 << 10

// label is one label of a line; its bytes are valid until the next line.
type label struct{ name, value []byte }

// line is one sample of an exposition.
type line struct {
	name   []byte
	labels []label
	value  float64
	// at is the time on the line; zero where there is none.
	at time.Time
}

// label returns a label's value, empty where it is not there.
func (l *line) label(name string) string {
	for i := range l.labels {
		if string(l.labels[i].name) == name {
			return string(l.labels[i].value)
		}
	}
	return ""
}

var errNoLine = errors.New("not a line of the Prometheus text format")

// expose reads the Prometheus text format line by line, and hands over the lines
// of the wanted metrics. It holds one line at a time: what a kubelet says of its
// cgroups is megabytes, of which a thousandth is wanted. A line of a wanted metric
// that cannot be read is an error; what is not wanted is not looked at.
func expose(r io.Reader, wanted func(name []byte) bool, take func(*line) error) error {
	in := bufio.NewReaderSize(r, maxLine)
	var l line
	for {
		raw, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			raw = nil
			if err = skipLine(in); err == nil {
				continue
			}
		}
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return err
		}
		raw = bytes.TrimRight(raw, "\r\n")
		if name := metricName(raw); len(name) > 0 && wanted(name) {
			if parseErr := l.parse(raw, len(name)); parseErr != nil {
				return fmt.Errorf("%w: %.80q", parseErr, raw)
			}
			if takeErr := take(&l); takeErr != nil {
				return takeErr
			}
		}
		if last {
			return nil
		}
	}
}

func skipLine(in *bufio.Reader) error {
	for {
		_, err := in.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// metricName is what a line begins with; empty for comments and blank lines.
func metricName(raw []byte) []byte {
	for i, c := range raw {
		switch {
		case c == '_' || c == ':' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		case c >= '0' && c <= '9' && i > 0:
		default:
			return raw[:i]
		}
	}
	return raw
}

// parse reads a line whose name has n bytes.
func (l *line) parse(raw []byte, n int) error {
	l.name, l.labels, l.at = raw[:n], l.labels[:0], time.Time{}
	rest := raw[n:]
	if len(rest) > 0 && rest[0] == '{' {
		var err error
		if rest, err = l.parseLabels(rest[1:]); err != nil {
			return err
		}
	}
	fields := bytes.Fields(rest)
	if len(fields) < 1 || len(fields) > 2 {
		return errNoLine
	}
	var err error
	if l.value, err = strconv.ParseFloat(string(fields[0]), 64); err != nil {
		return errNoLine
	}
	if len(fields) == 2 {
		ms, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			return errNoLine
		}
		l.at = time.UnixMilli(ms)
	}
	return nil
}

// parseLabels reads up to the closing brace and returns what follows.
func (l *line) parseLabels(rest []byte) ([]byte, error) {
	for {
		rest = bytes.TrimLeft(rest, " ,\t")
		if len(rest) > 0 && rest[0] == '}' {
			return rest[1:], nil
		}
		eq := bytes.IndexByte(rest, '=')
		if eq < 1 || eq+1 >= len(rest) || rest[eq+1] != '"' {
			return nil, errNoLine
		}
		name := bytes.TrimRight(rest[:eq], " \t")
		value, after, ok := unquote(rest[eq+2:])
		if !ok {
			return nil, errNoLine
		}
		l.labels = append(l.labels, label{name, value})
		rest = after
	}
}

// unquote reads up to the closing quote, in place.
func unquote(rest []byte) (value, after []byte, ok bool) {
	out := 0
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '"':
			return rest[:out], rest[i+1:], true
		case '\\':
			i++
			if i == len(rest) {
				return nil, nil, false
			}
			c := rest[i]
			if c == 'n' {
				c = '\n'
			}
			rest[out] = c
		default:
			rest[out] = rest[i]
		}
		out++
	}
	return nil, nil, false
}
