package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// listTimeout bounds one page of a list.
const listTimeout = 30 * time.Second

type eventsOptions struct {
	filterFlags
	connectFlags
	scopeFlag

	follow      bool
	after       string
	allowedOnly bool

	output string
}

func newEvents() *cobra.Command {
	o := &eventsOptions{}
	cmd := &cobra.Command{
		Use: "events", Short: "List the events that are held, or follow them", Args: noArgs,
		Long: "List the events that the operator holds, oldest first, or follow them with -f.\n\n" +
			"With -f what is wrong now comes first, then what happens. A lost connection is made again from the\n" +
			"last position; events that were lost meanwhile are counted on stderr. Conditions of one kind are\n" +
			"joined by OR, of different kinds by AND.\n\n" +
			"-o json writes one message a line, as the stream sends it: {\"event\":{…},\"position\":\"…\"}.",
		Example: "  rightsizer events --min-severity=error\n  rightsizer events -f --type='pod.*' --namespace=production\n" +
			"  rightsizer events -f -o json | jq -r 'select(.event) | .event.message'",
	}
	f := cmd.Flags()
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with events as they happen")
	o.filterFlags.add(cmd)
	f.StringVar(&o.after, "after", "", "go on after this position of an earlier message; with -f")
	f.BoolVar(&o.allowedOnly, "allowed-only", false, "show what I may read instead of refusing me")
	o.connectFlags.add(cmd)
	o.scopeFlag.add(cmd)
	completeNamespaces(cmd, &o.connectFlags)
	addForm(cmd, &o.output)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }
	return cmd
}

func (o *eventsOptions) run(cmd *cobra.Command) error {
	filter, err := o.filter()
	if err != nil {
		return usageError{err}
	}
	filter.AllowedOnly = o.allowedOnly
	if o.after != "" && !o.follow {
		return usageError{errors.New("--after goes with -f")}
	}
	out, err := newPrinter(o.output, cmd.OutOrStdout(), o.follow)
	if err != nil {
		return usageError{err}
	}
	to, err := o.connect(cmd)
	if err != nil {
		return err
	}
	defer to.close()
	if filter.Namespaces, err = o.scopeFlag.namespaces(filter.GetNamespaces(), to); err != nil {
		return err
	}
	client := rightsizerv1connect.NewEventServiceClient(to.client, to.url)
	if o.follow {
		f := &follower{client: client, filter: filter, after: o.after, out: out, notes: cmd.ErrOrStderr(), wait: pause}
		return f.run(cmd.Context())
	}
	found, err := listEvents(cmd.Context(), client, filter, out)
	if err == nil && found == 0 && o.output == "table" {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "no event is held that fits")
	}
	return err
}

// listEvents prints everything that is held, page by page, and counts it.
func listEvents(ctx context.Context, client rightsizerv1connect.EventServiceClient, filter *rightsizerv1.EventFilter, out *printer) (int, error) {
	req := &rightsizerv1.ListEventsRequest{Filter: filter, OrderBy: "asc", PageSize: 1000}
	found := 0
	for {
		page, err := listPage(ctx, client, req)
		if err != nil {
			return found, explain(err)
		}
		found += len(page.GetEvents())
		for _, event := range page.GetEvents() {
			message := &rightsizerv1.StreamEventsResponse{Message: &rightsizerv1.StreamEventsResponse_Event{Event: event}}
			if err := out.print(message); err != nil {
				return found, err
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return found, out.flush()
		}
	}
}

func listPage(ctx context.Context, client rightsizerv1connect.EventServiceClient, req *rightsizerv1.ListEventsRequest) (*rightsizerv1.ListEventsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	return client.ListEvents(ctx, req) //nolint:wrapcheck // explain words it
}
