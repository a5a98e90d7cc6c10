package detect

import (
	"errors"
	"fmt"
	"time"
)

// Thresholds say when something is worth an event, and how urgent it is.
type Thresholds struct {
	// CrashLoopRestarts is how many restarts in a row, each after a run shorter
	// than CrashLoopReset, make a crash loop. From 1 to 1,000. Default 2: one
	// restart is an accident that the kubelet mends without a pause; at the
	// second it starts to hold back.
	CrashLoopRestarts int32
	// CrashLoopReset is how long a container must run without ending for its
	// crash loop to be over. From 1 s to 24 h. Default 10 min: after a run of
	// that length the kubelet itself forgets its back-off.
	CrashLoopReset time.Duration
	// CrashLoopCriticalRestarts is how many restarts in a row make a crash loop
	// critical. At least CrashLoopRestarts. Default 5: the pause is then 80 s
	// and grows to its cap of 5 min, so that it does not mend itself.
	CrashLoopCriticalRestarts int32
	// OOMCriticalKills is how many ends in a row, the last by the OOM killer,
	// make the kill critical. From 1 to 1,000. Default 3: two kills may be one
	// burst of load, the third says that the limit does not fit.
	OOMCriticalKills int32
}

// DefaultThresholds returns the defaults.
func DefaultThresholds() Thresholds {
	return Thresholds{
		CrashLoopRestarts:         2,
		CrashLoopReset:            10 * time.Minute,
		CrashLoopCriticalRestarts: 5,
		OOMCriticalKills:          3,
	}
}

// Validate names each value out of bounds, and what would be right.
func (t Thresholds) Validate() error {
	const most = 1000
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(t.CrashLoopRestarts >= 1 && t.CrashLoopRestarts <= most,
		"CrashLoopRestarts is %d, must be 1 to %d", t.CrashLoopRestarts, most)
	check(t.CrashLoopReset >= time.Second && t.CrashLoopReset <= 24*time.Hour,
		"CrashLoopReset is %s, must be 1s to 24h", t.CrashLoopReset)
	check(t.CrashLoopCriticalRestarts >= t.CrashLoopRestarts && t.CrashLoopCriticalRestarts <= most,
		"CrashLoopCriticalRestarts is %d, must be CrashLoopRestarts (%d) to %d",
		t.CrashLoopCriticalRestarts, t.CrashLoopRestarts, most)
	check(t.OOMCriticalKills >= 1 && t.OOMCriticalKills <= most,
		"OOMCriticalKills is %d, must be 1 to %d", t.OOMCriticalKills, most)
	return errors.Join(errs...)
}
