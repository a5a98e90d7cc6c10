package usage

// Rings hold one maximum a slot. The slot of time t is t/width; slot n is at
// index n modulo the length. newest is the latest slot that has been written;
// older slots than the length before it are gone.

// put writes a maximum into a slot, unless the slot is no longer held, and
// returns the newest slot.
func put(ring []code, newest, slot uint32, value code) uint32 {
	size := uint32(len(ring))
	switch {
	case newest == 0: // nothing is held yet
		newest = slot
	case slot > newest:
		if slot-newest >= size {
			clear(ring)
		} else {
			for n := newest + 1; n <= slot; n++ {
				ring[n%size] = 0
			}
		}
		newest = slot
	case newest-slot >= size:
		return newest
	}
	if at := slot % size; value > ring[at] {
		ring[at] = value
	}
	return newest
}

// mergeRing adds another ring of the same length and width.
func mergeRing(into []code, newest uint32, from []code, fromNewest uint32) uint32 {
	size := uint32(len(into))
	if fromNewest == 0 {
		return newest
	}
	first := uint32(1)
	if fromNewest >= size {
		first = fromNewest - size + 1
	}
	newest = put(into, newest, fromNewest, 0)
	for n := first; n <= fromNewest; n++ {
		newest = put(into, newest, n, from[n%size])
	}
	return newest
}
