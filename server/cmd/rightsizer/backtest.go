package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/watcher/recommend"
	"github.com/rightsizer/rightsizer/watcher/recommend/backtest"
)

type backtestOptions struct {
	input      string
	warmup     int
	scoreFrom  int
	multiplier float64
	output     string
}

func newBacktest() *cobra.Command {
	o := &backtestOptions{}
	cmd := &cobra.Command{
		Use: "backtest --input FILE", Short: "Show what the recommender would have done to your cluster", Args: noArgs,
		Long: "Walk forward over recorded usage with the code that serves recommendations: every hour it sizes each\n" +
			"series from what was before, and it never sees what comes, nor memory above its own limit. Counted are\n" +
			"OOM kills, memory and CPU held in vain, CPU that was missing, and changes.\n\n" +
			"The input is CSV, compressed by gzip or not, - for standard input:\n\n" +
			"  " + backtest.Header + "\n" +
			"  shop/web/app,cpu_mcores,300,,120 130.5  118\n" +
			"  shop/web/app,mem_mib,300,,512 520  530\n\n" +
			"Values are separated by spaces; an empty one is no sample. `rightsizer backtest convert` makes it from\n" +
			"range exports of Prometheus.",
		Example: "  rightsizer backtest --input usage.csv.gz\n" +
			"  rightsizer backtest --input usage.csv --warmup 288 --score-from 2016 --multiplier 1.1 -o json",
	}
	f := cmd.Flags()
	f.StringVar(&o.input, "input", "", "file of usage")
	f.IntVar(&o.warmup, "warmup", -1, "step at which the first size is set (default: after a day, at most a quarter of the longest series)")
	f.IntVar(&o.scoreFrom, "score-from", -1, "first step that counts (default: after a week, at most half of the longest series)")
	f.Float64Var(&o.multiplier, "multiplier", 1, "multiplies the memory target, to trade OOM kills for memory")
	addForm(cmd, &o.output)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }
	cmd.AddCommand(newConvert())
	return cmd
}

func (o *backtestOptions) run(cmd *cobra.Command) error {
	switch {
	case o.input == "":
		return usageError{errors.New("--input: wants a file, or - for standard input")}
	case !(o.multiplier > 0 && o.multiplier <= 100):
		return usageError{fmt.Errorf("--multiplier: wants a number above 0, at most 100, not %v", o.multiplier)}
	case o.output != "table" && o.output != "json" && o.output != "yaml":
		return usageError{fmt.Errorf("--output: wants table, json or yaml, not %s", codec.Quote(o.output))}
	}
	source, err := openInput(cmd, o.input)
	if err != nil {
		return usageError{err}
	}
	defer func() { _ = source.Close() }()
	series, err := backtest.Read(source)
	if err != nil {
		return fmt.Errorf("%s: %w", o.input, err)
	}
	options := o.options(series)
	if err := options.Check(); err != nil {
		return usageError{fmt.Errorf("--warmup, --score-from: %w", err)}
	}
	progress := newProgress(cmd.ErrOrStderr())
	options.Progress = progress.tell
	settings := recommend.DefaultSettings()
	settings.Memory.Multiplier = o.multiplier
	tallies, err := backtest.Run(cmd.Context(), series, options, backtest.Product(settings))
	if err != nil {
		return fmt.Errorf("backtest: %w", err)
	}
	var total backtest.Tally
	for i := range tallies {
		total.Add(&tallies[i])
	}
	if total.Days == 0 {
		return fmt.Errorf("backtest: no sample from step %d on: a smaller --score-from leaves some", options.ScoreFrom)
	}
	return printFigures(cmd.OutOrStdout(), o.output, total.Figures())
}

// options fills in what was not given, by the length of the longest series.
func (o *backtestOptions) options(series []*backtest.Series) backtest.Options {
	longest, day := 0, 0
	for _, s := range series {
		if n := max(len(s.CPU), len(s.Memory)); n > longest {
			longest, day = n, int(24*time.Hour/time.Second/time.Duration(s.StepSeconds))
		}
	}
	out := backtest.Options{Warmup: o.warmup, ScoreFrom: o.scoreFrom}
	if out.Warmup < 0 {
		out.Warmup = min(day, longest/4)
		if out.ScoreFrom >= 0 {
			out.Warmup = min(out.Warmup, out.ScoreFrom)
		}
	}
	if out.ScoreFrom < 0 {
		out.ScoreFrom = max(min(7*day, longest/2), out.Warmup)
	}
	return out
}

