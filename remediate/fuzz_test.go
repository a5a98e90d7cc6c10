package remediate_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Whoever may write Remediations, or the status of one, writes what he likes: the API
// can show it all the same.
func FuzzRemediation(f *testing.F) {
	for _, seed := range []string{
		`{"metadata":{"namespace":"shop","name":"r","uid":"u","creationTimestamp":"2026-01-01T00:00:00Z","annotations":{"rightsizer.dev/x":"\u001b[2J"}},"spec":{"workload":{"kind":"Deployment","name":"web","uid":"w"},"action":{"kind":"resize_in_place","limits":{"memory":"1e30"}},"risk":"Low","riskReasons":["a"],"diff":"[]","requestedBy":"alice"},"status":{"state":"PendingApproval","approval":{"decision":"Approve","user":"\u202e","generation":-1},"targets":[{"pod":"p","uid":"u","result":"?","message":"\u0000"}]}}`,
		`{"spec":{"action":{"kind":"scale","replicas":-1,"parameters":{"":""}},"causes":[{"eventID":"x"}]},"status":{"state":"Nowhere","message":"\ud800"}}`,
		`{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var r v1alpha1.Remediation
		if json.Unmarshal(raw, &r) != nil {
			return
		}
		_, err := protojson.Marshal(remediate.Proto(&r))
		require.NoError(t, err)
	})
}
