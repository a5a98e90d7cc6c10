package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// plan is what the clients' process is told.
type plan struct {
	Wire    wire
	Addr    string
	N       int // connections
	Skip    int // messages ahead of the events
	Burst   int // events after which, when all have them, "done" is printed
	Stamped int // events with the time in them, 0 or all of them; then the latencies are printed
	Streams int // on each connection, beyond 1 idle and HTTP/2 alone
	Stalled int // more connections that read nothing after the first messages
}

// stampMark stands before the time of publishing, UnixNano in 19 digits, in an
// event's message.
const stampMark = "@@"

// tally is what the clients have in common.
type tally struct {
	plan      plan
	ready     sync.WaitGroup
	done      atomic.Int64
	latencies sync.Mutex
	all       []time.Duration
	finished  sync.WaitGroup
	idle      sync.Map // of the stalled connections
}

// read is the clients' process: it prints "ready", then "done" for each burst, and
// ends when its standard input does.
func read(text string) error {
	t := &tally{}
	if err := json.Unmarshal([]byte(text), &t.plan); err != nil {
		return err
	}
	failed := make(chan error, 1)
	limit := make(chan struct{}, 64) // that many handshakes at a time
	for i := range t.plan.N + t.plan.Stalled {
		t.ready.Add(1)
		if t.plan.Stamped > 0 && i < t.plan.N {
			t.finished.Add(1)
		}
		limit <- struct{}{}
		go func() {
			if err := t.client(i >= t.plan.N, func() { <-limit }); err != nil {
				select {
				case failed <- fmt.Errorf("client %d: %w", i, err):
				default:
				}
			}
		}()
	}
	ready := make(chan struct{})
	go func() {
		t.ready.Wait()
		close(ready)
	}()
	select {
	case <-ready:
		fmt.Println("ready")
	case err := <-failed:
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	if t.plan.Stamped > 0 {
		go t.report()
	}
	select {
	case <-ended:
		return nil
	case err := <-failed:
		return err
	}
}

func (t *tally) client(stalled bool, opened func()) error {
	conn, err := net.Dial("tcp", t.plan.Addr) //nolint:noctx // lives as long as the process
	if err != nil {
		return err
	}
	if t.plan.Streams > 1 {
		defer opened()
		return t.idleStreams(conn)
	}
	if stalled {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4096)
		}
	}
	m, err := t.plan.Wire.open(conn)
	if err != nil {
		return err
	}
	for range t.plan.Skip {
		if _, err := m.next(false); err != nil {
			return err
		}
	}
	opened()
	t.ready.Done()
	if stalled {
		t.idle.Store(conn, true) // or it would be collected, and closed
		return nil
	}
	if t.plan.Stamped > 0 {
		return t.stamped(m)
	}
	for {
		for range t.plan.Burst {
			if _, err := m.next(false); err != nil {
				return err
			}
		}
		if t.done.Add(1)%int64(t.plan.N) == 0 {
			fmt.Println("done")
		}
	}
}

// idleStreams opens streams on one connection and reads what opens them.
func (t *tally) idleStreams(conn net.Conn) error {
	h, err := newHTTP2(conn)
	if err != nil {
		return err
	}
	for i := range t.plan.Streams {
		if err := h.request(t.plan.Wire, uint32(1+2*i)); err != nil {
			return err
		}
	}
	m := &messages{body: bufio.NewReaderSize(h, readBuffer), header: lengthHeader(1)}
	for range t.plan.Streams * t.plan.Skip {
		if _, err := m.next(false); err != nil {
			return err
		}
	}
	t.ready.Done()
	_, err = m.next(false)
	return err
}

// stamped reads the events and keeps how late each was.
func (t *tally) stamped(m *messages) error {
	late := make([]time.Duration, 0, t.plan.Stamped)
	for range t.plan.Stamped {
		msg, err := m.next(true)
		if err != nil {
			return err
		}
		now := time.Now().UnixNano()
		at := bytes.Index(msg, []byte(stampMark))
		if at < 0 || at+2+19 > len(msg) {
			return fmt.Errorf("no time in %q", msg)
		}
		sent, err := strconv.ParseInt(string(msg[at+2:at+2+19]), 10, 64)
		if err != nil {
			return err
		}
		late = append(late, time.Duration(now-sent))
	}
	t.latencies.Lock()
	t.all = append(t.all, late...)
	t.latencies.Unlock()
	t.finished.Done()
	return nil
}

func (t *tally) report() {
	t.finished.Wait()
	slices.Sort(t.all)
	at := func(q float64) int64 { return int64(t.all[int(q*float64(len(t.all)-1))]) }
	fmt.Println("late", len(t.all), at(0.5), at(0.99), at(0.999))
}

// clients is the readers' process, seen from here.
type clients struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Reader
}

func startClients(p plan) (*clients, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-reader", string(text)) //nolint:gosec,noctx // this program itself, ended by its standard input
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &clients{cmd, stdin, bufio.NewReader(stdout)}, cmd.Start()
}

// expect waits for a line that begins with the word, and returns the rest.
func (c *clients) expect(word string, within time.Duration) (string, error) {
	stuck := time.AfterFunc(within, func() { _ = c.cmd.Process.Kill() })
	defer stuck.Stop()
	line, err := c.lines.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the clients did not say %q within %v: %w", word, within, err)
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), word)
	if !ok {
		return "", fmt.Errorf("the clients said %q, not %q", line, word)
	}
	return strings.TrimSpace(rest), nil
}

func (c *clients) stop() {
	_ = c.stdin.Close()
	_ = c.cmd.Wait()
}
