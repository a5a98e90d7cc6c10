// Package admission holds the admission policies that are applied to a cluster, so
// that the operator can tell whether those in force are they.
package admission

import _ "embed"

// Approval is approval.yaml: the policy, then its binding.
//
//go:embed approval.yaml
var Approval []byte
