package action

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/rightsizer/rightsizer/remediate/plan"
	"github.com/rightsizer/rightsizer/remediate/policy"
)

// What bounds a request and its limit to the same does not change the QoS class.
func TestACeilingKeepsTheClass(t *testing.T) {
	t.Parallel()
	const mi = 1 << 20
	size := func(request, limit int64) policy.Size {
		return policy.Size{Requests: policy.Amounts{CPUMillis: 500, MemoryBytes: request * mi}, Limits: policy.Amounts{CPUMillis: 500, MemoryBytes: limit * mi}}
	}
	for name, c := range map[string]struct{ from, wanted, want policy.Size }{
		"below":   {size(256, 512), size(1023, 1024), size(799, 800)},
		"equal":   {size(512, 512), size(1024, 1024), size(800, 800)},
		"to be":   {size(256, 512), size(1024, 1024), size(800, 800)},
		"no room": {size(256, 800), size(1023, 1024), size(799, 800)},
		"within":  {size(256, 512), size(600, 700), size(600, 700)},
	} {
		held := &ceiling{from: c.from, wanted: c.wanted, to: c.wanted}
		held.limitRange("most", "a container", &corev1.LimitRangeItem{Max: corev1.ResourceList{"memory": resource.MustParse("800Mi")}}, policy.Size{})
		held.order()
		assert.Equal(t, c.want, held.to, name)
		if name != "to be" {
			assert.Equal(t, plan.Class([]policy.Size{c.from}), plan.Class([]policy.Size{held.to}), name)
		}
	}
}
