// Package source reads what containers and nodes use: from the metrics API, from
// kubelets, from Prometheus. Each source is a file; what they read goes out as
// meter.Sample, one by one, and what a sample means is for package meter to say.
//
// Every answer is foreign: its size, its lines and its number of containers are
// bounded, a part that cannot be read is an error or is counted, and no answer
// makes a source panic. A source never retries: the Poller asks again in the next
// round.
//
// Kubelets are asked at the node's own address and port, with the rights
// nodes/metrics and nodes/stats. Nothing here goes through the API server's
// nodes/proxy, whose right would grant exec into every pod.
//
// Concurrency: Read may be called from several goroutines at a time. Poller.Run
// joins all that it starts.
package source
