package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// burst is how many events are published before all must be received.
func burst(subscribers int) int {
	switch {
	case subscribers > 2000:
		return 32
	case subscribers > 200:
		return 256
	default:
		return 1024
	}
}

// patience is how long clients may take for one step.
const patience = 60 * time.Second

// events are the same for every server.
var events = func() (evs []*rightsizerv1.Event) {
	source := bustest.NewSource(bustest.Options{Seed: 1})
	for range 1024 {
		evs = append(evs, source.Event())
	}
	return evs
}()

// session is a server with its clients.
type session struct {
	*running
	clients *clients
}

func open(v variant, p plan) (*session, error) {
	server, err := v.start()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.name, err)
	}
	p.Wire, p.Addr, p.Skip = v.wire, server.addr, v.skip
	c, err := startClients(p)
	if err != nil {
		return nil, err
	}
	s := &session{server, c}
	if _, err := c.expect("ready", patience); err != nil {
		s.close()
		return nil, fmt.Errorf("%s: %w", v.name, err)
	}
	want := (p.N + p.Stalled) * max(1, p.Streams)
	for until := time.Now().Add(patience); server.subscribed() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			s.close()
			return nil, fmt.Errorf("%s: %d of %d subscribed", v.name, server.subscribed(), want)
		}
	}
	return s, nil
}

func (s *session) close() {
	s.clients.stop()
	s.stop()
}

// cpuPerDelivery is in ns.
func (r run) cpuPerDelivery(v variant, n int) (float64, error) {
	size := burst(n)
	s, err := open(v, plan{N: n, Burst: size})
	if err != nil {
		return 0, err
	}
	defer s.close()
	once := func() error {
		for i := range size {
			s.publish(events[i])
		}
		_, err := s.clients.expect("done", patience)
		return err
	}
	if err := once(); err != nil { // the first grows stacks and buffers
		return 0, fmt.Errorf("%s: %w", v.name, err)
	}
	runtime.GC()
	before, start, bursts := cpu(), time.Now(), 0
	for ; bursts < 2 || time.Since(start) < r.each; bursts++ {
		if err := once(); err != nil {
			return 0, fmt.Errorf("%s: %w", v.name, err)
		}
	}
	used := cpu() - before
	if lost := s.lost(); lost > 0 { // a client that counts messages would count what tells it as an event
		return 0, fmt.Errorf("%s: %d events were lost", v.name, lost)
	}
	return float64(used) / float64(bursts*size*n), nil
}

// lateness is what one run at a steady rate shows.
type lateness struct {
	p50, p99, p999 time.Duration
	cores          float64
	delivered      float64 // of what was due
}

// heavyBelow is the rate under which events are made heavy: the comparison with
// clients that read nothing, whose buffers would take the whole run otherwise.
const heavyBelow = 1000

// atRate publishes at a rate, per second, for a time.
func atRate(v variant, n, rate, stalled int, last time.Duration) (lateness, error) {
	total := int(last.Seconds() * float64(rate))
	s, err := open(v, plan{N: n, Stamped: total, Stalled: stalled})
	if err != nil {
		return lateness{}, err
	}
	defer s.close()
	runtime.GC()
	before, start := cpu(), time.Now()
	for i := range total {
		if wait := time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))); wait > 0 {
			time.Sleep(wait)
		}
		ev := proto.CloneOf(events[i%len(events)])
		ev.Message = fmt.Sprintf("%s%019d", stampMark, time.Now().UnixNano())
		if rate > 2 && rate < heavyBelow {
			ev.Message += padding
		}
		s.publish(ev)
	}
	rest, err := s.clients.expect("late", patience)
	used, took := cpu()-before, time.Since(start)
	if err != nil {
		return lateness{}, fmt.Errorf("%s: %w", v.name, err)
	}
	var count int
	var l lateness
	if _, err := fmt.Sscan(rest, &count, &l.p50, &l.p99, &l.p999); err != nil { // durations scan as integers, of ns
		return lateness{}, err
	}
	l.cores = float64(used) / float64(took)
	l.delivered = float64(last) / float64(max(took, last))
	if count != total*n {
		return lateness{}, fmt.Errorf("%s: %d of %d delivered", v.name, count, total*n)
	}
	return l, nil
}

var padding = strings.Repeat("x", 2000)

// idleMemory is in bytes per connection, or per stream where there are several on
// one: heap and stacks in use, after collecting.
func idleMemory(v variant, connections, streams int) (float64, error) {
	held := func() float64 {
		runtime.GC()
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapInuse + m.StackInuse)
	}
	before := held()
	s, err := open(v, plan{N: connections, Streams: streams, Burst: 1 << 30})
	if err != nil {
		return 0, err
	}
	defer s.close()
	return (held() - before) / float64(connections*max(1, streams)), nil
}

// cpu is what this process has used, in ns.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func profiling(file string) (stop func()) {
	if file == "" {
		return func() {}
	}
	f, err := os.Create(file)
	if err != nil {
		panic(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		panic(err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}
}
