// Package v1alpha1 holds the types of group rightsizer.dev/v1alpha1: the policies,
// which say what may be done to whom, and the Remediation, which is the durable
// record of one decision.
//
// The types are the source: DeepCopy and deploy/crd/*.yaml are generated from them
// (make generate). Every list, map and string has a bound, so that the API server
// can price the CEL rules and an object never outgrows etcd.
//
// +kubebuilder:object:generate=true
// +groupName=rightsizer.dev
package v1alpha1
