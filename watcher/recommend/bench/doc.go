// Command bench compares the recommender with Kubernetes' VerticalPodAutoscaler
// 1.8.1 (its own code, from its Go module) and Robusta's KRR (its published
// formula) on recorded usage: the same series, the same walk, the same counts, in
// one run.
//
//	go run . --input usage.csv.gz --warmup 288 --score-from 2016
//
// It prints the figures of each as shipped, by how much they are below those of
// the VPA, then each at 50 OOM kills in 1,000 container-days, found by sweeping a
// multiplier on the memory target and interpolating in the logarithm of the rate;
// with bootstrap intervals over series, the spread over folds of series, and the
// halves of the time.
//
// With --validate N it says instead what settings are worth on series that did not
// choose them: for each fold, of N that are drawn, the best on the other folds.
package main
