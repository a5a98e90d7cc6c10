// Command rightsizer is the operator and its command-line client.
//
// Exit codes: 0 success, 1 failure, 2 wrong usage or configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/rightsizer/rightsizer/server/text"
)

// version is set by the linker: -X main.version=v0.1.0.
var version = "dev"

// Exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
)

// usageError is a mistake in how the program was called.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// setClientGoLogger is where serve sends what client-go logs: klog's logger is the
// process's, and must not be replaced while anything logs, so that only main, which
// runs one command, sets it.
var setClientGoLogger = func(*slog.Logger) {}

func main() {
	setClientGoLogger = klog.SetSlogLogger
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly stop; a second one ends at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program; it returns its exit code.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	name, words := filepath.Base(args[0]), args[1:]
	if name == completerName {
		words = append([]string{cobra.ShellCompRequestCmd}, words...)
	}
	root := newRoot(name)
	root.SetArgs(words)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		_, _ = fmt.Fprintln(errOut, "rightsizer: "+text.Escape(line))
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailure
}

// newRoot builds the commands. Without a verb the program is the operator, so that
// `rightsizer --config=…` serves as well; as a plugin of kubectl it shows its help.
func newRoot(name string) *cobra.Command {
	root, plugin := newServe(), strings.HasPrefix(name, "kubectl-") || name == completerName
	without := "Without a verb it is the operator, like `rightsizer serve`. Installed as kubectl-rightsizer it is a plugin of\n" +
		"kubectl, which reaches the operator through the cluster."
	if plugin {
		root = &cobra.Command{
			Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: pluginName},
			RunE:        func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		}
		without = "It reaches the operator through the cluster that kubectl speaks to."
	}
	root.Use = "rightsizer"
	root.Short = "Watches a Kubernetes cluster and says what goes wrong with resources"
	root.Long = root.Short + ".\n\n" + without + "\nExit codes: 0 success, 1 failure, 2 wrong usage or configuration."
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := fmt.Sprintf("unknown command %q", args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			text += "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return usageError{errors.New(text)}
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newServe(), newEvents(), newRecommendations(), newRemediations(), newAudit(), newReplay(), newRecord(), newBacktest(), newConfig(), newVersion())
	return root
}

const (
	// pluginName is how the program is called as a plugin of kubectl.
	pluginName = "kubectl rightsizer"
	// completerName is the program that kubectl asks how the plugin's words go on.
	completerName = "kubectl_complete-rightsizer"
)

func isPlugin(cmd *cobra.Command) bool {
	return cmd.Root().Annotations[cobra.CommandDisplayNameAnnotation] == pluginName
}

// noArgs is cobra.NoArgs with the exit code of wrong usage.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, not %q", cmd.CommandPath(), args[0])}
	}
	return nil
}

func newVersion() *cobra.Command {
	var form string
	cmd := &cobra.Command{Use: "version", Short: "Print the version", Args: noArgs}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkForm(form); err != nil {
			return usageError{err}
		}
		if form == "table" {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err //nolint:wrapcheck // nothing to add
		}
		return writeValue(cmd.OutOrStdout(), form, struct {
			Version   string `json:"version"`
			GoVersion string `json:"goVersion"`
			Platform  string `json:"platform"`
		}{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH})
	}
	addForm(cmd, &form)
	return cmd
}
