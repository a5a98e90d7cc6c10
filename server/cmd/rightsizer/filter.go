package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/codec"
)

// filterFlags choose events: conditions of one kind are joined by OR, of
// different kinds by AND.
type filterFlags struct {
	types       []string
	namespaces  []string
	severities  []string
	minSeverity string
	workloads   []string
	nodes       []string
	tags        []string
}

func (o *filterFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&o.types, "type", nil, "only these types, such as pod.oom_killed or pod.*")
	f.StringSliceVarP(&o.namespaces, "namespace", "n", nil, "only in these namespaces")
	f.StringSliceVar(&o.severities, "severity", nil, "only these severities: info, warning, error, critical")
	f.StringVar(&o.minSeverity, "min-severity", "", "only this severity and worse")
	f.StringSliceVar(&o.workloads, "workload", nil, "only these workloads, as name or Kind/name")
	f.StringSliceVar(&o.nodes, "node", nil, "only on these nodes")
	f.StringArrayVar(&o.tags, "tag", nil, "only with this tag, as key=value; all that are given must fit")
	for _, flag := range []string{"severity", "min-severity"} {
		completeValues(cmd, flag, "info", "warning", "error", "critical")
	}
}

// completeValues lets shells complete a flag.
func completeValues(cmd *cobra.Command, flag string, values ...string) {
	// It fails only for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// filter reads the conditions; whoever applies it judges what only it knows.
func (o *filterFlags) filter() (*rightsizerv1.EventFilter, error) {
	f := &rightsizerv1.EventFilter{
		EventTypes: o.types, Namespaces: o.namespaces, Workloads: o.workloads, Nodes: o.nodes,
	}
	var errs []error
	for _, text := range o.severities {
		severity, err := codec.ParseSeverity(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("--severity: %w", err))
		}
		f.Severities = append(f.Severities, severity)
	}
	if o.minSeverity != "" {
		severity, err := codec.ParseSeverity(o.minSeverity)
		if err != nil {
			errs = append(errs, fmt.Errorf("--min-severity: %w", err))
		}
		f.MinSeverity = severity
	}
	for _, pair := range o.tags {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			errs = append(errs, fmt.Errorf("--tag: wants key=value, not %s", codec.Quote(pair)))
			continue
		}
		if f.Tags == nil {
			f.Tags = map[string]string{}
		}
		f.Tags[key] = value
	}
	return f, errors.Join(errs...)
}
