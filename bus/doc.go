// Package bus carries what the watcher finds to whoever reads it.
//
// It is a ring of immutable entries with one writer side and any number of
// readers. Its contract, each sentence of which a test holds:
//
//   - Publish never waits for a reader and costs the same for one reader as for
//     ten thousand: it stores the entry, and a notifier goroutine (Run) wakes
//     whom it concerns.
//   - A reader is a cursor that pulls (Subscription.Next). A slow reader costs
//     nobody else anything; when the ring overtakes it, it is told its loss once,
//     ahead of the next entry.
//   - For every subscription, delivered + filtered + lost = published. A loss
//     counts only what is in namespaces that the reader may see; it says whether
//     it is exact.
//   - What is confidential is for those readers alone whose scope says so, each of
//     whom sees the whole cluster; to others it was never published.
//   - Entries come in the order of publishing. Publish may be called from several
//     goroutines; the bus orders them.
//   - Whoever reads an Entry shares it: neither the entry nor its message may be
//     changed after Publish.
//   - A Subscription belongs to one goroutine at a time, but for what says
//     otherwise. Bus is safe for concurrent use.
//
// The ring is bounded by a number of entries and by bytes, cached encodings
// included; the oldest go first. Positions are opaque, so that they tell nobody
// how busy other namespaces are, and belong to one epoch: the life of one Bus.
package bus
