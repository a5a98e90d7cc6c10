package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rightsizer/rightsizer/deploy/devcluster"
)

func upCommand(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster that keeps running, and return when it is ready",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			began := time.Now()
			args := []string{"supervise", "--name", s.name, "--source", s.source, "--nodes", strconv.Itoa(s.nodes)}
			state, err := devcluster.Up(cmd.Context(), s.options(), args)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "# ready after %s; `devcluster down --name %s` ends it\nexport KUBECONFIG=%s\n",
				time.Since(began).Round(100*time.Millisecond), state.Name, state.Kubeconfig)
			return err
		},
	}
	s.addNodes(cmd)
	return cmd
}

// superviseCommand is what up runs in the background.
func superviseCommand(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:    "supervise",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(*cobra.Command, []string) error { return devcluster.Supervise(s.options()) },
	}
	s.addNodes(cmd)
	return cmd
}

func downCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End a cluster that up has started",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := devcluster.Down(cmd.Context(), "", s.name)
			if errors.Is(err, devcluster.ErrNoCluster) {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "no cluster %q is up\n", s.name)
				return err
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "cluster %q is down\n", s.name)
			return err
		},
	}
}

func statusCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say what runs, where, since when, and with how much memory; of all clusters, or of the one that --name names",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("name") {
				return printNamed(cmd.OutOrStdout(), s.name)
			}
			states, err := devcluster.ListStates("")
			if err != nil {
				return err
			}
			if len(states) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "no cluster is up")
				return err
			}
			for _, s := range states {
				if err := printState(cmd.OutOrStdout(), s); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// printNamed writes the state of one cluster, or that there is none.
func printNamed(out io.Writer, name string) error {
	if err := devcluster.ValidateName(name); err != nil {
		return err
	}
	state, err := devcluster.ReadState("", name)
	if errors.Is(err, devcluster.ErrNoCluster) {
		_, err = fmt.Fprintf(out, "no cluster %q is up\n", name)
		return err
	}
	if err != nil {
		return err
	}
	return printState(out, state)
}

// printState writes one cluster as a short text with a table of its processes.
func printState(out io.Writer, s devcluster.State) error {
	if !s.Holder.Alive() {
		_, err := fmt.Fprintf(out, "cluster %s: dead, its process %d is gone; `devcluster down --name %s` removes what is left\n", s.Name, s.Holder.PID, s.Name)
		return err
	}
	kind := "held by process"
	if s.Detached {
		kind = "supervisor"
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "cluster %s: %s (%s %d)\n", s.Name, s.Message, kind, s.Holder.PID)
	_, _ = fmt.Fprintf(w, "  server\t%s\n  kubeconfig\t%s\n  nodes\t%d\n  since\t%s\n", s.Server, s.Kubeconfig, s.Nodes, since(s.Since))
	var total int64
	for _, c := range s.Components {
		memory := c.MemoryBytes()
		total += memory
		_, _ = fmt.Fprintf(w, "  %s\tpid %d\t%d MiB\tsince %s\n", c.Name, c.PID, memory>>20, since(c.Since))
	}
	_, _ = fmt.Fprintf(w, "  together\t\t%d MiB\n", total>>20)
	return w.Flush()
}

func since(t time.Time) string {
	return fmt.Sprintf("%s (%s)", t.Local().Format(time.DateTime), time.Since(t).Round(time.Second))
}
