package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rightsizer/rightsizer/deploy/devcluster"
)

// commandPatience is how long the command may take to end after SIGTERM.
const commandPatience = 20 * time.Second

// exitError carries the command's exit code to main.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("the command ended with exit code %d", int(e)) }

func runCommand(s *settings) *cobra.Command {
	var w workloads
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARGS...]",
		Short: "Run a command with a cluster of its own, in the foreground",
		Long: `Starts COMMAND at once with KUBECONFIG set, then builds and starts the cluster
that it names: until it is up, its API server answers 503 with the progress.
Ends when COMMAND ends, with its exit code, or on Ctrl-C; then COMMAND is
stopped before the cluster.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.plain = true // the command writes to the same terminal
			return run(cmd.Context(), s.options(), w, args)
		},
	}
	cmd.Flags().StringVar(&w.scenario, "scenario", "mixed", "workloads to apply when the cluster is up; empty for none")
	cmd.Flags().StringVar(&w.namespace, "namespace", "", "where they go (default: namespaces of their own)")
	cmd.Flags().StringArrayVar(&w.manifests, "apply", nil, "a file or folder of manifests to apply before the workloads, NAMESPACE=PATH for a namespace, which is made; may be repeated")
	cmd.Flags().StringArrayVar(&w.makeNamespaces, "make-namespace", nil, "a namespace to make before all; may be repeated")
	s.addNodes(cmd)
	return cmd
}

// workloads is what is put into the cluster once it is up.
type workloads struct {
	makeNamespaces []string
	manifests      []string
	scenario       string
	namespace      string
}

func run(ctx context.Context, o devcluster.Options, w workloads, args []string) (err error) {
	c, err := devcluster.Prepare(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	command, err := startCommand(c.KubeconfigPath(), args)
	if err != nil {
		return err
	}
	launchCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	launched := make(chan error, 1)
	go func() { launched <- launch(launchCtx, c, w) }()
	for {
		select {
		case err := <-launched:
			launched = nil
			if err != nil {
				return errors.Join(err, command.stop())
			}
		case <-c.Failed():
			return errors.Join(c.Err(), command.stop())
		case <-command.exited:
			cancel()
			return command.result()
		case <-ctx.Done():
			return command.stop()
		}
	}
}

func launch(ctx context.Context, c *devcluster.Cluster, w workloads) error {
	if err := c.Launch(ctx); err != nil {
		return err
	}
	for _, name := range w.makeNamespaces {
		if err := c.MakeNamespace(ctx, name); err != nil {
			return err
		}
	}
	for _, m := range w.manifests {
		namespace, path, ok := strings.Cut(m, "=")
		if !ok {
			namespace, path = "", m
		}
		if err := c.ApplyManifests(ctx, path, namespace); err != nil {
			return err
		}
	}
	if w.scenario == "" {
		return nil
	}
	return c.Apply(ctx, w.scenario, w.namespace)
}

// command is the running COMMAND.
type command struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of Wait, once exited is closed
}

// startCommand starts it in a process group of its own: a Ctrl-C shall reach
// it through us, so that it ends before the cluster.
func startCommand(kubeconfig string, args []string) (*command, error) {
	// stop ends it, not a context: with SIGTERM, and before the cluster.
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...) //nolint:gosec // G204: running what the caller names is the purpose
	c := &command{cmd: cmd, exited: make(chan struct{})}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = nil, os.Stdout, os.Stderr
	c.cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	started := make(chan error, 1)
	go c.hold(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	return c, nil
}

// stop ends the command and returns what it ended with.
func (c *command) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended meanwhile
	select {
	case <-c.exited:
	case <-time.After(commandPatience):
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		<-c.exited
	}
	return c.result()
}

// result is nil when the command ended well, and its exit code otherwise. One
// that a signal ended has 128 and the signal's number, as in a shell.
func (c *command) result() error {
	var exit *exec.ExitError
	switch {
	case c.err == nil:
		return nil
	case !errors.As(c.err, &exit):
		return fmt.Errorf("wait for the command: %w", c.err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitError(128 + int(status.Signal()))
	}
	return exitError(exit.ExitCode())
}

// hold starts the command and waits for it on one thread: the kernel kills the
// command when the thread that started it ends, which is to be the end of this
// process and nothing else.
func (c *command) hold(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	err := c.cmd.Start()
	started <- err
	if err == nil {
		c.err = c.cmd.Wait()
		close(c.exited)
	}
}
