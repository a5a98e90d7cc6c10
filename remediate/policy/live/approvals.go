package live

import (
	"context"
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ApprovalPolicy is the name of the ValidatingAdmissionPolicy that binds what
// kubectl writes into status.approval to who wrote it, and of its binding.
const ApprovalPolicy = "approvals.rightsizer.dev"

var (
	admissionPolicies = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
	admissionBindings = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}
)

// ApprovalsBound is nil where the admission policy is in force in a namespace, so
// that an approval in a Remediation's status was written by who it names; else
// why such an approval must not be believed. It asks the API server each time.
func (s *Store) ApprovalsBound(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	policy, err := s.opts.Client.Resource(admissionPolicies).Get(ctx, ApprovalPolicy, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("approvals by kubectl are not heeded: ValidatingAdmissionPolicy %s: %w", ApprovalPolicy, err)
	}
	if failure, _, _ := unstructured.NestedString(policy.Object, "spec", "failurePolicy"); failure == "Ignore" {
		return fmt.Errorf("approvals by kubectl are not heeded: ValidatingAdmissionPolicy %s has failurePolicy Ignore, must be Fail", ApprovalPolicy)
	}
	binding, err := s.opts.Client.Resource(admissionBindings).Get(ctx, ApprovalPolicy, metav1.GetOptions{})
	if err == nil {
		err = s.binds(binding, namespace)
	}
	if err != nil {
		return fmt.Errorf("approvals by kubectl are not heeded: ValidatingAdmissionPolicyBinding %s: %w", ApprovalPolicy, err)
	}
	return nil
}

// binds says whether a binding puts the policy in force in a namespace.
func (s *Store) binds(binding *unstructured.Unstructured, namespace string) error {
	name, _, _ := unstructured.NestedString(binding.Object, "spec", "policyName")
	actions, _, _ := unstructured.NestedStringSlice(binding.Object, "spec", "validationActions")
	if name != ApprovalPolicy || !slices.Contains(actions, "Deny") {
		return fmt.Errorf("binds %q with %v, must bind %s with Deny", name, actions, ApprovalPolicy)
	}
	narrowed, _, _ := unstructured.NestedMap(binding.Object, "spec", "matchResources")
	for field, value := range narrowed {
		switch field {
		case "matchPolicy": // Equivalent or Exact; there is one version.
		case "objectSelector", "namespaceSelector":
			selector, isMap := value.(map[string]any)
			if !isMap || len(selector) == 0 {
				continue
			}
			if field == "objectSelector" {
				return errors.New("is narrowed by an objectSelector")
			}
			if err := matches(selector, s.NamespaceLabels(namespace)); err != nil {
				return err
			}
		default:
			return fmt.Errorf("is narrowed by %s", field)
		}
	}
	return nil
}

func matches(selector map[string]any, of map[string]string) error {
	var in metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(selector, &in); err != nil {
		return err
	}
	compiled, err := metav1.LabelSelectorAsSelector(&in)
	if err != nil {
		return err
	}
	if !compiled.Matches(labels.Set(of)) {
		return errors.New("its namespaceSelector leaves this namespace out")
	}
	return nil
}
