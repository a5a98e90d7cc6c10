package v1alpha1

import (
	"strconv"
	"strings"
)

// Names of notes that more than one package reads.
const (
	// NoteDisrupts is how many pods an effect disrupts, NoteDisruptsReady how many of
	// these were ready: of a target's Before.
	NoteDisrupts      = "disrupts"
	NoteDisruptsReady = "disrupts_ready"
)

// Note reads what Other keeps under a name, as name=value; empty where it keeps
// nothing.
func (v *TargetValues) Note(name string) string {
	if v == nil {
		return ""
	}
	for part := range strings.SplitSeq(v.Other, " ") {
		if text, ok := strings.CutPrefix(part, name+"="); ok {
			return text
		}
	}
	return ""
}

// SetNote keeps a value, which has no spaces, under a name.
func (v *TargetValues) SetNote(name, value string) {
	var kept []string
	for part := range strings.SplitSeq(v.Other, " ") {
		if part != "" && !strings.HasPrefix(part, name+"=") {
			kept = append(kept, part)
		}
	}
	v.Other = strings.Join(append(kept, name+"="+value), " ")
}

// Number is Note for numbers; 0 where it keeps none.
func (v *TargetValues) Number(name string) int64 {
	n, err := strconv.ParseInt(v.Note(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// SetNumber is SetNote for numbers.
func (v *TargetValues) SetNumber(name string, value int64) {
	v.SetNote(name, strconv.FormatInt(value, 10))
}
