// Package action holds the kinds of repairs, one a file, behind one interface:
//
//	Plan → Preconditions → Apply → Verify → Revert
//
// Plan and Preconditions read (a server-side dry run is a read); Apply and Revert
// are the only effects on workloads in this project. Each effect is one write to
// one object, whose UID and resource version are its preconditions and whose field
// manager names the decision. ReadBack says after a crash whether that write was
// made: from the live object alone.
//
// [Set] is the one ordered list. Installations add actions of their own to it in
// the composition root.
//
// Actions hold no state; all is safe for concurrent use.
package action
