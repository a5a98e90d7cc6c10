// Command devcluster runs real Kubernetes control planes on this machine; see
// the README of its module.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rightsizer/rightsizer/deploy/devcluster"
)

// defaultName is what a cluster is called that was given no name.
const defaultName = "default"

// settings are the flags that several commands share.
type settings struct {
	name   string
	source string
	nodes  int
	plain  bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	interrupted := ctx.Err() != nil
	stop()
	var exit exitError
	if err != nil && terminal() {
		fmt.Fprintln(os.Stderr) // progress may have left the cursor within its line
	}
	switch {
	case err == nil:
	case errors.As(err, &exit):
		os.Exit(int(exit))
	case interrupted:
		fmt.Fprintln(os.Stderr, "devcluster: stopped; nothing is left running")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "devcluster:", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:           "devcluster",
		Short:         "A real Kubernetes control plane on this machine, with simulated nodes",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.PersistentFlags().StringVar(&s.name, "name", defaultName, "the cluster's `name`; several may run at a time")
	cmd.PersistentFlags().StringVar(&s.source, "source", "", "`folder` of the controlplane module (default: looked for from the working directory upwards)")
	cmd.PersistentFlags().BoolVar(&s.plain, "plain", false, "write progress as lines even on a terminal")
	cmd.AddCommand(buildCommand(&s), upCommand(&s), downCommand(&s), statusCommand(&s), scenarioCommand(&s), runCommand(&s), superviseCommand(&s))
	return cmd
}

// options are the cluster's options as the flags say.
func (s *settings) options() devcluster.Options {
	return devcluster.Options{Name: s.name, Nodes: s.nodes, SourceDir: s.source, Progress: s.progress()}
}

// progress writes to standard error, so that standard output holds results.
func (s *settings) progress() func(devcluster.Progress) {
	return devcluster.ProgressPrinter(os.Stderr, terminal() && !s.plain)
}

// terminal says whether standard error is one that rewrites its line.
func terminal() bool {
	info, err := os.Stderr.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

func (s *settings) addNodes(cmd *cobra.Command) {
	cmd.Flags().IntVar(&s.nodes, "nodes", 5, "how `many` simulated nodes, 1 to 1000")
}

func buildCommand(s *settings) *cobra.Command {
	var optimized bool
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the control plane into the cache, if it is not there, and print its path",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := devcluster.Build(cmd.Context(), devcluster.BuildOptions{SourceDir: s.source, Optimized: optimized, Progress: s.progress()})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), path)
			return err
		},
	}
	cmd.Flags().BoolVar(&optimized, "optimized", false, "as it ships, for benchmarks; takes half as long again")
	return cmd
}
