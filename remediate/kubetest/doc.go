// Package kubetest is an API server in memory, as far as remediation talks to one:
// Remediations with their status and watch, pods with their resize and eviction,
// workloads whose controllers replace pods at once. It holds what tests of crashes and races need to know for sure: compare-and-set by
// resource version, preconditions by UID, field managers, and every write that was
// accepted, in order.
//
// It speaks through an [http.RoundTripper] without a network, so that tests can run
// on fake time. Each Config is a client of its own, which can be cut off before or
// after any of its requests, as a process is that is killed.
//
// What a real API server does beyond that (validation, admission, defaults) it does
// not do: the end-to-end tests meet a real one.
package kubetest
