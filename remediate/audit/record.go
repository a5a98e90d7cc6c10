package audit

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/plain"
)

// Bounds of a record's parts in bytes, those of the schema.
const (
	maxName     = 253
	maxReason   = 1024
	maxDiff     = 16 << 10
	maxGroups   = 32
	maxCauses   = 64
	maxCause    = 32
	maxEvidence = 32
	maxKey      = 63
	maxValue    = 512
)

// verb is what an action looks like: remediation.approved.
var verb = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`)

// InvalidRecordError is a mistake of whoever appends: a record without what every
// record must have.
type InvalidRecordError struct {
	// Field is the field of the record.
	Field string
	// Want is what would be right.
	Want string
}

// Error implements error.
func (e *InvalidRecordError) Error() string {
	return fmt.Sprintf("audit record: %s %s", e.Field, e.Want)
}

// clean returns a copy of the record that is fit to be kept: within the bounds of
// the schema, without secrets in its diff. What the chain decides is not set yet.
// Identifiers are never cut, since two of them must not become one; texts are.
func clean(record *rightsizerv1.AuditRecord) (*rightsizerv1.AuditRecord, error) {
	if record == nil {
		return nil, &InvalidRecordError{Field: "record", Want: "is nil"}
	}
	r := copyOf(record)
	for _, name := range []struct {
		field string
		value *string
		limit int
		must  bool
	}{
		{"actor", &r.Actor, maxName, true},
		{"action", &r.Action, 64, true},
		{"namespace", &r.Namespace, 63, false},
		{"target", &r.Target, 317, false},
		{"target_uid", &r.TargetUid, 128, false},
		{"remediation", &r.Remediation, maxName, false},
		{"policy", &r.Policy, 400, false},
		{"replica", &r.Replica, maxName, false},
	} {
		if name.must && *name.value == "" {
			return nil, &InvalidRecordError{Field: name.field, Want: "is empty, and every record needs it"}
		}
		if len(*name.value) > name.limit {
			return nil, &InvalidRecordError{Field: name.field, Want: fmt.Sprintf("has %d bytes, at most %d are allowed", len(*name.value), name.limit)}
		}
		*name.value = strings.ToValidUTF8(*name.value, "\uFFFD")
	}
	if len(r.GetAction()) > 64 || !verb.MatchString(r.GetAction()) {
		return nil, &InvalidRecordError{Field: "action", Want: fmt.Sprintf("is %q; wants a dotted verb such as remediation.approved", r.GetAction())}
	}
	diff, err := Redact(r.GetDiff())
	if err != nil {
		return nil, &InvalidRecordError{Field: "diff", Want: err.Error()}
	}
	r.Diff = diff
	r.Reason = plain.Line(r.GetReason(), maxReason)
	cleanLists(r)
	r.Sequence, r.Hash, r.PreviousHash, r.Time = 0, "", "", nil
	return r, nil
}

// cleanLists bounds what there may be any number of.
func cleanLists(r *rightsizerv1.AuditRecord) {
	groups := slices.Sorted(slices.Values(r.GetActorGroups()))
	if len(groups) > maxGroups {
		r.ActorGroupsOmitted += int32(len(groups) - maxGroups)
		groups = groups[:maxGroups]
	}
	for i := range groups {
		groups[i] = plain.Line(groups[i], maxName)
	}
	r.ActorGroups = groups

	causes := r.GetCauseEventIds()
	r.CauseEventIds = causes[:min(len(causes), maxCauses)]
	for i := range r.CauseEventIds {
		r.CauseEventIds[i] = plain.Line(r.CauseEventIds[i], maxCause)
	}

	evidence := make(map[string]string, min(len(r.GetEvidence()), maxEvidence))
	for _, key := range slices.Sorted(maps.Keys(r.GetEvidence())) {
		if name := plain.Line(key, maxKey); name != "" && len(evidence) < maxEvidence {
			evidence[name] = plain.Line(r.GetEvidence()[key], maxValue)
		}
	}
	r.Evidence = evidence
}
