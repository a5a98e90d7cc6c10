package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rightsizer/rightsizer/server/app"
)

type recordOptions struct {
	cluster  kubeFlags
	source   string
	duration time.Duration
	maxMi    int
	force    bool
}

func newRecord() *cobra.Command {
	o := &recordOptions{}
	cmd := &cobra.Command{
		Use: "record FILE", Short: "Record what the operator reads of a cluster, for replay", Args: oneFile,
		Long: "Write everything that the operator would read of a cluster into a file, until --duration is over or Ctrl-C.\n" +
			"It reads only, with the operator's rights. A name that ends in .gz is compressed; - writes standard output.\n\n" +
			"Values of environment variables, commands, arguments, most annotations and all that Secrets and ConfigMaps\n" +
			"hold are left out. Names, labels, images and messages are not: read a recording before you pass it on.",
		Example: "  rightsizer record incident.jsonl.gz --duration=10m --context=production\n  rightsizer replay incident.jsonl.gz",
	}
	f := cmd.Flags()
	o.cluster.add(cmd)
	f.DurationVar(&o.duration, "duration", 0, "how long to record; 0 is until Ctrl-C")
	f.StringVar(&o.source, "source", "", "what is recorded, in words")
	f.IntVar(&o.maxMi, "max-mi", 256, "most that is recorded, in MiB before compression")
	f.BoolVar(&o.force, "force", false, "replace a file that is there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) }
	return cmd
}

func (o *recordOptions) run(cmd *cobra.Command, name string) (err error) {
	switch {
	case o.duration < 0:
		return usageError{fmt.Errorf("--duration is %s, wants 0 or more", o.duration)}
	case o.maxMi < 1:
		return usageError{fmt.Errorf("--max-mi is %d, wants 1 or more", o.maxMi)}
	}
	out, err := o.create(cmd, name)
	if err != nil {
		return err
	}
	kube, err := o.cluster.rest()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	ctx := cmd.Context()
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	notes := &notes{out: cmd.ErrOrStderr()}
	lines, full, err := app.Record(ctx, kube, app.RecordOptions{
		Source:   o.source,
		MaxBytes: int64(o.maxMi) << 20, Gzip: strings.HasSuffix(name, ".gz"),
		Logger: slog.New(slog.NewTextHandler(notes.out, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}, out)
	if err != nil {
		return misconfigured(err)
	}
	if full {
		notes.say("stopped at --max-mi=%d", o.maxMi)
	}
	notes.say("%d lines recorded", lines)
	return nil
}

// create returns the file. It is made, or replaced, with the first line: where
// no cluster is found, nothing is lost.
func (o *recordOptions) create(cmd *cobra.Command, name string) (io.WriteCloser, error) {
	if name == "-" {
		return &lazyFile{open: func() (io.WriteCloser, error) { return stdout{cmd.OutOrStdout()}, nil }}, nil
	}
	if _, err := os.Lstat(name); err == nil && !o.force {
		return nil, usageError{fmt.Errorf("%s is there already; --force replaces it", name)}
	}
	how := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if o.force {
		how = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	return &lazyFile{open: func() (io.WriteCloser, error) {
		// For its owner alone: a recording names everything that runs in a cluster.
		return os.OpenFile(name, how, 0o600)
	}}, nil
}

// lazyFile opens a file with the first byte.
type lazyFile struct {
	open func() (io.WriteCloser, error)
	file io.WriteCloser
}

// Write implements io.Writer.
func (f *lazyFile) Write(b []byte) (int, error) {
	if f.file == nil {
		file, err := f.open()
		if err != nil {
			return 0, err
		}
		f.file = file
	}
	return f.file.Write(b) //nolint:wrapcheck // the file's own words
}

// Close implements io.Closer.
func (f *lazyFile) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close() //nolint:wrapcheck // the file's own words
}

type stdout struct{ io.Writer }

func (stdout) Close() error { return nil }
