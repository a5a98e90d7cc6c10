// Package devcluster runs a real Kubernetes control plane on this machine, for
// `make run` and for the end-to-end tests: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler and metrics-server as they ship, and
// nodes whose kubelets are simulated by kwok. No container runtime and no root
// are needed.
//
// The control plane is one binary, built once from Go modules into the user's
// cache folder (module controlplane, beside this one). Ports, certificates and
// the kubeconfig are made before that build, and until kube-apiserver is up a
// placeholder answers on its port with 503 and a Kubernetes Status whose
// message says how far things are. A client that retries, as an operator does,
// can therefore be started first.
//
// # Lifetimes
//
// A Cluster owns its processes: they are children of the calling process, and
// the kernel kills them when that process ends in whatever way. Stop ends them,
// waits for each, and removes the cluster's folder. The context given to Start,
// Prepare or Launch bounds that call only; when it ends during the call
// everything that was started is stopped again.
//
// # Concurrency
//
// All methods of a Cluster may be called from several goroutines. Options.Progress
// is called by one goroutine at a time and must not block.
//
// Linux only: the guarantee that nothing is left behind rests on
// PR_SET_PDEATHSIG and /proc.
package devcluster
