package live

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/rightsizer/rightsizer/deploy/admission"
)

// deciding is what of an admission policy decides: not its messages, nor what the
// API server adds.
type deciding struct {
	rules       any
	conditions  [][2]string
	variables   [][2]string
	validations [][2]string
}

// operatorName is the user that the policy leaves out, which may be changed.
var operatorName = regexp.MustCompile(`^request\.userInfo\.username != '[^']*'$`)

func decidingOf(spec map[string]any) deciding {
	rules, _, _ := unstructured.NestedSlice(spec, "matchConstraints", "resourceRules")
	d := deciding{
		rules: rules, conditions: expressions(spec, "matchConditions"),
		variables: expressions(spec, "variables"), validations: expressions(spec, "validations"),
	}
	for i, c := range d.conditions {
		if operatorName.MatchString(c[1]) {
			d.conditions[i][1] = "not the operator"
		}
	}
	return d
}

// expressions are the names and expressions of a list of the policy.
func expressions(spec map[string]any, field string) (out [][2]string) {
	list, _, _ := unstructured.NestedSlice(spec, field)
	for _, one := range list {
		fields, _ := one.(map[string]any)
		name, _ := fields["name"].(string)
		expression, _ := fields["expression"].(string)
		out = append(out, [2]string{name, expression})
	}
	return out
}

// shipped is what approval.yaml decides.
var shipped = sync.OnceValues(func() (deciding, error) {
	first, _, _ := bytes.Cut(admission.Approval, []byte("\n---\n"))
	var found map[string]any
	if err := yaml.Unmarshal(first, &found); err != nil {
		return deciding{}, fmt.Errorf("deploy/admission/approval.yaml: %w", err)
	}
	spec, _, _ := unstructured.NestedMap(found, "spec")
	return decidingOf(spec), nil
})

// guards says whether an admission policy decides what the shipped one does.
func guards(found *unstructured.Unstructured) error {
	spec, _, _ := unstructured.NestedMap(found.Object, "spec")
	if failure, _, _ := unstructured.NestedString(spec, "failurePolicy"); failure == "Ignore" {
		return errors.New("has failurePolicy Ignore, must be Fail")
	}
	if _, narrowed := spec["paramKind"]; narrowed {
		return errors.New("has a paramKind, must have none")
	}
	constraints, _, _ := unstructured.NestedMap(spec, "matchConstraints")
	for _, field := range []string{"objectSelector", "namespaceSelector", "excludeResourceRules"} {
		if value := constraints[field]; value != nil && reflect.ValueOf(value).Len() > 0 {
			return fmt.Errorf("is narrowed by %s, must not be", field)
		}
	}
	want, err := shipped()
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(decidingOf(spec), want) {
		return errors.New("is another than deploy/admission/approval.yaml of this version, but for the operator's name")
	}
	return nil
}
