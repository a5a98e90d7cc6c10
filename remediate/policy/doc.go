// Package policy decides which policy governs a workload and what it allows:
// matching, modes, windows and bounds. It is pure: it reads no clock and talks to
// nobody; remediate/policy/live keeps a Set current.
//
// # Which policy governs
//
// Of all policies that select a workload exactly one governs it, whole: policies
// are not merged. The more specific wins, and these are asked one after the other
// until they differ:
//
//  1. a RightSizerPolicy before a ClusterRightSizerPolicy;
//  2. a ClusterRightSizerPolicy that names namespaces, before one that selects
//     them by labels, before one for all;
//  3. one that names workloads before one that does not;
//  4. more requirements for labels of workloads before fewer;
//  5. one that names kinds before one that does not;
//  6. the older before the younger, so that a new policy takes nothing over
//     unnoticed;
//  7. the name that sorts first.
//
// A policy that cannot be followed (its Err is set) keeps its place and governs
// as Recommend: an error in a careful policy never hands its workloads to a less
// careful one.
//
// # Out of reach
//
// kube-system and the operator's own namespace are governed by no policy,
// whatever selects them. The CRDs and the admission policy refuse such policies
// as well; this package does not rely on it.
//
// # Concurrency
//
// Everything here is a value or is not changed after it was made; a Set may be
// used by several goroutines.
package policy
