package usage

import "math"

// A code is a positive amount in 16 bits: the upper half of a float32 without
// its sign, 8 exponent and 8 mantissa bits, rounded up. It is at most 1/256 too
// large, never too small, ordered like the amounts, and multiplying an amount by
// a power of two multiplies what is read by the same. 0 is no amount.
type code = uint16

const (
	codeShift = 15
	codeRound = 1<<codeShift - 1
)

// encode rounds up to the next code. x is finite, not negative, and below the
// bounds of a Sample.
func encode(x float64) code {
	if x <= 0 {
		return 0
	}
	bits := math.Float32bits(float32(x))
	return max(code((bits+codeRound)>>codeShift), 1)
}

func decode(c code) float64 {
	return float64(math.Float32frombits(uint32(c) << codeShift))
}
