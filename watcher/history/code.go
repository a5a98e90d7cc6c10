package history

import "math"

// code is an amount in 16 bits: 0 is none, 1 is zero, the rest are powers of
// 2^(1/perOctave) from 2^lowest on, which reaches from a millionth to 2^43.
type code uint16

const (
	perOctave = 1040
	lowest    = -20
)

func encode(v float64) code {
	switch {
	case math.IsNaN(v) || v < 0:
		return 0
	case v < 1.0/(1<<20):
		return 1
	}
	n := math.Round((math.Log2(v) - lowest) * perOctave)
	return code(min(n, math.MaxUint16-2)) + 2
}

func (c code) decode() float64 {
	if c <= 1 {
		return 0
	}
	return math.Exp2(float64(c-2)/perOctave + lowest)
}
