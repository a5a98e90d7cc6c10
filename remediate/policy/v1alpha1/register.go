package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of the custom resources, and of the virtual resources
// that rights are asked for.
const Group = "rightsizer.dev"

// Kinds of the group.
const (
	KindPolicy        = "RightSizerPolicy"
	KindClusterPolicy = "ClusterRightSizerPolicy"
	KindRemediation   = "Remediation"
)

// GroupVersion and the resources of the group.
var (
	GroupVersion          = schema.GroupVersion{Group: Group, Version: "v1alpha1"}
	PolicyResource        = GroupVersion.WithResource("rightsizerpolicies")
	ClusterPolicyResource = GroupVersion.WithResource("clusterrightsizerpolicies")
	RemediationResource   = GroupVersion.WithResource("remediations")
)

// AddToScheme makes the types known to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&RightSizerPolicy{}, &RightSizerPolicyList{},
		&ClusterRightSizerPolicy{}, &ClusterRightSizerPolicyList{},
		&Remediation{}, &RemediationList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
