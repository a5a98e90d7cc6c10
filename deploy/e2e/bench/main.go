// Command bench measures the finished operator against a real control plane:
//
//	go run ./bench memory    pods → MiB, each step with streaming lists and without
//	go run ./bench latency   from a status write to a WebSocket client, beside a bare watch
//	go run ./bench limits    100 events a second to 20 subscribers within 100m CPU and 128 MiB
//	go run ./bench cure      from the status write of an OOM kill to the accepted resize,
//	                         with the writes a second that the API server has meanwhile
//
// The binary is bin/rightsizer of the repository (another with -bin). The
// control plane is a devcluster with kwok's nodes. Once these are Ready,
// everything but etcd and the API server is stopped, and this program plays the
// controllers and the kubelets: so every write is its own, and two cores suffice
// for thousands of pods.
//
// The figures go to standard output as Markdown, progress to standard error. It
// exits with 1 where something could not be measured or a bound was not kept.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settings are the command line.
type settings struct {
	binary   string
	nodes    int
	pods     []int // memory: the steps
	streams  int
	memLimit string // GOMEMLIMIT of the operator
	limit    int64  // of the operator's cgroup in MiB, 0 for none
	// millicores limit its CPU, 0 for not.
	millicores int64
	profiles   string // memory: folder for heap profiles, empty for none
	only       string // memory: one variant alone
	rates      []int  // latency: status changes a second
	kills      []int  // cure: OOM kills a second
	span       time.Duration
}

// memoryBound is what the deployment grants: the limit of its container.
const memoryBound = 128 << 20

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("want memory, latency, limits or cure")
	}
	s := settings{}
	flags := flag.NewFlagSet("bench "+args[0], flag.ContinueOnError)
	pods := flags.String("pods", "1000,5000,10000", "memory: numbers of pods, rising")
	big := flags.Bool("big", false, "memory: 20,000 pods as well")
	rates := flags.String("rates", "20,50,100,200,400", "latency: status changes a second, rising")
	kills := flags.String("kills", "3,6,20", "cure: OOM kills a second, rising")
	flags.StringVar(&s.binary, "bin", "../../bin/rightsizer", "the operator; built there when it is missing")
	flags.IntVar(&s.nodes, "nodes", 100, "nodes of the cluster")
	flags.IntVar(&s.streams, "streams", 50, "memory: open streams, half of them WebSockets")
	flags.StringVar(&s.memLimit, "gomemlimit", "100MiB", "GOMEMLIMIT of the operator, empty for none; limits has none, since it follows from its limit")
	flags.Int64Var(&s.limit, "limit", 0, "limit of the operator's cgroup in MiB; none by default, so that it shows what it would take")
	flags.StringVar(&s.profiles, "profiles", "", "memory: folder for heap profiles, three for each run")
	flags.StringVar(&s.only, "only", "", "memory: stream or pages alone")
	flags.DurationVar(&s.span, "span", 20*time.Second, "latency, limits, cure: how long each rate is held")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	var err error
	if s.pods, err = numbers(*pods); err != nil {
		return fmt.Errorf("-pods: %w", err)
	}
	if *big {
		s.pods = append(s.pods, 20000)
	}
	if s.rates, err = numbers(*rates); err != nil {
		return fmt.Errorf("-rates: %w", err)
	}
	if s.kills, err = numbers(*kills); err != nil {
		return fmt.Errorf("-kills: %w", err)
	}
	if err := ensureBinary(ctx, s.binary); err != nil {
		return err
	}
	switch args[0] {
	case "memory":
		return memory(ctx, &s)
	case "latency":
		return latency(ctx, &s)
	case "limits":
		return withinLimits(ctx, &s)
	case "cure":
		return cure(ctx, &s)
	}
	return fmt.Errorf("%q is neither memory, latency, limits nor cure", args[0])
}

// numbers reads a list such as 1000,5000: positive and rising.
func numbers(list string) ([]int, error) {
	var out []int
	for field := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 || len(out) > 0 && n <= out[len(out)-1] {
			return nil, fmt.Errorf("%q: want positive numbers, rising, such as 1000,5000", list)
		}
		out = append(out, n)
	}
	return out, nil
}

// began is when this program did, for say.
var began = time.Now()

// say writes a line of progress.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%5.0fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}
