// Package rpc answers the unary methods of the API from what the operator knows
// now: ClusterService, WorkloadService and FleetService. It reads through small
// interfaces that it owns ([Source], [Health]) and never touches Kubernetes.
//
// Before the first full picture of the cluster every method but GetHealth is
// unavailable, with the reason and when to try again: half a picture would be
// taken for the whole. A method that this version does not have is
// unimplemented.
package rpc
