// Command bench sets the bus beside its peers: S subscribers in one process, each
// of which gets every event of about 400 bytes. It prints one table, from one
// run, and exits with 1 where an event went astray, of subscribers with filters and of one
// that is overtaken as well.
//
// Every figure is the median of three rounds, in each of which all peers have
// their turn, since what else the machine does changes meanwhile; what takes
// seconds is measured in the first alone.
//
// The load is bursts, flat out, each begun when every subscriber has all of the
// former: nobody has to drop, and nobody runs ahead by more than the ring holds.
// CPU is that of the whole process (getrusage), publisher included; publishing is
// timed by the clock, as the median over the bursts, since other work on the
// machine may interrupt one. The heap is held at 32 MiB and more, about what the
// operator's is, since at Go's least heap of 4 MiB the collector's share is many
// times that of real use, for every peer.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// burst is how many events are published before all must be received: fewer where
// some peers need seconds for that.
func burst(subscribers int) int {
	if subscribers > 1000 {
		return 128
	}
	return 1024
}

// counts are the numbers of subscribers.
var counts = []int{1, 10, 100, 1000, 10000}

// tally is what one subscriber received. It fills a cache line, so that
// subscribers on different cores do not disturb each other.
type tally struct {
	n, sum   int64
	left     int64 // of this burst
	burst    int64
	received *sync.WaitGroup
	_        [24]byte
}

// got counts one event by its number.
func (t *tally) got(number int32) {
	t.n++
	t.sum += int64(number)
	if t.left--; t.left == 0 {
		t.left = t.burst
		t.received.Done()
	}
}

// result is one cell of the table.
type result struct {
	cpu     float64 // ns per delivery
	publish float64 // ns per publish
}

func main() {
	each := flag.Duration("each", 300*time.Millisecond, "least time for each peer, number of subscribers and round")
	most := flag.Int("most", 10000, "most subscribers")
	only := flag.String("only", "", "leave out peers whose name does not contain this, Go channels excepted")
	flag.Parse()
	ballast := make([]byte, 32<<20)
	defer runtime.KeepAlive(ballast)
	began := time.Now()
	runs := make(map[string]map[int][]result)
	slow := make(map[cell]bool)
	for round := range rounds {
		for _, s := range counts {
			for _, p := range peers {
				if slow[cell{p.name, s}] || s > min(p.most, *most) || p.name != channels && !strings.Contains(p.name, *only) {
					continue
				}
				fmt.Fprintf(os.Stderr, "%4.0fs  round %d of %d: %d × %s\n", time.Since(began).Seconds(), round+1, rounds, s, p.name)
				turn := time.Now()
				r, err := measure(p, s, *each)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				if runs[p.name] == nil {
					runs[p.name] = make(map[int][]result)
				}
				runs[p.name][s] = append(runs[p.name][s], r)
				if time.Since(turn) > enough {
					slow[cell{p.name, s}] = true
				}
			}
		}
	}
	printTable(medians(runs))
	some, overtaken, err := exact(100, 20)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("- delivered + filtered + lost = published, for each of 100 subscribers: %d + %d + %d with a filter, %d + %d + %d overtaken\n",
		some.delivered, some.filtered, some.lost, overtaken.delivered, overtaken.filtered, overtaken.lost)
}

const rounds = 3

// enough is the time after which a cell has been measured for long enough and is
// left out of further rounds.
const enough = 2 * time.Second

type cell struct {
	peer        string
	subscribers int
}

// medians takes each figure's, over the rounds.
func medians(runs map[string]map[int][]result) map[string]map[int]result {
	median := func(of []result, figure func(result) float64) float64 {
		all := make([]float64, len(of))
		for i, r := range of {
			all[i] = figure(r)
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	table := make(map[string]map[int]result)
	for name, bySize := range runs {
		table[name] = make(map[int]result)
		for s, of := range bySize {
			table[name][s] = result{
				cpu:     median(of, func(r result) float64 { return r.cpu }),
				publish: median(of, func(r result) float64 { return r.publish }),
			}
		}
	}
	return table
}

// measure runs one peer with s subscribers for at least the time, and checks that
// each of them got every event once.
func measure(p peer, s int, least time.Duration) (result, error) {
	var received sync.WaitGroup
	size := burst(s)
	tallies := make([]tally, s)
	for i := range tallies {
		tallies[i] = tally{left: int64(size), burst: int64(size), received: &received}
	}
	publish, stop, err := p.open(tallies)
	if err != nil {
		return result{}, fmt.Errorf("%s: %w", p.name, err)
	}
	once := func() time.Duration {
		received.Add(s)
		began := time.Now()
		for i := range size {
			publish(i)
		}
		took := time.Since(began)
		received.Wait()
		return took
	}
	once() // the first grows stacks and buffers
	runtime.GC()
	bursts := 0
	var publishing []time.Duration
	before, began := cpu(), time.Now()
	for ; bursts < 1 || time.Since(began) < least; bursts++ {
		publishing = append(publishing, once())
	}
	used := cpu() - before
	stop()
	published := (bursts + 1) * size
	sum := int64(published) * int64(size-1) / 2
	for i := range tallies {
		if t := &tallies[i]; t.n != int64(published) || t.sum != sum {
			return result{}, fmt.Errorf("%s: subscriber %d of %d got %d events of %d, sum %d of %d", p.name, i, s, t.n, published, t.sum, sum)
		}
	}
	slices.Sort(publishing)
	return result{
		cpu:     float64(used) / float64(bursts*size*s),
		publish: float64(publishing[len(publishing)/2]) / float64(size),
	}, nil
}

// cpu is what this process has used, in ns.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func printTable(table map[string]map[int]result) {
	fmt.Print("CPU ns per delivery (as a ratio to Go channels) · ns per publish\n\n| S = |")
	for _, s := range counts {
		fmt.Printf(" %d |", s)
	}
	fmt.Print("\n|---|---|---|---|---|---|\n")
	for _, p := range peers {
		fmt.Printf("| %s |", p.name)
		for _, s := range counts {
			r, ok := table[p.name][s]
			if !ok {
				fmt.Print(" – |")
				continue
			}
			fmt.Printf(" %s (%.2f) · %s |", figure(r.cpu), r.cpu/table[channels][s].cpu, figure(r.publish))
		}
		fmt.Println()
	}
	ours := table[thisBus]
	fmt.Println()
	for _, s := range counts[2:] {
		verdict("CPU per delivery against Go channels", s, ours[s].cpu/table[channels][s].cpu, 0.25)
	}
	verdict("ns per publish", 100, ours[100].publish, 300)
	verdict("ns per publish", 1000, ours[1000].publish, 1500)
}

func verdict(what string, s int, is, most float64) {
	word := "met"
	if is > most {
		word = "missed"
	}
	fmt.Printf("- %s at S = %d: %s, target ≤ %s: %s\n", what, s, figure(is), figure(most), word)
}

// figure prints three significant digits or the whole part.
func figure(x float64) string {
	switch {
	case x < 1:
		return fmt.Sprintf("%.3f", x)
	case x < 100:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.0f", x)
	}
}
