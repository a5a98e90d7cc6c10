// Package kube reads and writes what remediation needs of the Kubernetes API.
//
// Every write takes its preconditions (UID and resource version) and its field
// manager as arguments; nothing is tried again here, since whoever writes has to
// look again first. Errors are those of apimachinery, wrapped: apierrors tells
// them apart.
//
// A Client is safe for concurrent use. Each request has a bound of its own.
package kube
