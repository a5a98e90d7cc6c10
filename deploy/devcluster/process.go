package devcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopPatience is how long a component may take to end after SIGTERM. Nothing
// of it is kept, so there is nothing worth waiting for any longer.
const stopPatience = 5 * time.Second

// spawner starts processes that the kernel kills when this process ends.
//
// PR_SET_PDEATHSIG fires when the thread that started the child ends, not the
// process: all children are therefore started from one goroutine that keeps its
// thread for itself as long as the spawner lives.
type spawner struct {
	requests chan func()
	done     chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for start := range s.requests {
			start()
		}
	}()
	return s
}

// start starts cmd as a child that dies with this process, in a process group
// of its own so that a Ctrl-C on the terminal reaches us alone and we decide
// the order.
func (s *spawner) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	result := make(chan error, 1)
	s.requests <- func() { result <- cmd.Start() }
	return <-result
}

// close ends the spawner's goroutine. All children must have ended.
func (s *spawner) close() {
	close(s.requests)
	<-s.done
}

// process is one running component.
type process struct {
	name    Component
	pid     int
	since   time.Time
	logPath string
	cmd     *exec.Cmd
	exited  chan struct{} // closed once the process is gone and waited for

	mu      sync.Mutex
	wanted  bool // its end is our doing
	waitErr error
}

// launch starts a component whose output goes to logPath, appended.
func (s *spawner) launch(name Component, binary string, args []string, env []string, logPath string) (*process, error) {
	out, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	defer func() { _ = out.Close() }() // the child has its own copy
	// Its life is Stop's business, not a context's.
	cmd := exec.CommandContext(context.Background(), binary, append([]string{string(name)}, args...)...) //nolint:gosec // G204: the binary that we built
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = env
	if err := s.start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, pid: cmd.Process.Pid, since: time.Now(), logPath: logPath, cmd: cmd, exited: make(chan struct{})}
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		p.waitErr = err
		p.mu.Unlock()
		close(p.exited)
	}()
	return p, nil
}

// signal sends sig; that the process is gone already is no error.
func (p *process) signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %s: %w", sig, p.name, err)
	}
	return nil
}

// expectEnd notes that the process will end because we want it to.
func (p *process) expectEnd() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = true
}

// endedByItself says whether the process is gone without our doing.
func (p *process) endedByItself() bool {
	select {
	case <-p.exited:
	default:
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.wanted
}

// stop ends the process, gently first, and returns when it is gone.
func (p *process) stop() error {
	p.expectEnd()
	// A paused process does not see SIGTERM before it runs again.
	err := errors.Join(p.signal(syscall.SIGTERM), p.signal(syscall.SIGCONT))
	select {
	case <-p.exited:
		return err
	case <-time.After(stopPatience):
	}
	return errors.Join(err, p.kill())
}

// kill ends the process at once and returns when it is gone.
func (p *process) kill() error {
	p.expectEnd()
	err := p.signal(syscall.SIGKILL)
	<-p.exited
	return err
}

// failure describes how the process ended, with the end of its log.
func (p *process) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	how := "with exit status 0"
	if p.waitErr != nil {
		how = p.waitErr.Error()
	}
	return fmt.Errorf("%s ended by itself (%s); the end of %s:\n%s", p.name, how, p.logPath, lastLines(p.logPath, 8))
}

// lastLines returns the last n lines of a file, or why it cannot be read.
func lastLines(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
