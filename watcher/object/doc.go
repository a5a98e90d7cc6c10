// Package object holds the compact forms of Kubernetes objects that the watcher
// keeps: what detection and the reads need, and nothing else.
//
// A healthy pod with two containers takes about a kilobyte here instead of the
// 8 to 20 KiB of its corev1 form. Times are Unix seconds, which is the
// resolution of the API's own metav1.Time; 0 means that the cluster does not
// say. CPU is in millicores, memory in bytes.
//
// Concurrency: a value is built by package convert and completed by
// detect.Advance before anybody else sees it, and never changes afterwards. It
// may be shared by any number of goroutines; an update makes a new value.
package object
