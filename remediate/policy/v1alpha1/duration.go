package v1alpha1

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a time span, written as Go does: 90s, 5m, 1h30m.
//
// +kubebuilder:validation:Type=string
// +kubebuilder:validation:MaxLength=16
type Duration struct {
	time.Duration `json:"-"`
}

// Of returns a time span as a Duration.
func Of(d time.Duration) Duration { return Duration{d} }

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.Duration.String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return fmt.Errorf("duration %s: must be a string such as \"5m\"", raw)
	}
	value, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("duration %q: must be one such as 90s, 5m or 1h30m", text)
	}
	d.Duration = value
	return nil
}
