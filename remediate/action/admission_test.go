package action_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/rightsizer/rightsizer/deploy/admission"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// needs evaluates what the shipped admission policy asks of who approves by kubectl.
type needs struct {
	t         *testing.T
	env       *cel.Env
	variables map[string]string
}

func shippedNeeds(t *testing.T) *needs {
	t.Helper()
	first, _, _ := bytes.Cut(admission.Approval, []byte("\n---\n"))
	policy := &admissionv1.ValidatingAdmissionPolicy{}
	require.NoError(t, yaml.UnmarshalStrict(first, policy))
	env, err := cel.NewEnv(cel.Variable("object", cel.DynType), cel.Variable("variables", cel.DynType))
	require.NoError(t, err)
	n := &needs{t: t, env: env, variables: map[string]string{}}
	for _, v := range policy.Spec.Variables {
		n.variables[v.Name] = v.Expression
	}
	return n
}

// of are the rights for an action on a workload, as "group resource/subresource verb".
func (n *needs) of(kind v1alpha1.ActionKind, workload string) (out []string) {
	n.t.Helper()
	object := map[string]any{"spec": map[string]any{"action": map[string]any{"kind": string(kind)}, "workload": map[string]any{"kind": workload}}}
	variables := map[string]any{}
	for _, name := range []string{"places", "place", "needs"} {
		ast, issues := n.env.Compile(n.variables[name])
		require.NoError(n.t, issues.Err(), name)
		program, err := n.env.Program(ast)
		require.NoError(n.t, err)
		value, _, err := program.Eval(map[string]any{"object": object, "variables": variables})
		require.NoError(n.t, err, name)
		variables[name] = value
		if name != "needs" {
			continue
		}
		rights, err := value.ConvertToNative(reflect.TypeFor[[][]string]())
		require.NoError(n.t, err)
		for _, right := range rights.([][]string) {
			require.Len(n.t, right, 4)
			out = append(out, fmt.Sprintf("%s %s %s", right[0], strings.TrimSuffix(right[1]+"/"+right[2], "/"), right[3]))
		}
	}
	return out
}

// Who approves by kubectl needs the rights that who approves through the API needs,
// for every action and every kind of workload.
func TestTheAdmissionPolicyAsksForTheRightsOfActions(t *testing.T) {
	t.Parallel()
	n := shippedNeeds(t)
	for _, a := range []action.Action{
		&action.ResizeInPlace{}, &action.ResizeTemplate{}, &action.RestartPod{}, &action.RolloutRestart{},
		&action.Scale{}, &action.Export{}, &action.Webhook{},
	} {
		for _, workload := range append(kube.Kinds(), "Widget") {
			var want []string
			for _, right := range a.Rights(workload) {
				want = append(want, fmt.Sprintf("%s %s %s", right.Group, right.Resource, right.Verb))
			}
			assert.Equal(t, want, n.of(a.Kind(), workload), "%s of a %s", a.Kind(), workload)
		}
	}
	assert.Empty(t, n.of("drain_cache", "Deployment"), "what is not known here cannot be approved by kubectl")
}
