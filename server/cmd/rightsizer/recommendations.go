package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

type recommendationsOptions struct {
	connectFlags
	scopeFlag

	namespaces  []string
	workloads   []string
	orderBy     string
	due         bool
	explain     bool
	savings     bool
	allowedOnly bool
	output      string
}

func newRecommendations() *cobra.Command {
	o := &recommendationsOptions{}
	cmd := &cobra.Command{
		Use: "recommendations", Short: "List what sizes containers should have, and why", Args: noArgs,
		Long: "List the sizes that the operator recommends for the containers of workloads, with what they risk and save.\n" +
			"--explain adds the formula with its numbers; --savings lists costs instead: of the workloads that save most, by namespace, in all. -o json and yaml\n" +
			"have every field.",
		Example: "  rightsizer recommendations --order-by=savings\n" +
			"  rightsizer recommendations -n shop --workload=Deployment/web --explain\n" +
			"  rightsizer recommendations --savings",
	}
	f := cmd.Flags()
	f.StringSliceVarP(&o.namespaces, "namespace", "n", nil, "only in these namespaces")
	f.StringSliceVar(&o.workloads, "workload", nil, "only these workloads, as name or Kind/name")
	f.StringVar(&o.orderBy, "order-by", "name", "order: name, savings, oom_risk, memory_change or cpu_change")
	f.BoolVar(&o.due, "due", false, "only where a change is due")
	f.BoolVar(&o.explain, "explain", false, "show the formula with its numbers; with -o table")
	f.BoolVar(&o.savings, "savings", false, "show costs now and as recommended, by workload and namespace")
	f.BoolVar(&o.allowedOnly, "allowed-only", false, "show what I may read instead of refusing me")
	o.connectFlags.add(cmd)
	o.scopeFlag.add(cmd)
	completeNamespaces(cmd, &o.connectFlags)
	addForm(cmd, &o.output)
	completeValues(cmd, "order-by", "name", "savings", "oom_risk", "memory_change", "cpu_change")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }
	return cmd
}

func (o *recommendationsOptions) run(cmd *cobra.Command) error {
	if err := checkForm(o.output); err != nil {
		return usageError{err}
	}
	if o.savings && (o.due || o.explain || len(o.workloads) > 0) {
		return usageError{errors.New("--savings: goes with --namespace alone, not with --due, --explain or --workload")}
	}
	to, err := o.connect(cmd)
	if err != nil {
		return err
	}
	defer to.close()
	if o.namespaces, err = o.scopeFlag.namespaces(o.namespaces, to); err != nil {
		return err
	}
	service := rightsizerv1connect.NewWorkloadServiceClient(to.client, to.url)
	if o.savings {
		return o.printSavings(cmd, service)
	}
	all, err := o.list(cmd.Context(), service)
	if err != nil {
		return explain(err)
	}
	if o.output != "table" {
		return writeMessages(cmd.OutOrStdout(), o.output, all...)
	}
	if len(all) == 0 {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "no recommendation fits")
		return nil
	}
	columns := []string{"NAMESPACE", "WORKLOAD", "CONTAINER", "CPU", "MEMORY", "OOM RISK/DAY", "$/MONTH", "CONFIDENCE", "DUE", "BOUND BY"}
	if o.explain {
		columns = append(columns, "WHY")
	}
	return writeTable(cmd.OutOrStdout(), columns, o.rows(all))
}

func (o *recommendationsOptions) list(ctx context.Context, service rightsizerv1connect.WorkloadServiceClient) ([]*rightsizerv1.Recommendation, error) {
	req := &rightsizerv1.ListRecommendationsRequest{
		Namespaces: o.namespaces, Workloads: o.workloads, OrderBy: o.orderBy, ChangeDue: o.due, AllowedOnly: o.allowedOnly, PageSize: 1000,
	}
	var all []*rightsizerv1.Recommendation
	for {
		page, err := recommendationsPage(ctx, service, req)
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetRecommendations()...)
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return all, nil
		}
	}
}

