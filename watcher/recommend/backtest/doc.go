// Package backtest says what the recommender would have done to a cluster: it
// walks forward over recorded usage with the code that serves recommendations,
// and counts OOM kills, what was held in vain, and changes.
//
// The recommender never sees what is ahead, nor memory above the limit that it
// set: there the container would have died.
//
// Concurrency: Run works on series in parallel and returns when all are done; the
// rest are plain functions.
package backtest
