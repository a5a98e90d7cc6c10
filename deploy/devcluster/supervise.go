package devcluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// supervisorVariable is set in the environment of a supervisor.
const supervisorVariable = "RIGHTSIZER_DEVCLUSTER_SUPERVISOR"

// Up starts a cluster that outlives the caller: a supervisor process in a
// session of its own, made from this executable called with args, holds it. Up
// returns when the cluster is ready. When ctx ends before, or the start fails,
// the supervisor is ended and nothing remains.
//
// args has to make the executable call Supervise with the same options.
func Up(ctx context.Context, o Options, args []string) (State, error) {
	o, err := o.withDefaults()
	if err != nil {
		return State{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return State{}, fmt.Errorf("find this executable: %w", err)
	}
	reports, theirs, err := os.Pipe()
	if err != nil {
		return State{}, fmt.Errorf("make a pipe to the supervisor: %w", err)
	}
	defer func() { _ = reports.Close() }()
	// It shall outlive us; until it is ready, ctx ends it with SIGTERM below.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, args...) //nolint:gosec // G204: it is this executable
	cmd.Env = append(os.Environ(), supervisorVariable+"=1")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return State{}, fmt.Errorf("start the supervisor: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the reports say what went wrong
		close(exited)
	}()
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	if err := readReports(reports, o.Progress); err != nil {
		// Whatever went wrong, the supervisor ends by itself after an error, and
		// on SIGTERM; the caller shall find nothing of it.
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-exited
		if ctx.Err() != nil {
			return State{}, context.Cause(ctx)
		}
		return State{}, err
	}
	return ReadState(o.StateDir, o.Name)
}

// report is a line that the supervisor writes to whoever started it.
type report struct {
	Progress *Progress `json:"progress,omitempty"`
	Error    string    `json:"error,omitempty"`
	Ready    bool      `json:"ready,omitempty"`
}

// readReports hands on progress until the supervisor says that it is ready.
func readReports(r io.Reader, progress func(Progress)) error {
	decoder := json.NewDecoder(r)
	for {
		var line report
		err := decoder.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("the supervisor ended before the cluster was ready")
		case err != nil:
			return fmt.Errorf("read the supervisor's reports: %w", err)
		case line.Error != "":
			return errors.New(line.Error)
		case line.Ready:
			return nil
		case line.Progress != nil:
			progress(*line.Progress)
		}
	}
}

// Supervise is what a supervisor does: it holds a cluster until SIGTERM or
// SIGINT, and tells whoever started it how the start goes. It returns when the
// cluster is gone.
func Supervise(o Options) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE) // the terminal and the caller may go
	reports := os.NewFile(3, "reports")
	encoder := json.NewEncoder(reports)
	tell := func(r report) { _ = encoder.Encode(r) } // nobody may be listening any more
	o.Progress = func(p Progress) { tell(report{Progress: &p}) }
	c, err := Start(ctx, o)
	if err != nil {
		tell(report{Error: err.Error()})
		return err
	}
	tell(report{Ready: true})
	_ = reports.Close()
	c.options.Progress = func(Progress) {}
	// A cluster of which a component cannot be kept running stays, so that
	// status can say why and the logs can be read.
	<-ctx.Done()
	return c.Stop()
}

// downPatience is how long a supervisor may take to end its cluster.
const downPatience = 20 * time.Second

// Down ends the cluster called name of stateDir (empty means the default) that
// Up has started: exactly the supervisor that its state names, recognized by
// pid and start time. What a supervisor that was killed has left is removed.
// The error is ErrNoCluster when there is nothing to end.
func Down(ctx context.Context, stateDir, name string) error {
	stateDir, err := stateFolder(stateDir)
	if err != nil {
		return err
	}
	if err := ValidateName(name); err != nil {
		return err
	}
	s, err := ReadState(stateDir, name)
	if err != nil {
		return err
	}
	if !s.Holder.Alive() {
		return removeStale(stateDir, name)
	}
	if !s.Detached {
		return fmt.Errorf("cluster %q belongs to process %d, which is no supervisor: end that process (Ctrl-C in its terminal) and the cluster ends with it", name, s.Holder.PID)
	}
	if err := syscall.Kill(s.Holder.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end supervisor %d: %w", s.Holder.PID, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, downPatience, fmt.Errorf("supervisor %d did not end within %s", s.Holder.PID, downPatience))
	defer cancel()
	return waitFor(ctx, 20*time.Millisecond, func() (bool, error) { return !s.Holder.Alive(), nil })
}
