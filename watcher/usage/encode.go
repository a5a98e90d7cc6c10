package usage

import (
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// encodingVersion is the first byte of an encoded Sketch. The one before, of version
// 0.1.0, had the times of the first and the last sample of CPU and memory together;
// any other is refused: a checkpoint that cannot be read costs history, not
// correctness.
const (
	encodingVersion = 3
	encodingBefore  = 2
)

// MaxEncodedBytes bounds an encoded Sketch.
const MaxEncodedBytes = 640

var (
	_ encoding.BinaryAppender    = (*Sketch)(nil)
	_ encoding.BinaryMarshaler   = (*Sketch)(nil)
	_ encoding.BinaryUnmarshaler = (*Sketch)(nil)
)

// ErrEncoding is wrapped by every error of UnmarshalBinary and Restore.
var ErrEncoding = errors.New("not an encoded sketch")

// MarshalBinary encodes the Sketch; it does not fail.
func (s *Sketch) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// AppendBinary appends at most MaxEncodedBytes; it does not fail.
func (s *Sketch) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, encodingVersion)
	for _, field := range s.numbers() {
		b = binary.AppendUvarint(b, uint64(*field))
	}
	for _, ring := range s.rings() {
		for _, c := range ring {
			b = binary.LittleEndian.AppendUint16(b, c)
		}
	}
	// The buckets in use lie together.
	first, end := s.cpu.inUse()
	b = append(b, byte(first), byte(end))
	for _, w := range s.cpu.weights[first:end] {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(w))
	}
	return b, nil
}

// UnmarshalBinary replaces the Sketch by an encoded one. After an error it is
// empty.
func (s *Sketch) UnmarshalBinary(b []byte) error {
	var fresh Sketch
	*s = Sketch{}
	if err := fresh.decode(b); err != nil {
		return err
	}
	*s = fresh
	return nil
}

func (s *Sketch) decode(b []byte) error {
	if len(b) == 0 || b[0] != encodingVersion && b[0] != encodingBefore {
		return fmt.Errorf("%w: wants version %d or %d first", ErrEncoding, encodingVersion, encodingBefore)
	}
	numbers := s.numbers()
	var first, last uint32
	before := b[0] == encodingBefore
	if before {
		numbers = slices.Concat([]*uint32{&s.newestBlock, &first, &last, &s.lastCPU, &s.lastMemory}, numbers[timeNumbers:])
	}
	b = b[1:]
	for _, field := range numbers {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > math.MaxUint32 {
			return fmt.Errorf("%w: a number is cut off or too large", ErrEncoding)
		}
		*field, b = uint32(v), b[n:]
	}
	if before {
		s.firstCPU, s.firstMemory = min(first, s.lastCPU), min(first, s.lastMemory)
	}
	for _, ring := range s.rings() {
		if len(b) < 2*len(ring) {
			return fmt.Errorf("%w: a ring is cut off", ErrEncoding)
		}
		for i := range ring {
			ring[i], b = binary.LittleEndian.Uint16(b), b[2:]
		}
	}
	if err := s.cpu.decode(b); err != nil {
		return err
	}
	return s.check()
}

func (h *histogram) decode(b []byte) error {
	if len(b) < 2 {
		return fmt.Errorf("%w: the histogram is cut off", ErrEncoding)
	}
	first, end := int(b[0]), int(b[1])
	if b = b[2:]; first > end || end > buckets || len(b) != 4*(end-first) {
		return fmt.Errorf("%w: %d bytes for buckets %d to %d", ErrEncoding, len(b), first, end)
	}
	for i := first; i < end; i++ {
		w := math.Float32frombits(binary.LittleEndian.Uint32(b))
		if !(w >= 0 && w <= math.MaxFloat32) {
			return fmt.Errorf("%w: weight %v", ErrEncoding, w)
		}
		h.weights[i], b = w, b[4:]
	}
	return nil
}

// check holds what the rest of the package relies on.
func (s *Sketch) check() error {
	for _, ring := range s.rings() {
		if slices.Max(ring) > encode(MaxMemoryBytes) {
			return fmt.Errorf("%w: an amount above the bound of a sample", ErrEncoding)
		}
	}
	if (s.firstCPU == 0) != (s.lastCPU == 0) || (s.firstMemory == 0) != (s.lastMemory == 0) ||
		s.firstCPU > s.lastCPU || s.firstMemory > s.lastMemory || s.newestBlock > s.lastMemory/blockSeconds {
		return fmt.Errorf("%w: times contradict each other", ErrEncoding)
	}
	o := &s.oom
	for i := range o.at {
		if o.at[i] == 0 && o.limits[i] != 0 || i > 0 && compareMarks(o.at[i], o.limits[i], o.at[i-1], o.limits[i-1]) > 0 {
			return fmt.Errorf("%w: OOM kills out of order", ErrEncoding)
		}
	}
	return nil
}

// timeNumbers is how many of the numbers are times, the first of them.
const timeNumbers = 5

// numbers are the fields of 32 bits in the order of the encoding.
func (s *Sketch) numbers() []*uint32 {
	out := []*uint32{
		&s.newestBlock, &s.firstCPU, &s.lastCPU, &s.firstMemory, &s.lastMemory,
		&s.cpuSamples, &s.memorySamples, &s.refused, &s.startupPeriod, &s.cpu.ref, &s.oom.count,
	}
	for i := range s.oom.at {
		out = append(out, &s.oom.at[i])
	}
	return out
}

// rings are the fields of codes in the order of the encoding.
func (s *Sketch) rings() [][]code {
	return [][]code{s.memBlock[:], s.startupCPU[:], s.startupMemory[:], s.oom.limits[:]}
}

func (h *histogram) inUse() (first, end int) {
	for i, w := range h.weights {
		if w != 0 {
			if end == 0 {
				first = i
			}
			end = i + 1
		}
	}
	return first, end
}
