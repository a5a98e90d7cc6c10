package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rightsizer/rightsizer/server/app"
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/server/text"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the operator: watch the cluster and serve the API", Args: noArgs,
	}
	flags := config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		in, loaded, err := begin(flags, os.DirFS("/"))
		if err != nil {
			return err
		}
		level := new(slog.LevelVar)
		level.Set(loaded.Config.Level())
		logger := newLogger(cmd.ErrOrStderr(), loaded.Config, level)
		setClientGoLogger(logger.With(slog.String("component", "client-go")))
		for _, warning := range loaded.Warnings {
			logger.WarnContext(cmd.Context(), "the configuration looks mistyped", slog.String("warning", warning))
		}
		logger.InfoContext(cmd.Context(), "starting", slog.String("version", version))
		operator, err := app.New(loaded.Config, app.Options{Logger: logger, Version: version, Source: loaded.Source, File: loaded.File, Input: in, SetLogLevel: level.Set})
		if err != nil {
			return misconfigured(fmt.Errorf("start: %w", err))
		}
		if err := operator.Run(cmd.Context()); err != nil {
			return misconfigured(fmt.Errorf("serve: %w", err))
		}
		logger.InfoContext(cmd.Context(), "stopped")
		return nil
	}
	return cmd
}

// misconfigured gives an error about a setting's value, which only using it
// showed, the exit code of the other mistakes in the configuration.
func misconfigured(err error) error {
	if wrong, ok := errors.AsType[config.SettingError](err); ok {
		return usageError{wrong}
	}
	return err
}

// begin loads the configuration and has the runtime keep within the memory limit: the
// one that was given, from which defaults derive, too. root is the root of the file
// system.
func begin(flags *config.Flags, root fs.FS) (config.Input, config.Result, error) {
	in := input(flags, root) // before keepSmall sets a limit of its own
	keepSmall(os.LookupEnv, in.MemoryLimit)
	loaded, err := load(in)
	return in, loaded, err
}

func input(flags *config.Flags, root fs.FS) config.Input {
	return config.Input{Flags: flags.Given(), Environ: os.Environ(), MemoryLimit: config.MemoryLimit(root)}
}

// load puts the configuration together; a mistake in it is wrong usage.
func load(in config.Input) (config.Result, error) {
	loaded, err := config.Load(in)
	if err != nil {
		return loaded, usageError{err}
	}
	return loaded, nil
}

// newLogger logs for people on a terminal, as JSON anywhere else, unless told
// otherwise.
func newLogger(w io.Writer, cfg config.Config, level slog.Leveler) *slog.Logger {
	terminal := isTerminal(w)
	if cfg.LogFormat == "json" || cfg.LogFormat == "auto" && !terminal {
		return slog.New(quieter{slog.NewJSONHandler(text.JSONWriter(w), &slog.HandlerOptions{Level: level})})
	}
	return slog.New(quieter{tint.NewTextHandler(w, &tint.Options{
		Level: level, TimeFormat: time.TimeOnly, NoColor: !wantsColour(w),
	})})
}

// quieter drops what client-go says below info, whoever's logger it was given:
// its verbosities, of which klog makes the levels DEBUG+3 and down, are for its
// developers. What it says above that keeps its own keys in a group, so that those of
// the operator's lines are stable.
type quieter struct{ slog.Handler }

// Handle implements slog.Handler.
func (h quieter) Handle(ctx context.Context, r slog.Record) error {
	if isClientGo(r.PC) {
		if r.Level < slog.LevelInfo {
			return nil
		}
		r = grouped(r)
	}
	return h.Handler.Handle(ctx, r) //nolint:wrapcheck // a transparent wrapper
}

func isClientGo(pc uintptr) bool {
	if pc == 0 {
		return false
	}
	caller, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	return strings.HasPrefix(caller.Function, "k8s.io/")
}

// grouped is a record of client-go with all that it has in one group.
func grouped(r slog.Record) slog.Record {
	var attrs []slog.Attr
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	if len(attrs) > 0 {
		out.AddAttrs(slog.GroupAttrs("client_go", attrs...))
	}
	return out
}

// WithAttrs implements slog.Handler.
func (h quieter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quieter{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h quieter) WithGroup(name string) slog.Handler { return quieter{h.Handler.WithGroup(name)} }

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// wantsColour follows https://no-color.org.
func wantsColour(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == ""
}
