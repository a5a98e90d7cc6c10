// Package watcher watches one Kubernetes cluster and says what goes wrong in it.
//
// It reads the API with reflectors (streaming lists, then watches) that feed
// compact objects straight into a store: convert → store → detect → Publish. The
// store answers the reads; what is detected goes to the Publisher.
//
//	API ─▶ conn ─▶ reflector ─▶ feed ─▶ store
//	                             └────▶ detect ─▶ track ─▶ Publisher
//	                                                └────▶ correlate ─▶ Publisher
//
// # Concurrency
//
//   - New starts nothing. Run starts all goroutines and returns after the last of
//     them is gone; it may be called once.
//   - All other methods of Watcher may be called from any goroutine at any time,
//     before, during and after Run.
//   - Detection runs inline on the goroutine that read the object, under one lock,
//     so that events of one object are published in order and one at a time. The
//     Publisher is called under that lock: it must neither block nor call back.
//   - Reads take that lock only to copy pointers to the problems of now.
//   - A panic in the conversion of an object or in a detector ends at that object:
//     it is counted, logged with the object's name and told in Health; everything
//     else goes on.
//
// # What is promised
//
//   - Each cause that is visible in a status that was received is published with
//     one id, whatever form it shows in; see package detect.
//   - After a watch that could not be continued, one Resync per episode comes
//     ahead of what the new list shows, and deletes that were missed are made up
//     for from the last known form.
//   - Memory: one compact object per pod, node and controller; see Options for
//     the bounds of the rest.
package watcher
