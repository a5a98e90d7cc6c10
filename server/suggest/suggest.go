// Package suggest finds the known word that a mistyped one was probably meant
// to be. It serves error messages only; nothing is ever corrected silently.
package suggest

import "strings"

// maxWord bounds the work for words that come from outside: longer ones get no
// suggestion. No name of ours is longer than 64 bytes.
const maxWord = 64

// Nearest returns the known word with the smallest edit distance to word, and
// false where none is near enough: the distance may be a third of the word's
// length, at least 1. Case, dashes and underscores count for nothing, so that
// MinSeverity finds min_severity. The first of equally near words wins.
func Nearest(word string, known []string) (string, bool) {
	if word == "" || len(word) > maxWord {
		return "", false
	}
	folded := fold(word)
	limit := max(1, len(folded)/3)
	best, found := "", false
	for _, k := range known {
		if d := distance(folded, fold(k)); d <= limit {
			best, found, limit = k, true, d-1
		}
	}
	return best, found
}

func fold(s string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(s))
}

// distance is the optimal string alignment distance in bytes: insertions,
// deletions, substitutions and swaps of neighbours cost one each.
func distance(a, b string) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
