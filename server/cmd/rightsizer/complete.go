package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// completeWithin bounds what a shell waits for. Whoever cannot be asked completes
// nothing, and says nothing: a shell shows what is written here in the line.
const completeWithin = 2 * time.Second

// maxCompleted bounds what is offered.
const maxCompleted = 500

// completeNamespaces offers the namespaces with workloads that the caller may see.
func completeNamespaces(cmd *cobra.Command, o *connectFlags) {
	// It fails only for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("namespace", asking(o, func(ctx context.Context, to *connection, _ []string) ([]string, error) {
		found, err := rightsizerv1connect.NewWorkloadServiceClient(to.client, to.url).ListWorkloads(ctx, &rightsizerv1.ListWorkloadsRequest{AllowedOnly: true, PageSize: 1000})
		if err != nil {
			return nil, err //nolint:wrapcheck // nobody reads it
		}
		names := map[string]bool{}
		for _, w := range found.GetWorkloads() {
			names[w.GetNamespace()] = true
		}
		return slices.Sorted(maps.Keys(names)), nil
	}))
}

// completeRemediations offers the names of repairs in a namespace, those that a verb
// could be about, each with what it is.
func completeRemediations(o *remediationOptions, states ...rightsizerv1.RemediationState) cobra.CompletionFunc {
	return asking(&o.connectFlags, func(ctx context.Context, to *connection, args []string) ([]string, error) {
		namespace := o.namespace
		if namespace == "" {
			namespace = to.namespace
		}
		if namespace == "" || len(args) > 0 {
			return nil, nil
		}
		found, err := rightsizerv1connect.NewRemediationServiceClient(to.client, to.url).ListRemediations(ctx,
			&rightsizerv1.ListRemediationsRequest{Namespaces: []string{namespace}, States: states, PageSize: 1000})
		if err != nil {
			return nil, err //nolint:wrapcheck // nobody reads it
		}
		var names []string
		for _, r := range found.GetRemediations() {
			names = append(names, r.GetName()+"\t"+r.GetWorkload().GetName()+" "+r.GetAction().GetKind()+" "+stateName(r.GetState()))
		}
		return names, nil
	})
}

// asking completes by asking the operator.
func asking(o *connectFlags, ask func(ctx context.Context, to *connection, args []string) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
		defer cancel()
		cmd.SetContext(ctx)
		to, err := o.connect(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer to.close()
		all, err := ask(ctx, to, args)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		fits := slices.DeleteFunc(all, func(name string) bool { return !strings.HasPrefix(name, prefix) })
		return fits[:min(len(fits), maxCompleted)], cobra.ShellCompDirectiveNoFileComp
	}
}
