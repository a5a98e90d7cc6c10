package usage

import "math"

// histogram counts CPU samples in buckets of a quarter octave of equal widths,
// from bucketFloor up; each weighs half as much as one that is halfLife younger.
type histogram struct {
	weights [buckets]float32
	// ref is the time, in half-lives, at which a sample weighs 1.
	ref uint32
}

// CPUToldApart is the amount of CPU in millicores from which on samples count as one:
// a quantile says that it is reached, not by how much it is exceeded.
const CPUToldApart = 49_152

const (
	buckets = 56
	// bucketFloor is the lower end of the second bucket, in millicores; the
	// last one begins at CPUToldApart and has no end.
	bucketFloor = 4.0
	// halfLife of the weight of a CPU sample, in seconds.
	halfLife = 24 * 3600
	// refAhead is how many half-lives a sample may lie ahead of ref before ref
	// moves; a weight of 2^16 keeps float32 sums exact to 1 in 2^7 samples.
	refAhead = 8
)

// bucketOf returns the index of the bucket of an amount.
func bucketOf(millis float64) int {
	if millis < bucketFloor {
		return 0
	}
	bits := math.Float32bits(float32(millis))
	const floor = (127 + 2) << 2 // exponent and two mantissa bits of bucketFloor
	return min(int(bits>>21)-floor+1, buckets-1)
}

// bucketStart returns the lower end of a bucket in millicores.
func bucketStart(i int) float64 {
	if i == 0 {
		return 0
	}
	return math.Ldexp(1+float64((i-1)&3)/4, 2+(i-1)>>2)
}

// moveTo makes ref the reference, which only moves forward.
func (h *histogram) moveTo(ref uint32) {
	if ref <= h.ref {
		return
	}
	if h.ref != 0 {
		factor := float32(math.Ldexp(1, -int(min(ref-h.ref, 200))))
		for i := range h.weights {
			h.weights[i] *= factor
		}
	}
	h.ref = ref
}

func (h *histogram) add(t int64, millis float64) {
	life := uint32(t / halfLife)
	if h.ref == 0 || life > h.ref+refAhead {
		h.moveTo(life)
	}
	// 2^(t/halfLife - ref), linear within a half-life: at most 6 % off, equal
	// for equal times.
	exponent := int(life) - int(h.ref)
	if exponent < -100 {
		return // it weighs nothing beside the others
	}
	within := 1 + float32(t%halfLife)/halfLife
	h.weights[bucketOf(millis)] += within * math.Float32frombits(uint32(127+exponent)<<23)
}

func (h *histogram) merge(from *histogram) {
	if from.ref == 0 {
		return
	}
	other := *from
	h.moveTo(other.ref)
	other.moveTo(h.ref)
	for i, w := range other.weights {
		h.weights[i] += w
	}
}
