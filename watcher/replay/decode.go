package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// LineError is a line that cannot be read. Its text is FILE:LINE: what is
// wrong, and what would be right.
type LineError struct {
	File string
	// Line counts from 1, the header.
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap gives the cause.
func (e *LineError) Unwrap() error { return e.Err }

// Reader reads a recording line by line. It holds one line at a time.
type Reader struct {
	name   string
	in     *bufio.Reader
	line   int
	header Header
}

// NewReader reads the header; name is the file's, for errors. Gzip is recognised
// by its first bytes.
func NewReader(name string, in io.Reader) (*Reader, error) {
	r := &Reader{name: name, in: bufio.NewReaderSize(in, 64<<10)}
	if magic, err := r.in.Peek(2); err == nil && bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(r.in)
		if err != nil {
			return nil, &LineError{name, 1, fmt.Errorf("gzip: %w", err)}
		}
		r.in = bufio.NewReaderSize(unzipped, 64<<10)
	}
	raw, err := r.next()
	if errors.Is(err, io.EOF) {
		return nil, &LineError{name, 1, errors.New("the file is empty, wants a recording")}
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &r.header); err != nil {
		return nil, r.wrong(fmt.Errorf("no header: %w; wants {\"format\":%q,…}", err, Format))
	}
	if err := r.header.check(); err != nil {
		return nil, r.wrong(err)
	}
	return r, nil
}

// Header describes the recording.
func (r *Reader) Header() Header { return r.header }

// Next returns the next line. Errors are io.EOF at the end, *LineError for a
// line that cannot be read, after which the next one can be asked for, and
// anything else for a file that cannot be read on.
func (r *Reader) Next() (Line, error) {
	raw, err := r.next()
	if err != nil {
		return Line{}, err
	}
	var line Line
	if err := json.Unmarshal(raw, &line); err != nil {
		return Line{}, r.wrong(fmt.Errorf("no line of a recording: %w; wants {\"time\":…,\"resource\":…,\"type\":…,\"object\":{…}}", err))
	}
	if err := line.check(); err != nil {
		return Line{}, r.wrong(err)
	}
	return line, nil
}

// next returns the next line that is not empty. A last line without its line
// feed counts: a recorder that was killed leaves one, whole or not.
func (r *Reader) next() ([]byte, error) {
	for {
		r.line++
		raw, err := r.readLine()
		raw = bytes.TrimSpace(raw)
		switch {
		case errors.Is(err, errLong):
			return nil, r.wrong(err)
		case err != nil && !errors.Is(err, io.EOF) && len(raw) == 0:
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("the file ends in the middle; the lines before this one are whole")
			}
			return nil, fmt.Errorf("%s:%d: %w", r.name, r.line, err)
		case len(raw) > 0:
			return raw, nil // An error comes again with the next call.
		case err != nil:
			return nil, io.EOF
		}
	}
}

var errLong = fmt.Errorf("the line is longer than %d MiB", MaxLine>>20)

// readLine reads up to a line feed and keeps at most MaxLine bytes.
func (r *Reader) readLine() ([]byte, error) {
	var out []byte
	long := false
	for {
		part, err := r.in.ReadSlice('\n')
		if len(out)+len(part) > MaxLine {
			long, out = true, nil
		}
		if !long {
			out = append(out, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long {
			return nil, errLong
		}
		return out, err //nolint:wrapcheck // next words it
	}
}

func (r *Reader) wrong(err error) *LineError {
	return &LineError{File: r.name, Line: r.line, Err: err}
}
