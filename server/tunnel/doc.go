// Package tunnel reaches an operator inside a cluster for whoever may forward ports
// to its pod, as kubectl port-forward does, and asks the cluster for a token to show
// it. No port is opened on this machine: each connection is a stream of its own
// through the API server and the kubelet to the pod.
//
// A Tunnel may be used by several goroutines. It forwards through one connection,
// which is made with the first dial and again after it broke; which pod answers is
// looked for anew then.
package tunnel
