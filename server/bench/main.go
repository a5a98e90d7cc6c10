// Command bench sets the event streams beside their peers over loopback: what one
// delivered event costs the server, how late it is, and what an idle connection
// holds. It prints markdown tables of one run and exits with 1 where an event went
// astray.
//
// Clients live in a process of their own, so that only the server's CPU is counted
// (getrusage of this one, publisher included), and read no more than the framing:
// two cores have to feed them. The load is bursts, flat out, each begun when every
// subscriber has all of the former: nobody has to drop.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

var began = time.Now()

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%4.0fs  "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
}

func main() {
	reader := flag.String("reader", "", "internal: be the clients; a plan as JSON")
	each := flag.Duration("each", 300*time.Millisecond, "least time for each server, number of subscribers and round")
	rounds := flag.Int("rounds", 3, "rounds over all servers; the median of each counts, since others use the machine as well")
	big := flag.Bool("big", false, "9,500 connections as well, some minutes more")
	only := flag.String("only", "", "only servers whose name contains one of these, by comma")
	parts := flag.String("parts", "cpu,latency,slow,memory", "which tables")
	subscribers := flag.String("s", "1,10,100,1000", "numbers of subscribers")
	profile := flag.String("profile", "", "write a CPU profile of the servers to this file")
	flag.Parse()
	if *reader != "" {
		if err := read(*reader); err != nil {
			fmt.Fprintln(os.Stderr, "reader:", err)
			os.Exit(1)
		}
		return
	}
	if err := roomFor(*big); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r := run{each: *each, rounds: *rounds, big: *big, only: strings.Split(*only, ",")}
	for s := range strings.SplitSeq(*subscribers, ",") {
		var n int
		if _, err := fmt.Sscan(s, &n); err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "-s: %q is no number of subscribers\n", s)
			os.Exit(2)
		}
		r.counts = append(r.counts, n)
	}
	stop := profiling(*profile)
	err := r.all(strings.Split(*parts, ","))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// many is the number of connections with -big; each is a file for the servers and one
// for the clients, who are another process.
const many = 9500

// roomFor says what is missing of files for as many connections, before anything is
// measured. Go has raised the soft limit to the hard one.
func roomFor(big bool) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if need := uint64(many + 500); big && limit.Cur < need {
		return fmt.Errorf("-big: %d files may be open, and it needs %d: raise the hard limit (ulimit -Hn %d), or leave -big out", limit.Cur, need, need)
	}
	return nil
}

// run is what one call of the program measures.
type run struct {
	each   time.Duration
	rounds int
	big    bool
	only   []string
	counts []int
}

// wants says whether to measure a server with n subscribers: with many, ours beside the
// floors alone.
func (r run) wants(v variant, n int) bool {
	if n == many && !strings.HasPrefix(v.name, "ours") && !strings.HasPrefix(v.name, "raw") {
		return false
	}
	return slices.ContainsFunc(r.only, func(part string) bool { return strings.Contains(v.name, part) })
}

func (r run) all(parts []string) error {
	fmt.Printf("%s, %d cores, %s, %s, load %s\n", time.Now().Format(time.DateOnly), runtime.NumCPU(), processor(), runtime.Version(), load())
	tables := map[string]func() error{"memory": r.memoryTable, "cpu": r.cpuTable, "latency": r.latencyTable, "slow": r.slowTable}
	for _, name := range []string{"memory", "cpu", "latency", "slow"} { // memory first, while the process is fresh
		if slices.Contains(parts, name) {
			if err := tables[name](); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\nload at the end: %s\n", load())
	return nil
}

// load is the machine's load averages, of 1, 5 and 15 minutes.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

// processor is the model as Linux names it.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
