package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/klog/v2"

	"github.com/rightsizer/rightsizer/server/app"
	"github.com/rightsizer/rightsizer/server/config"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the operator: watch the cluster and serve the API", Args: noArgs,
	}
	flags := config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := load(flags)
		if err != nil {
			return err
		}
		logger := newLogger(cmd.ErrOrStderr(), loaded.Config)
		klog.SetSlogLogger(slog.New(fromInfo{logger.With(slog.String("component", "client-go")).Handler()}))
		for _, warning := range loaded.Warnings {
			logger.WarnContext(cmd.Context(), "the configuration looks mistyped", slog.String("warning", warning))
		}
		logger.InfoContext(cmd.Context(), "starting", slog.String("version", version))
		operator, err := app.New(loaded.Config, app.Options{Logger: logger, Version: version})
		if err != nil {
			return fmt.Errorf("start: %w", err)
		}
		if err := operator.Run(cmd.Context()); err != nil {
			return fmt.Errorf("serve: %w", err)
		}
		logger.InfoContext(cmd.Context(), "stopped")
		return nil
	}
	return cmd
}

// load puts the configuration together; a mistake in it is wrong usage.
func load(flags *config.Flags) (config.Result, error) {
	loaded, err := config.Load(config.Input{Flags: flags.Given(), Environ: os.Environ()})
	if err != nil {
		return loaded, usageError{err}
	}
	return loaded, nil
}

// newLogger logs for people on a terminal, as JSON anywhere else, unless told
// otherwise.
func newLogger(w io.Writer, cfg config.Config) *slog.Logger {
	terminal := isTerminal(w)
	if cfg.LogFormat == "json" || cfg.LogFormat == "auto" && !terminal {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: cfg.Level()}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{
		Level: cfg.Level(), TimeFormat: time.TimeOnly, NoColor: !wantsColour(w),
	}))
}

// fromInfo drops the levels below info: client-go's are for its developers.
type fromInfo struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h fromInfo) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h fromInfo) WithAttrs(attrs []slog.Attr) slog.Handler {
	return fromInfo{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h fromInfo) WithGroup(name string) slog.Handler { return fromInfo{h.Handler.WithGroup(name)} }

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// wantsColour follows https://no-color.org.
func wantsColour(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == ""
}

func newConfig() *cobra.Command {
	parent := &cobra.Command{
		Use: "config", Short: "Check or print the configuration of the operator",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("config wants a verb: check or print")}
		},
	}
	check := &cobra.Command{Use: "check", Short: "Say everything that is wrong with the configuration", Args: noArgs}
	checkFlags := config.AddFlags(check.Flags())
	check.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := load(checkFlags)
		if err != nil {
			return err
		}
		for _, warning := range loaded.Warnings {
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "rightsizer: warning: "+escape(warning))
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "the configuration is good")
		return err //nolint:wrapcheck // nothing to add
	}
	show := &cobra.Command{Use: "print", Short: "Print the configuration in force as a file, with the place of each value", Args: noArgs}
	showFlags := config.AddFlags(show.Flags())
	show.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := load(showFlags)
		if err != nil {
			return err
		}
		return config.Print(cmd.OutOrStdout(), loaded)
	}
	parent.AddCommand(check, show)
	return parent
}
