package main

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// journal holds the moments of each change, in nanoseconds since begin; 0 is
// not yet. Each array has one writer a change.
type journal struct {
	begin          time.Time
	sent, answered []atomic.Int64 // the status write
	watched, heard []atomic.Int64 // by the bare watch, by the WebSocket
}

func newJournal(changes int) *journal {
	return &journal{
		begin: time.Now(), sent: make([]atomic.Int64, changes), answered: make([]atomic.Int64, changes),
		watched: make([]atomic.Int64, changes), heard: make([]atomic.Int64, changes),
	}
}

func (j *journal) now() int64 { return int64(time.Since(j.begin)) }

// seen notes the first time that a change was seen.
func (j *journal) seen(by []atomic.Int64, change int, at int64) {
	if change >= 0 && change < len(by) {
		by[change].CompareAndSwap(0, at)
	}
}

// open is how many changes have not been seen by both.
func (j *journal) open() int {
	n := 0
	for i := range j.sent {
		if j.watched[i].Load() == 0 || j.heard[i].Load() == 0 {
			n++
		}
	}
	return n
}

// percentile of the time from one moment to another, over the changes after the
// warm-up that have both; 0 where there is none.
func (c *course) percentile(from, to []atomic.Int64, percent int) time.Duration {
	var all []int64
	for n := int(warmUp.Seconds()) * c.rate; n < len(from); n++ {
		if begin, end := from[n].Load(), to[n].Load(); begin != 0 && end != 0 {
			all = append(all, end-begin)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return time.Duration(all[min(len(all)*percent/100, len(all)-1)])
}

func (c *course) bare(percent int) time.Duration {
	return c.percentile(c.journal.sent, c.journal.watched, percent)
}

func (c *course) socket(percent int) time.Duration {
	return c.percentile(c.journal.sent, c.journal.heard, percent)
}

// added is what the operator adds to one and the same change.
func (c *course) added(percent int) time.Duration {
	return c.percentile(c.journal.watched, c.journal.heard, percent)
}

func (c *course) bound() time.Duration {
	return time.Duration(float64(c.bare(99))*latencyFactor) + latencySlack
}

func (c *course) unseen() int { return c.journal.open() }

// sustained says whether the API server kept up, and nothing went astray.
func (c *course) sustained() bool {
	return c.reached >= sustained*float64(c.rate) && c.unseen() == 0
}

func printCourses(s *settings, rows []*course) {
	fmt.Printf("%s\n\n", machine())
	fmt.Printf("%d nodes; GOMEMLIMIT %s; each rate for %s after %s of warm-up, on pods of its own; ms from the begin of the status write, in brackets from its answer.\n\n",
		s.nodes, s.memLimit, s.span, warmUp)
	fmt.Println("| changes/s | reached | unseen | write p50 | bare watch p50 | p99 | WebSocket p50 | p99 | added to one change p50 | p99 | p99 difference | ratio | bound |")
	fmt.Println("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, c := range rows {
		j := c.journal
		fmt.Printf("| %d | %.1f | %d | %s | %s (%s) | %s (%s) | %s (%s) | %s (%s) | %s | %s | %s | %.2f | %s |\n", c.rate, c.reached, c.unseen(),
			ms(c.percentile(j.sent, j.answered, 50)),
			ms(c.bare(50)), ms(c.percentile(j.answered, j.watched, 50)), ms(c.bare(99)), ms(c.percentile(j.answered, j.watched, 99)),
			ms(c.socket(50)), ms(c.percentile(j.answered, j.heard, 50)), ms(c.socket(99)), ms(c.percentile(j.answered, j.heard, 99)),
			ms(c.added(50)), ms(c.added(99)), ms(c.socket(99)-c.bare(99)), float64(c.socket(99))/float64(max(c.bare(99), 1)), ms(c.bound()))
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000) }