func openInput(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(name) //nolint:wrapcheck // names the file
}

func printFigures(w io.Writer, form string, f backtest.Figures) error {
	raw, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	switch form {
	case "json":
		_, err = fmt.Fprintln(w, string(raw))
		return err //nolint:wrapcheck // nothing to add
	case "yaml":
		text, err := yaml.JSONToYAML(raw)
		if err == nil {
			_, err = w.Write(text)
		}
		return err //nolint:wrapcheck // nothing to add
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range []struct {
		name, unit string
		value      float64
		digits     int
	}{
		{"series", "", float64(f.Series), 0},
		{"container-days scored", "", f.ContainerDays, 0},
		{"OOM kills", "in 1,000 container-days", f.OOMPer1000ContainerDays, 1},
		{"days with an OOM kill", "%", f.OOMDayPercent, 2},
		{"memory slack", "% of the limit", f.MemorySlackPercent, 1},
		{"memory limit", "times what is used", f.MemoryLimitToUsage, 3},
		{"CPU under-provisioned", "% of the samples", f.CPUUnderPercent, 2},
		{"CPU deficit", "% of what is used", f.CPUDeficitPercent, 2},
		{"CPU slack", "% of the request", f.CPUSlackPercent, 1},
		{"changes", "a container-day", f.ChangesPerContainerDay, 2},
		{"of these memory resizes", "a container-day", f.MemoryResizesPerContainerDay, 2},
	} {
		_, _ = fmt.Fprintf(t, "%s\t%.*f\t%s\n", row.name, row.digits, row.value, row.unit)
	}
	return t.Flush() //nolint:wrapcheck // nothing to add
}

// progress says on stderr how far a long run is, once a second.
type progress struct {
	mu   sync.Mutex
	out  io.Writer
	next time.Time
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, next: time.Now().Add(time.Second)}
}

func (p *progress) tell(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); !now.Before(p.next) || done == total {
		p.next = now.Add(time.Second)
		_, _ = fmt.Fprintf(p.out, "rightsizer: %d of %d series\n", done, total)
	}
}

type convertOptions struct {
	cpu, memory string
	step        time.Duration
}

func newConvert() *cobra.Command {
	o := &convertOptions{}
	cmd := &cobra.Command{
		Use: "convert --cpu FILE --memory FILE", Short: "Make the input of backtest from range exports of Prometheus", Args: noArgs,
		Long: "Make the input of backtest, on standard output, from the answers of Prometheus to two range queries\n" +
			"(GET /api/v1/query_range). CPU in cores, memory in bytes, for example:\n\n" +
			"  max by (namespace, pod, container) (sum without (cpu, id, image, name) (rate(container_cpu_usage_seconds_total{container!=\"\"}[5m])))\n" +
			"  max by (namespace, pod, container) (max_over_time(container_memory_working_set_bytes{container!=\"\"}[5m]))\n\n" +
			"Export one namespace at a time from a busy Prometheus, with a step of 5m: memory is the highest of each step,\n" +
			"for an instant of every step misses the peaks that kill.",
		Example: "  rightsizer backtest convert --cpu cpu.json --memory memory.json | rightsizer backtest --input -",
	}
	f := cmd.Flags()
	f.StringVar(&o.cpu, "cpu", "", "export of CPU, in cores")
	f.StringVar(&o.memory, "memory", "", "export of memory, in bytes")
	f.DurationVar(&o.step, "step", 5*time.Minute, "width of the grid")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }
	return cmd
}

func (o *convertOptions) run(cmd *cobra.Command) error {
	if o.cpu == "" && o.memory == "" {
		return usageError{errors.New("--cpu, --memory: wants at least one export")}
	}
	cpu, err := readExport(cmd, o.cpu)
	if err != nil {
		return fmt.Errorf("--cpu: %w", err)
	}
	memory, err := readExport(cmd, o.memory)
	if err != nil {
		return fmt.Errorf("--memory: %w", err)
	}
	series, err := backtest.Convert(cpu, memory, int64(o.step/time.Second))
	if err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	return backtest.Write(cmd.OutOrStdout(), series) //nolint:wrapcheck // nothing to add
}

func readExport(cmd *cobra.Command, name string) (backtest.Export, error) {
	if name == "" {
		return backtest.Export{}, nil
	}
	source, err := openInput(cmd, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = source.Close() }()
	out, err := backtest.ReadExport(source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}
