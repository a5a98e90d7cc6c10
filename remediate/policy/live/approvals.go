package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/rightsizer/rightsizer/remediate/policy"
)

// ApprovalPolicy is the name of the ValidatingAdmissionPolicy that binds what
// kubectl writes into status.approval to who wrote it, and of its binding.
const ApprovalPolicy = "approvals.rightsizer.dev"

var (
	admissionPolicies = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
	admissionBindings = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}
)

// ApprovalsBound is since when the admission policy has been in force in a
// namespace, so that an approval in a Remediation's status that was written after
// that was written by who it names. It asks the API server each time. Its error wraps
// policy.ErrUnbound where such an approval must not be believed; else it is not known.
func (s *Store) ApprovalsBound(ctx context.Context, namespace string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	found, err := s.opts.Client.Resource(admissionPolicies).Get(ctx, ApprovalPolicy, metav1.GetOptions{})
	if err != nil {
		return time.Time{}, unread("ValidatingAdmissionPolicy", err)
	}
	if err := guards(found); err != nil {
		return time.Time{}, unbound("ValidatingAdmissionPolicy", err)
	}
	binding, err := s.opts.Client.Resource(admissionBindings).Get(ctx, ApprovalPolicy, metav1.GetOptions{})
	if err != nil {
		return time.Time{}, unread("ValidatingAdmissionPolicyBinding", err)
	}
	if err := s.binds(binding, namespace); err != nil {
		return time.Time{}, unbound("ValidatingAdmissionPolicyBinding", err)
	}
	since := found.GetCreationTimestamp().Time
	if bound := binding.GetCreationTimestamp().Time; bound.After(since) {
		since = bound
	}
	return since, nil
}

// unbound words what is missing.
func unbound(kind string, err error) error {
	return fmt.Errorf("%w: %s %s: %w", policy.ErrUnbound, kind, ApprovalPolicy, err)
}

// unread tells what is not there from what cannot be read now.
func unread(kind string, err error) error {
	if apierrors.IsNotFound(err) {
		return unbound(kind, err)
	}
	return fmt.Errorf("read %s %s: %w", kind, ApprovalPolicy, err)
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
