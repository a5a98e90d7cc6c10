package auth

import (
	"sync"
	"sync/atomic"
)

// eachOf calls do with 0 to n-1, at most most at a time, and returns when all have
// returned.
func eachOf(n, most int, do func(int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(n, most) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}
