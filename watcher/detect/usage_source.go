package detect

import (
	"fmt"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const typeSourceDown = "system.usage_source_down"

// SourceInput is a source of usage at one moment.
type SourceInput = Input[object.UsageSource]

// SourceSubject describes a source of usage.
func SourceSubject(in *SourceInput) Subject {
	return Subject{Kind: "UsageSource", Key: object.Key{Name: in.Cur.Name}, UID: "usage-source/" + in.Cur.Name}
}

// SourceDown tells sources of usage that do not answer: nothing shrinks on what
// they said before.
type SourceDown struct{}

// Docs implements Detector.
func (SourceDown) Docs() []Doc {
	return []Doc{{
		Type: typeSourceDown, Severity: "warning",
		Source:   "a round of polls in which a source of usage answered nothing",
		Details:  "UsageSourceDetails",
		Resolves: "it answers about a namespace or node",
	}}
}

// Detect implements Detector.
func (SourceDown) Detect(in *SourceInput, out []Finding) []Finding {
	s := in.Cur
	if s.DownSince == 0 {
		return out
	}
	return append(out, Finding{
		Problem: Identify(typeSourceDown, in.Cluster, s.Name, unix(s.DownSince)), Type: typeSourceDown,
		Severity: warning, Occurred: s.DownSince, Reason: "NoAnswer",
		Message: fmt.Sprintf("Usage source %s does not answer: %s", s.Name, s.Cause),
		Ending:  "Usage source " + s.Name + " answers again",
		Details: &rightsizerv1.UsageSourceDetails{
			Source: s.Name, Targets: s.Targets, Failed: s.Failed, SinceTime: moment(s.DownSince), Cause: s.Cause,
		},
	})
}
