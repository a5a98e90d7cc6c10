package audit_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/audit"
)

func TestADiffKeepsSizesAndNoSecrets(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		``: ``,
		`[{"op":"replace","path":"/spec/containers/0/resources/limits/memory","value":"512Mi"}]`:                                                                           `[{"op":"replace","path":"/spec/containers/0/resources/limits/memory","value":"512Mi"}]`,
		`[{"op":"replace","path":"/spec/replicas","value":3}]`:                                                                                                             `[{"op":"replace","path":"/spec/replicas","value":3}]`,
		`[{"op":"test","path":"/metadata/resourceVersion","value":"17"}]`:                                                                                                  `[{"op":"test","path":"/metadata/resourceVersion","value":"17"}]`,
		`[{"op":"add","path":"/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt","value":"now"}]`:                                                     `[{"op":"add","path":"/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt","value":"now"}]`,
		`[{"op":"add","path":"/metadata/annotations/token","value":"s3cret"}]`:                                                                                             `[{"op":"add","path":"/metadata/annotations/token","value":"[redacted]"}]`,
		`[{"op":"add","path":"/metadata/annotations","value":{"limits":"s3cret","rightsizer.dev/a":"b"}}]`:                                                                 `[{"op":"add","path":"/metadata/annotations","value":{"limits":"[redacted]","rightsizer.dev/a":"b"}}]`,
		`[{"op":"add","path":"/spec/containers/0/env/0/value","value":"s3cret"}]`:                                                                                          `[{"op":"add","path":"/spec/containers/0/env/0/value","value":"[redacted]"}]`,
		`[{"op":"add","path":"/spec/containers/0/resources/limits/memory","value":"s3cret-token"}]`:                                                                        `[{"op":"add","path":"/spec/containers/0/resources/limits/memory","value":"[redacted]"}]`,
		`{"spec":{"containers":[{"name":"app","image":"x:1","args":["--password=s3cret"],"env":[{"name":"A","value":"s3cret"}],"resources":{"limits":{"cpu":"1500m"}}}]}}`: `{"spec":{"containers":[{"args":["[redacted]"],"env":[{"name":"[redacted]","value":"[redacted]"}],"image":"[redacted]","name":"app","resources":{"limits":{"cpu":"1500m"}}}]}}`,
	} {
		got, err := audit.Redact(in)
		require.NoError(t, err, in)
		if want == "" {
			assert.Empty(t, got)
			continue
		}
		assert.JSONEq(t, want, got)
		assert.NotContains(t, got, "s3cret")
	}
	for _, in := range []string{`nonsense`, `"text"`, `[1]`, `[] []`, `[`, `12`, strings.Repeat(" ", 2<<20)} {
		_, err := audit.Redact(in)
		require.Error(t, err, in)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("/spec/containers/0/env/0/value", "env")
	f.Add("/metadata/annotations/limits", "limits")
	f.Add("/spec/resources/requests/data/x", "name")
	f.Fuzz(func(t *testing.T, pointer, field string) {
		// A value that is plainly a secret never comes out below a secretive field
		// or a label, and never where sizes are.
		const secret = "eyJhbGciOi.s3cret-token_value"
		patch, err := json.Marshal([]map[string]any{{"op": "add", "path": pointer, "value": map[string]any{field: []any{secret, map[string]any{"env": secret}}}}})
		require.NoError(t, err)
		got, err := audit.Redact(string(patch))
		if err != nil || strings.Contains(pointer+field, secret) {
			return
		}
		for _, harmless := range []string{"name", "kind", "uid", "apiVersion", "namespace", "resourceVersion", "generation", "rightsizer.dev/", "restartedAt"} {
			if strings.Contains(pointer+field, harmless) {
				return // identities are kept as they are
			}
		}
		require.NotContains(t, got, secret)
	})
}

func TestARecordIsMadeFitToBeKept(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	log, _ := start(t, options(s))
	r := record(1)
	r.Reason = "a\nb\x1b[31m" + strings.Repeat("é", 1000) + "\xff"
	r.Sequence, r.Hash = 99, "mine"
	for range 40 {
		r.ActorGroups = append(r.ActorGroups, "g")
		r.CauseEventIds = append(r.CauseEventIds, "c", "d")
	}
	for i := range 50 {
		r.Evidence[strings.Repeat("k", i+1)] = strings.Repeat("v", 600)
	}
	_, err := log.Append(t.Context(), r)
	require.NoError(t, err)
	assert.EqualValues(t, 99, r.GetSequence(), "the caller's record is not changed")
	var got *rightsizerv1.AuditRecord
	require.NoError(t, log.Records(t.Context(), 0, func(r *rightsizerv1.AuditRecord) bool { got = r; return false }))
	assert.EqualValues(t, 1, got.GetSequence())
	assert.True(t, strings.HasPrefix(got.GetReason(), "a b [31m"), got.GetReason())
	assert.LessOrEqual(t, len(got.GetReason()), 1024)
	assert.Len(t, got.GetActorGroups(), 32)
	assert.EqualValues(t, 8, got.GetActorGroupsOmitted())
	assert.Len(t, got.GetCauseEventIds(), 64)
	assert.Len(t, got.GetEvidence(), 32)

	for field, change := range map[string]func(*rightsizerv1.AuditRecord){
		"actor":      func(r *rightsizerv1.AuditRecord) { r.Actor = "" },
		"action":     func(r *rightsizerv1.AuditRecord) { r.Action = "Not a verb" },
		"diff":       func(r *rightsizerv1.AuditRecord) { r.Diff = "memory: 512Mi" },
		"namespace":  func(r *rightsizerv1.AuditRecord) { r.Namespace = strings.Repeat("n", 64) },
		"target_uid": func(r *rightsizerv1.AuditRecord) { r.TargetUid = strings.Repeat("n", 129) },
	} {
		r := record(1)
		change(r)
		_, err := log.Append(t.Context(), r)
		var invalid *audit.InvalidRecordError
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, field, invalid.Field)
	}
	_, err = log.Append(t.Context(), nil)
	require.Error(t, err)
}

func TestOptionsThatAreWrong(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	for want, change := range map[string]func(*audit.Options){
		"Config":    func(o *audit.Options) { o.Config = nil },
		"Logger":    func(o *audit.Options) { o.Logger = nil },
		"Namespace": func(o *audit.Options) { o.Namespace = "../kube-system" },
	} {
		o := options(s)
		change(&o)
		_, err := audit.New(o)
		require.ErrorContains(t, err, want)
	}
}
