package action

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/rightsizer/rightsizer/remediate/policy"
)

func TestADiffSaysWhatWasThereBefore(t *testing.T) {
	t.Parallel()
	const mi = 1 << 20
	from := policy.Size{
		Requests: policy.Amounts{CPUMillis: 500, MemoryBytes: 64 * mi},
		Limits:   policy.Amounts{MemoryBytes: 128 * mi},
	}
	to := policy.Size{
		Requests: policy.Amounts{CPUMillis: 500, MemoryBytes: 96 * mi},
		Limits:   policy.Amounts{CPUMillis: 1500, MemoryBytes: 256 * mi},
	}
	assert.JSONEq(t, `[
		{"op":"test","path":"/spec/containers/1/resources/requests/memory","value":"64Mi"},
		{"op":"replace","path":"/spec/containers/1/resources/requests/memory","value":"96Mi"},
		{"op":"add","path":"/spec/containers/1/resources/limits/cpu","value":"1500m"},
		{"op":"test","path":"/spec/containers/1/resources/limits/memory","value":"128Mi"},
		{"op":"replace","path":"/spec/containers/1/resources/limits/memory","value":"256Mi"}
	]`, sizeDiff("/spec/containers/1", from, to))
	assert.JSONEq(t, `[]`, sizeDiff("/spec/containers/1", from, from))
}
