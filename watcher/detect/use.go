package detect

import (
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Use is what one container, or a node, was measured to use, as far as it is
// worth a look. It is remembered from one sample to the next and completed by
// Advance; what detectors get is a copy.
type Use struct {
	// Container is empty for a node.
	Container string
	// Attempt is how often the container was restarted when this began.
	Attempt int32
	// Memory is of the limit, or of what the node has; CPU likewise.
	Memory, CPU Level
	// Throttling is the share of the quota's periods; the pressures are shares of
	// the time.
	Throttling, CPUPressure, MemoryPressure, IOPressure Level
	// Kills are of processes of the container, which lived on.
	Kills Kills
}

// Kills are processes that the kernel killed beside others of their container.
type Kills struct {
	// Number is how many were told last, Total the node's count then, and At when
	// that was measured, in Unix seconds; 0 before any was told.
	Number, Total int64
	At            int64
	// next is what may yet turn out to be the end of the container itself.
	next, nextTotal, nextAt int64
}

// Advance takes how many more were killed and how many in all. It reports whether
// there is something to tell: what was counted once the container is measured
// again, and so has lived on.
func (k *Kills) Advance(number, total, at int64) bool {
	tell := k.next > 0
	if tell {
		k.Number, k.Total, k.At = k.next, k.nextTotal, k.nextAt
	}
	k.next, k.nextTotal, k.nextAt = number, total, at
	return tell
}

// Levels of a Level.
const (
	LevelCalm uint8 = iota
	LevelHigh
	LevelCritical
)

// Level is one share with its memory: how long it is high, and whether that was
// told.
type Level struct {
	// Share is the latest, 1 is all of it.
	Share float32
	// State is LevelCalm before it is told.
	State uint8
	// Changes counts the changes of State between high and critical.
	Changes int32
	// Since is when it became high, in Unix seconds; 0 while it is not.
	Since int64
	// Used of Bound, in millicores or bytes; 0 where a share alone is measured.
	Used, Bound int64
}

// slackOf is how far below its threshold a share must fall to be over, so that
// what hovers there is one problem: 5 percent points, and half of a threshold
// below 10 %, since no share falls below 0.
func slackOf(threshold float64) float64 {
	return min(0.05, threshold/2)
}

// Advance takes a measured share. It is high from high on, and told after hold;
// critical at once; critical of 0 is never. It reports whether there is something
// to tell.
func (l *Level) Advance(share float64, at int64, high, critical float64, hold time.Duration) bool {
	l.Share = float32(share)
	before := l.State
	switch {
	case share < high-slackOf(high), l.State == LevelCalm && share < high:
		*l = Level{Share: l.Share}
		return before != LevelCalm
	case l.Since == 0, at < l.Since: // a clock was set back
		l.Since = at
	}
	switch {
	case critical > 0 && share >= critical:
		l.State = LevelCritical
	case critical > 0 && before == LevelCritical && share >= critical-slackOf(critical):
	case before != LevelCalm || at-l.Since >= inSeconds(hold):
		l.State = LevelHigh
	}
	if before == l.State {
		return false
	}
	if before != LevelCalm {
		l.Changes++
	}
	return true
}

// Quiet says that there is nothing to remember.
func (u *Use) Quiet() bool {
	if u.Kills.At != 0 || u.Kills.next != 0 {
		return false
	}
	for _, l := range []*Level{&u.Memory, &u.CPU, &u.Throttling, &u.CPUPressure, &u.MemoryPressure, &u.IOPressure} {
		if l.Since != 0 || l.State != LevelCalm {
			return false
		}
	}
	return true
}

// details describes a level.
func (l *Level) details(resource string, threshold float64) *rightsizerv1.UsageDetails {
	return &rightsizerv1.UsageDetails{
		Resource: resource, Used: l.Used, Bound: l.Bound, Share: float64(l.Share), Threshold: threshold, SinceTime: moment(l.Since),
	}
}
