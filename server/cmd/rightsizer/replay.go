package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/app"
	"github.com/rightsizer/rightsizer/server/text"
)

// maxToldLines bounds the lines of a recording that are told one by one.
const maxToldLines = 20

type replayOptions struct {
	filterFlags

	output string
}

func newReplay() *cobra.Command {
	o := &replayOptions{}
	cmd := &cobra.Command{
		Use: "replay FILE", Short: "Show the events that a recording gives", Args: oneFile,
		Long: "Play a recording (see rightsizer record) through the detectors of this version and show the events that\n" +
			"they give, with the times and ids of then. No cluster and no operator are needed; - reads standard input.\n\n" +
			"A line that cannot be read is named on stderr and left out, everything else is played; the exit code is 1 then.",
		Example: "  rightsizer replay incident.jsonl.gz\n  rightsizer replay incident.jsonl.gz --min-severity=error -o json",
	}
	o.add(cmd)
	addForm(cmd, &o.output)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) }
	return cmd
}

func (o *replayOptions) run(cmd *cobra.Command, name string) error {
	filter, err := o.filter()
	if err != nil {
		return usageError{err}
	}
	out, err := newPrinter(o.output, cmd.OutOrStdout(), false)
	if err != nil {
		return usageError{err}
	}
	source, name, err := openRecording(cmd, name)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	notes := &notes{out: cmd.ErrOrStderr()}
	shown := 0
	played, err := app.Replay(cmd.Context(), app.ReplayOptions{
		Name: name, Source: source, Filter: filter,
		Logger: slog.New(slog.NewTextHandler(notes.out, &slog.HandlerOptions{Level: slog.LevelError})),
		Yield: func(m *rightsizerv1.StreamEventsResponse) error {
			shown++
			if r := m.GetResync(); r != nil && o.output == "table" {
				notes.say("%s: %s", r.GetScope(), r.GetReason())
			}
			return out.print(m)
		},
		Told: notes.wrong,
	})
	if flushErr := out.flush(); err == nil {
		err = flushErr
	}
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if shown == 0 && o.output == "table" {
		notes.say("no event fits; the recording has %d lines over %s: %s", played.Lines, played.To.Sub(played.From).Round(time.Second), played.Source)
	}
	if played.Wrong > 0 {
		return fmt.Errorf("replay: %d of %d lines could not be read as they are", played.Wrong, played.Lines)
	}
	return nil
}

// notes says on stderr what is not output.
type notes struct {
	out  io.Writer
	told int
}

func (n *notes) say(format string, args ...any) {
	// There is nowhere left to say that stderr is broken.
	_, _ = fmt.Fprintln(n.out, "rightsizer: "+text.Escape(fmt.Sprintf(format, args...)))
}

func (n *notes) wrong(err error) {
	switch n.told++; {
	case n.told <= maxToldLines:
		n.say("%v", err)
	case n.told == maxToldLines+1:
		n.say("more lines like these are counted only")
	}
}

// oneFile is cobra.ExactArgs(1) with the exit code of wrong usage.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("%s takes one file, not %d", cmd.CommandPath(), len(args))}
	}
	return nil
}

func openRecording(cmd *cobra.Command, name string) (io.ReadCloser, string, error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), "standard input", nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, "", fmt.Errorf("replay: %w", err)
	}
	return file, name, nil
}
