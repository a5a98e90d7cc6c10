package watcher

import (
	"fmt"

	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/recommend"
)

// Tuning is what may change while a Watcher runs.
type Tuning struct {
	// Thresholds of the detectors.
	Thresholds detect.Thresholds
	// Price of a core and a GiB; nil as in UsageOptions.
	Price *recommend.Price
}

// Tune changes how the cluster is judged. An object is judged by it from its next
// change, reading or deadline on; what was told before is not taken back until then.
// Its error is that of thresholds that are out of bounds, and then nothing changes.
func (w *Watcher) Tune(t Tuning) error {
	if err := t.Thresholds.Validate(); err != nil {
		return fmt.Errorf("watcher: Thresholds: %w", err)
	}
	w.tuned.Store(&t)
	return nil
}

// thresholds are those in force.
func (w *Watcher) thresholds() *detect.Thresholds { return &w.tuned.Load().Thresholds }
