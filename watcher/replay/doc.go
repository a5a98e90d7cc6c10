// Package replay records what a watcher reads from an API server, and plays
// recordings back through the same watcher.
//
// # The format
//
// A recording is text, one JSON object a line, possibly gzipped. The first line
// is a Header that describes it, each other one a Line:
//
//	{"format":"rightsizer.dev/recording","version":1,"time":"…","cluster_id":"…","server_version":"v1.37.2","source":"…"}
//	{"time":"…","resource":"pods","type":"RELIST"}
//	{"time":"…","resource":"pods","type":"ADDED","object":{…}}
//	{"time":"…","resource":"pods","type":"SYNCED"}
//	{"time":"…","resource":"pods","type":"MODIFIED","object":{…}}
//
// Times are those at which a line arrived, by the recorder's clock; they never
// go backwards. A list, the first one of a resource included, is what lies
// between RELIST and SYNCED; a list that begins before the former one was
// complete takes its place.
//
// What is recorded are whole objects, also where the watcher takes metadata
// alone, so that a later watcher that reads more of them learns something from
// an old recording.
//
// # What never reaches a file
//
// Values of environment variables, commands and arguments, headers of probes,
// last words of programs, parameters of volumes, contents of Secrets and
// ConfigMaps, and all annotations but short ones of Kubernetes and of this
// project. The last applied configuration and the cause of a change, which
// repeat all of that, are gone as well. managedFields of pods and Events are left
// out for their size. What Kubernetes Events quote of a probe's answer stays: read a recording
// of a foreign cluster before you pass it on.
//
// # Concurrency
//
// A recording is written from many goroutines, one line at a time. Replay runs
// on the goroutine of its caller, starts nothing, never sleeps and asks no
// clock: the same recording gives the same events in the same order.
package replay
