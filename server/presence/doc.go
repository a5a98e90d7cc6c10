// Package presence tells by events who reads events: `dashboard.connected` when the
// first stream of somebody opens, `dashboard.disconnected` when the last one has been
// gone for [Grace]. It counts streams, and decides alone what is told of them.
//
//   - Somebody is a name and who vouches for it. Who has no name, where the API is
//     open, is told of by nobody and never to Came.
//   - Both happen at one moment (POINT): nothing is wrong while somebody reads. Of each
//     stay both are told or neither.
//   - What is told is bounded: by identity and in all, for good and by time, by token
//     buckets, so that whoever reconnects in a loop pushes next to nothing out of the
//     ring. What was not told is counted, and the next event says how often.
//   - Identities are bounded. For a new one the one that is gone longest is forgotten;
//     where all are there, the new one is not told of.
//   - Each replica tells of its own streams. Ids hold the replica, which is a process,
//     and so never meet those of another or of a later one; correlation ids hold the
//     identity alone, and are the same in all.
//   - Who is still there as the operator stops is not told as gone.
//
// To whom it is told is not decided here: the Publisher takes the events for those
// alone who may list connections.
package presence