func recommendationsPage(ctx context.Context, service rightsizerv1connect.WorkloadServiceClient, req *rightsizerv1.ListRecommendationsRequest) (*rightsizerv1.ListRecommendationsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	return service.ListRecommendations(ctx, req) //nolint:wrapcheck // explain words it
}

func (o *recommendationsOptions) rows(all []*rightsizerv1.Recommendation) [][]string {
	rows := make([][]string, len(all))
	for i, r := range all {
		now, then := r.GetCurrentRequests(), r.GetTargetRequests()
		cpu, memory := fromTo(now.GetCpuMillis(), then.GetCpuMillis(), millicores), fromTo(now.GetMemoryBytes(), then.GetMemoryBytes(), mebibytes)
		if then == nil {
			cpu, memory = millicores(now.GetCpuMillis()), mebibytes(now.GetMemoryBytes())
		}
		rows[i] = []string{
			r.GetNamespace(), r.GetWorkload().GetKind() + "/" + r.GetWorkload().GetName(), r.GetContainer(), cpu, memory,
			strconv.FormatFloat(100*r.GetOomRisk(), 'f', 1, 64) + "%", dollars(r.GetMonthlyCostDelta()),
			strconv.FormatFloat(r.GetConfidence(), 'f', 2, 64), dueOf(r), firstOf(r.GetBoundBy()),
		}
		if o.explain {
			rows[i] = append(rows[i], r.GetExplanation())
		}
	}
	return rows
}

func fromTo(now, then int64, show func(int64) string) string { return show(now) + " → " + show(then) }

func millicores(n int64) string {
	if n == 0 {
		return "none"
	}
	return strconv.FormatInt(n, 10) + "m"
}

func mebibytes(n int64) string {
	if n == 0 {
		return "none"
	}
	return strconv.FormatInt((n+(1<<20)-1)>>20, 10) + "Mi"
}

func dollars(x float64) string { return fmt.Sprintf("%+.2f", x) }

func dueOf(r *rightsizerv1.Recommendation) string {
	switch cpu, memory := r.GetCpuChangeDue(), r.GetMemoryChangeDue(); {
	case cpu && memory:
		return "cpu, memory"
	case cpu:
		return "cpu"
	case memory:
		return "memory"
	}
	return ""
}

func firstOf(texts []string) string {
	switch len(texts) {
	case 0:
		return ""
	case 1:
		return texts[0]
	}
	return fmt.Sprintf("%s and %d more", texts[0], len(texts)-1)
}

func (o *recommendationsOptions) printSavings(cmd *cobra.Command, service rightsizerv1connect.WorkloadServiceClient) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), listTimeout)
	defer cancel()
	found, err := service.GetSavings(ctx, &rightsizerv1.GetSavingsRequest{Namespaces: o.namespaces, AllowedOnly: o.allowedOnly, PageSize: topSavings})
	if err != nil {
		return explain(err)
	}
	if o.output != "table" {
		return writeMessages(cmd.OutOrStdout(), o.output, found)
	}
	var rows [][]string
	for _, s := range slices.Concat(found.GetWorkloads(), found.GetNamespaces(), []*rightsizerv1.Savings{found.GetTotal()}) {
		now, then := s.GetCurrentMonthlyCost(), s.GetRecommendedMonthlyCost()
		rows = append(rows, []string{s.GetScope(), fmt.Sprintf("%.2f", now), fmt.Sprintf("%.2f", then), fmt.Sprintf("%.2f", now-then), s.GetPriceSource()})
	}
	if err := writeTable(cmd.OutOrStdout(), []string{"SCOPE", "$/MONTH NOW", "RECOMMENDED", "SAVES", "PRICES"}, rows); err != nil {
		return err
	}
	if rest := int(found.GetTotalSize()) - len(found.GetWorkloads()); rest > 0 {
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "%d workloads save less and are not listed; -n NAMESPACE lists those of one\n", rest)
	}
	return err
}

// topSavings is how many workloads are listed by what they save.
const topSavings = 20
