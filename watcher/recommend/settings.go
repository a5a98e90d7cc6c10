package recommend

import (
	"time"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// Settings are the numbers of the method. DefaultSettings are those of the
// product; README.md says how they were found.
type Settings struct {
	// Floor is the least that is proposed, Cap the most, of what is ours to decide: a
	// size that the cluster refuses or that others keep is not, see the order of the
	// Bounds. 0 caps nothing.
	Floor, Cap object.Resources
	Memory     MemorySettings
	CPU        CPUSettings
	// WarmUp is the time that samples must span before anything but an OOM kill
	// changes a container.
	WarmUp time.Duration
	// StaleAfter is the age of the newest sample from which nothing shrinks.
	StaleAfter time.Duration
}

// MemorySettings size the memory limit.
type MemorySettings struct {
	// Multiplier multiplies the target, to trade OOM kills for memory.
	Multiplier float64
	// OOMCost is what an OOM kill costs, in days of the container's typical
	// memory.
	OOMCost float64
	// Ahead is how many blocks, the present one included, a raise looks ahead;
	// Keep how many the target is for, so that nothing shrinks that grows again
	// soon. Keep is at least Ahead.
	Ahead, Keep int
	// Recent is how many blocks, the present one included, count besides the
	// same hours of earlier days, with the weight RecentWeight (1 is as much as
	// all days together).
	Recent       int
	RecentWeight float64
	// DayWeight is how much less a day counts than the one after it.
	DayWeight float64
	// Margin is added to the level, as a share of it; MarginYoung more, divided
	// by the days of history.
	Margin, MarginYoung float64
	// TypicalMargin is added as a share of the typical memory where the highest is
	// more than TypicalRange above it, as a share; FlatMargin where it is not above
	// it, and in between what is between: what was even so far surprises less.
	TypicalMargin, FlatMargin, TypicalRange float64
	// OOMBump is by how much an OOM kill raises the limit it was killed at, for
	// OOMHold.
	OOMBump float64
	// OOMBumpUneven at most is added to OOMBump: half of what the highest memory
	// is above the typical, as a share of that.
	OOMBumpUneven float64
	OOMHold       time.Duration
	// Raise and Shrink are the shares by which the target must differ from what
	// is in force; Hold is how long a change stands before a shrink.
	Raise, Shrink float64
	Hold          time.Duration
}

// CPUSettings size the CPU request.
type CPUSettings struct {
	Quantile, Margin float64
	// Raise, Shrink and Hold as for memory.
	Raise, Shrink float64
	Hold          time.Duration
	// Step in millicores is the least change that is worth one.
	Step int64
	// Room is the share that is added to a raise, so that the next is not due soon.
	Room float64
}

// DefaultSettings returns the numbers of the product.
func DefaultSettings() Settings {
	return Settings{
		Floor: object.Resources{CPUMillis: 10, MemoryBytes: 16 << 20},
		Memory: MemorySettings{
			Multiplier: 1, OOMCost: 12, Ahead: 2, Keep: 12, Recent: 4, RecentWeight: 1, DayWeight: 0.92,
			Margin: 0.01, MarginYoung: 0.015, TypicalMargin: 0.13, FlatMargin: 0.065, TypicalRange: 0.1, OOMBump: 2, OOMBumpUneven: 1, OOMHold: 6 * time.Hour,
			Raise: 0.05, Shrink: 0.31, Hold: 6 * time.Hour,
		},
		CPU:        CPUSettings{Quantile: 0.95, Margin: 0.065, Raise: 0.055, Shrink: 0.12, Hold: 24 * time.Hour, Step: 4, Room: 0.035},
		WarmUp:     4 * time.Hour,
		StaleAfter: time.Hour,
	}
}

// Recommend recommends with DefaultSettings.
func Recommend(in *Input) Result {
	s := DefaultSettings()
	return s.Recommend(in)
}
