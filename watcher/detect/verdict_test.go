package detect

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestParseVerdict(t *testing.T) {
	tests := map[string]struct {
		message string
		want    verdict
		main    cause
	}{
		"counted, with preemption": {
			"0/5 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient cpu, 3 Insufficient memory. preemption: 0/5 nodes are available: 2 Preemption is not helpful for scheduling, 3 No preemption victims found for incoming pod.",
			verdict{
				5,
				[]reason{
					{causeTaint, "node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }", 1},
					{causeResources, "Insufficient cpu", 2},
					{causeResources, "Insufficient memory", 3},
				},
				"0/5 nodes are available: 2 Preemption is not helpful for scheduling, 3 No preemption victims found for incoming pod.",
			},
			causeResources,
		},
		"commas within a taint": {
			"0/2 nodes are available: 2 node(s) had untolerated taint {a: b, c: d}.",
			verdict{2, []reason{{causeTaint, "node(s) had untolerated taint {a: b, c: d}", 2}}, ""},
			causeTaint,
		},
		"before the nodes": {
			`0/3 nodes are available: persistentvolumeclaim "data" not found. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.`,
			verdict{
				3,
				[]reason{{causeVolume, `persistentvolumeclaim "data" not found`, 0}},
				"0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
			},
			causeVolume,
		},
		"with a word about devices": {
			"0/1 nodes are available: 1 Insufficient memory. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
			verdict{
				1,
				[]reason{{causeResources, "Insufficient memory", 1}},
				"0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
			},
			causeResources,
		},
		"a volume that is elsewhere is no affinity": {
			"0/4 nodes are available: 1 node(s) didn't match pod anti-affinity rules, 3 node(s) had volume node affinity conflict.",
			verdict{4, []reason{
				{causeAffinity, "node(s) didn't match pod anti-affinity rules", 1},
				{causeVolume, "node(s) had volume node affinity conflict", 3},
			}, ""},
			causeVolume,
		},
		"volumes add up, resources do not": {
			"0/4 nodes are available: 2 node(s) exceed max volume count, 2 node(s) had volume node affinity conflict, 3 Insufficient cpu, 3 Insufficient memory.",
			verdict{4, []reason{
				{causeVolume, "node(s) exceed max volume count", 2},
				{causeVolume, "node(s) had volume node affinity conflict", 2},
				{causeResources, "Insufficient cpu", 3},
				{causeResources, "Insufficient memory", 3},
			}, ""},
			causeVolume,
		},
		"a full pool of nodes among others": {
			"0/100 nodes are available: 5 Insufficient cpu, 95 node(s) didn't match Pod's node affinity/selector.",
			verdict{100, []reason{
				{causeResources, "Insufficient cpu", 5},
				{causeAffinity, "node(s) didn't match Pod's node affinity/selector", 95},
			}, ""},
			causeResources,
		},
		"full nodes beside those of the control plane": {
			"0/6 nodes are available: 1 node(s) were unschedulable, 2 Insufficient memory, 3 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }.",
			verdict{6, []reason{
				{causeTaint, "node(s) were unschedulable", 1},
				{causeResources, "Insufficient memory", 2},
				{causeTaint, "node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }", 3},
			}, ""},
			causeResources,
		},
		"pod affinity is looked at after taints, and after room": {
			"0/9 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match pod anti-affinity rules, 6 node(s) had untolerated taint {a: }.",
			verdict{9, []reason{
				{causeResources, "Insufficient cpu", 1},
				{causeAffinity, "node(s) didn't match pod anti-affinity rules", 2},
				{causeTaint, "node(s) had untolerated taint {a: }", 6},
			}, ""},
			causeAffinity,
		},
		"node affinity does not add to pod affinity": {
			"0/9 nodes are available: 1 node(s) didn't match pod affinity rules, 2 Insufficient cpu, 6 node(s) didn't match Pod's node affinity/selector.",
			verdict{9, []reason{
				{causeAffinity, "node(s) didn't match pod affinity rules", 1},
				{causeResources, "Insufficient cpu", 2},
				{causeAffinity, "node(s) didn't match Pod's node affinity/selector", 6},
			}, ""},
			causeResources,
		},
		"only taints and node affinity": {
			"0/5 nodes are available: 1 node(s) were unschedulable, 1 node(s) had untolerated taint {a: }, 3 node(s) didn't match Pod's node affinity/selector.",
			verdict{5, []reason{
				{causeTaint, "node(s) were unschedulable", 1},
				{causeTaint, "node(s) had untolerated taint {a: }", 1},
				{causeAffinity, "node(s) didn't match Pod's node affinity/selector", 3},
			}, ""},
			causeAffinity,
		},
		"what is known wins over what is not": {
			"0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [X].",
			verdict{2, []reason{{causeResources, "Insufficient cpu", 1}, {causeOther, "node(s) didn't satisfy plugin(s) [X]", 1}}, ""},
			causeResources,
		},
		"but not over what leaves out more": {
			"0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't satisfy plugin(s) [X].",
			verdict{3, []reason{{causeTaint, "node(s) were unschedulable", 1}, {causeOther, "node(s) didn't satisfy plugin(s) [X]", 2}}, ""},
			causeOther,
		},
		"names that speak of volumes": {
			"0/4 nodes are available: 1 node(s) had taint {pvc(s): x}, that the pod didn't tolerate, 1 node(s) had untolerated taint {volume-tests: }, 2 Insufficient example.com/volumes.",
			verdict{4, []reason{
				{causeTaint, "node(s) had taint {pvc(s): x}, that the pod didn't tolerate", 1},
				{causeTaint, "node(s) had untolerated taint {volume-tests: }", 1},
				{causeResources, "Insufficient example.com/volumes", 2},
			}, ""},
			causeResources,
		},
		"a claim that speaks of taints": {
			`0/3 nodes are available: persistentvolumeclaim "insufficient-taint" not found.`,
			verdict{3, []reason{{causeVolume, `persistentvolumeclaim "insufficient-taint" not found`, 0}}, ""},
			causeVolume,
		},
		"another scheduler": {
			"queue is full", verdict{0, []reason{{causeOther, "queue is full", 0}}, ""}, causeOther,
		},
		"nothing": {"", verdict{}, causeOther},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := parseVerdict(tt.message)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.main, got.main())
		})
	}
}

// FuzzVerdict: whatever a scheduler says, its verdict is bounded and has a main
// cause.
func FuzzVerdict(f *testing.F) {
	for _, seed := range []string{
		"0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint {a: }. preemption: 0/5 nodes are available",
		"0/99999999999 nodes are available: , , 1 , 2 . preemption: ", "9/-1 nodes are available: 4294967296 x", "\xff: \xff, 1 \xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		v := parseVerdict(message)
		if len(v.reasons) > maxReasons || v.nodes < 0 {
			t.Errorf("%+v", v)
		}
		for _, r := range v.reasons {
			if r.nodes < 0 || r.text == "" {
				t.Errorf("%+v", r)
			}
		}
		if v.main() == "" {
			t.Error("no main cause")
		}
		if utf8.ValidString(message) && !utf8.ValidString(sentence(message)) {
			t.Error("cut within a character")
		}
	})
}
