package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/text"
)

func newRemediations() *cobra.Command {
	parent := &cobra.Command{
		Use: "remediations", Aliases: []string{"remediation", "rem"}, Short: "List and decide repairs", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("remediations wants a verb: list, get, approve, reject, cancel or rollback")}
		},
	}
	parent.AddCommand(newRemediationsList(), newRemediationsGet())
	for _, verb := range verbs {
		parent.AddCommand(newDecide(verb))
	}
	return parent
}

type remediationsOptions struct {
	connectFlags
	scopeFlag

	namespaces  []string
	states      []string
	limit       int
	allowedOnly bool
	output      string
}

func newRemediationsList() *cobra.Command {
	o := &remediationsOptions{}
	cmd := &cobra.Command{
		Use: "list", Short: "List repairs, the latest first", Args: noArgs,
		Long: "List repairs, the latest first: what is to be done, how risky that is, and where it stands.\n" +
			"-o json and yaml have every field.",
		Example: "  rightsizer remediations list --state=pending_approval\n" +
			"  rightsizer remediations list -n production -o json | jq -r .diff",
	}
	f := cmd.Flags()
	f.StringSliceVarP(&o.namespaces, "namespace", "n", nil, "only in these namespaces")
	f.StringSliceVar(&o.states, "state", nil, "only in these states: "+strings.Join(stateNames(), ", "))
	f.IntVar(&o.limit, "limit", 100, "at most this many; 0 is all")
	f.BoolVar(&o.allowedOnly, "allowed-only", false, "show what I may read instead of refusing me")
	o.connectFlags.add(cmd)
	o.scopeFlag.add(cmd)
	completeNamespaces(cmd, &o.connectFlags)
	addForm(cmd, &o.output)
	completeValues(cmd, "state", stateNames()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return o.list(cmd) }
	return cmd
}

const statePrefix, riskPrefix = "REMEDIATION_STATE_", "RISK_LEVEL_"

// stateNames are the states in lower case, in order.
func stateNames() []string {
	var out []string
	for n := int32(1); rightsizerv1.RemediationState_name[n] != ""; n++ {
		out = append(out, stateName(rightsizerv1.RemediationState(n)))
	}
	return out
}

func stateName(s rightsizerv1.RemediationState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), statePrefix))
}

func riskName(r rightsizerv1.RiskLevel) string {
	return strings.ToLower(strings.TrimPrefix(r.String(), riskPrefix))
}

func (o *remediationsOptions) list(cmd *cobra.Command) error {
	req := &rightsizerv1.ListRemediationsRequest{Namespaces: o.namespaces, AllowedOnly: o.allowedOnly, PageSize: 1000}
	errs := []error{checkForm(o.output)}
	if o.limit < 0 {
		errs = append(errs, fmt.Errorf("--limit: wants 0 or more, not %d", o.limit))
	}
	for _, name := range o.states {
		n, ok := rightsizerv1.RemediationState_value[statePrefix+strings.ToUpper(name)]
		if !ok || n == 0 {
			errs = append(errs, fmt.Errorf("--state: wants %s, not %s", strings.Join(stateNames(), ", "), codec.Quote(name)))
			continue
		}
		req.States = append(req.States, rightsizerv1.RemediationState(n))
	}
	if err := errors.Join(errs...); err != nil {
		return usageError{err}
	}
	to, err := o.connect(cmd)
	if err != nil {
		return err
	}
	defer to.close()
	if req.Namespaces, err = o.scopeFlag.namespaces(o.namespaces, to); err != nil {
		return err
	}
	if o.limit > 0 {
		req.PageSize = int32(min(o.limit, 1000))
	}
	found, err := listRemediations(cmd.Context(), rightsizerv1connect.NewRemediationServiceClient(to.client, to.url), req, o.limit)
	if err != nil {
		return explain(err)
	}
	if o.output != "table" {
		return writeMessages(cmd.OutOrStdout(), o.output, found...)
	}
	if len(found) == 0 {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "no remediation fits")
		return nil
	}
	rows := make([][]string, len(found))
	for i, r := range found {
		rows[i] = []string{
			r.GetNamespace(), r.GetName(), r.GetWorkload().GetKind() + "/" + r.GetWorkload().GetName(), r.GetContainer(), r.GetAction().GetKind(),
			riskName(r.GetRisk()), stateName(r.GetState()), age(r), r.GetMessage(),
		}
	}
	return writeTable(cmd.OutOrStdout(), []string{"NAMESPACE", "NAME", "WORKLOAD", "CONTAINER", "ACTION", "RISK", "STATE", "AGE", "MESSAGE"}, rows)
}

func age(r *rightsizerv1.Remediation) string {
	return time.Since(r.GetCreateTime().AsTime()).Round(time.Second).String()
}

// listRemediations reads pages until there are enough; limit 0 is all.
func listRemediations(ctx context.Context, service rightsizerv1connect.RemediationServiceClient, req *rightsizerv1.ListRemediationsRequest, limit int) ([]*rightsizerv1.Remediation, error) {
	var all []*rightsizerv1.Remediation
	for {
		page, err := func() (*rightsizerv1.ListRemediationsResponse, error) {
			ctx, cancel := context.WithTimeout(ctx, listTimeout)
			defer cancel()
			return service.ListRemediations(ctx, req)
		}()
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetRemediations()...)
		if limit > 0 && len(all) >= limit {
			return all[:limit], nil
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return all, nil
		}
	}
}

type remediationOptions struct {
	connectFlags

	namespace string
	reason    string
	etag      string
	output    string
	also      []string // forms of the output besides those that all have
}

// formPatch is the patch that an export hands out.
const formPatch = "patch"

func (o *remediationOptions) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.namespace, "namespace", "n", "", "namespace of the remediation; through a cluster the kubeconfig's own unless set")
	o.connectFlags.add(cmd)
	completeNamespaces(cmd, &o.connectFlags)
	addForm(cmd, &o.output, o.also...)
}

// about is one call about one remediation.
func (o *remediationOptions) about(cmd *cobra.Command, name string, call func(ctx context.Context, s rightsizerv1connect.RemediationServiceClient, namespace, name string) (*rightsizerv1.Remediation, error)) error {
	if err := checkForm(o.output, o.also...); err != nil {
		return usageError{err}
	}
	to, err := o.connect(cmd)
	if err != nil {
		return err
	}
	defer to.close()
	if o.namespace == "" {
		o.namespace = to.namespace
	}
	if o.namespace == "" {
		return usageError{errors.New("--namespace: must be set: a remediation is in the namespace of its workload")}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), listTimeout)
	defer cancel()
	found, err := call(ctx, rightsizerv1connect.NewRemediationServiceClient(to.client, to.url), o.namespace, name)
	if err != nil {
		return explain(err)
	}
	return o.show(cmd.OutOrStdout(), found)
}

// oneName judges the arguments of a verb.
func oneName(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("wants the name of one remediation, not %d arguments", len(args))}
	}
	return nil
}

func newRemediationsGet() *cobra.Command {
	o := &remediationOptions{}
	cmd := &cobra.Command{
		Use: "get NAME -n NAMESPACE", Short: "Show one repair with its diff, its risk and what became of it", Args: oneName,
		Example: "  rightsizer remediations get 3f09c1a2b4d5e6f70819 -n production\n" +
			"  rightsizer remediations get 3f09c1a2b4d5e6f70819 -n production -o patch > patches/checkout.yaml",
	}
	o.also = []string{formPatch}
	o.add(cmd)
	cmd.ValidArgsFunction = completeRemediations(o)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return o.about(cmd, args[0], func(ctx context.Context, s rightsizerv1connect.RemediationServiceClient, namespace, name string) (*rightsizerv1.Remediation, error) {
			resp, err := s.GetRemediation(ctx, &rightsizerv1.GetRemediationRequest{Namespace: namespace, Name: name})
			return resp.GetRemediation(), err //nolint:wrapcheck // explain words it
		})
	}
	return cmd
}

// verb is one way to decide.
type verb struct {
	use, short string
	// states are those that the verb is for; completion offers these alone.
	states []rightsizerv1.RemediationState
	call   func(ctx context.Context, s rightsizerv1connect.RemediationServiceClient, namespace, name, etag, reason string) (*rightsizerv1.Remediation, error)
}

// The states that the verbs are for.
var (
	waiting   = []rightsizerv1.RemediationState{rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL}
	pending   = []rightsizerv1.RemediationState{rightsizerv1.RemediationState_REMEDIATION_STATE_PROPOSED, rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL, rightsizerv1.RemediationState_REMEDIATION_STATE_APPROVED}
	effective = []rightsizerv1.RemediationState{rightsizerv1.RemediationState_REMEDIATION_STATE_VERIFYING, rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED, rightsizerv1.RemediationState_REMEDIATION_STATE_ESCALATED}
)

var verbs = []verb{
	{"approve", "Let a repair be carried out", waiting, func(ctx context.Context, s rightsizerv1connect.RemediationServiceClient, namespace, name, etag, reason string) (*rightsizerv1.Remediation, error) {
		resp, err := s.ApproveRemediation(ctx, &rightsizerv1.ApproveRemediationRequest{Namespace: namespace, Name: name, Etag: etag, Reason: reason})
		return resp.GetRemediation(), err
	}},
	{"reject", "Turn a repair down", waiting, func(ctx context.Context, s rightsizerv1connect.RemediationServiceClient, namespace, name, etag, reason string) (*rightsizerv1.Remediation, error) {
		resp, err := s.RejectRemediation(ctx, &rightsizerv1.RejectRemediationRequest{Namespace: namespace, Name: name, Etag: etag, Reason: reason})
		return resp.GetRemediation(), err
	}},
	{"cancel", "Take a repair back before it is carried out", pending, func(ctx context.Context, s rightsizerv1connect.RemediationServiceClient, namespace, name, etag, reason string) (*rightsizerv1.Remediation, error) {
		resp, err := s.CancelRemediation(ctx, &rightsizerv1.CancelRemediationRequest{Namespace: namespace, Name: name, Etag: etag, Reason: reason})
		return resp.GetRemediation(), err
	}},
	{"rollback", "Take the effect of a repair back", effective, func(ctx context.Context, s rightsizerv1connect.RemediationServiceClient, namespace, name, etag, reason string) (*rightsizerv1.Remediation, error) {
		resp, err := s.RollbackRemediation(ctx, &rightsizerv1.RollbackRemediationRequest{Namespace: namespace, Name: name, Etag: etag, Reason: reason})
		return resp.GetRemediation(), err
	}},
}

func newDecide(v verb) *cobra.Command {
	o := &remediationOptions{}
	cmd := &cobra.Command{
		Use: v.use + " NAME -n NAMESPACE", Short: v.short, Args: oneName,
		Example: "  rightsizer remediations " + v.use + " 3f09c1a2b4d5e6f70819 -n production --reason='seen with the team'",
	}
	o.add(cmd)
	cmd.ValidArgsFunction = completeRemediations(o, v.states...)
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the audit")
	cmd.Flags().StringVar(&o.etag, "etag", "", "etag of the repair as it was looked at: refuse if it changed since")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return o.about(cmd, args[0], func(ctx context.Context, s rightsizerv1connect.RemediationServiceClient, namespace, name string) (*rightsizerv1.Remediation, error) {
			return v.call(ctx, s, namespace, name, o.etag, o.reason)
		})
	}
	return cmd
}

// writePatch writes the patch that an export hands out.
func writePatch(w io.Writer, r *rightsizerv1.Remediation) error {
	if r.GetPatch() == "" {
		return fmt.Errorf("remediation %s is no export: its action is %s, and its change is in the diff of -o json", r.GetName(), r.GetAction().GetKind())
	}
	for line := range strings.Lines(r.GetPatch()) {
		if _, err := fmt.Fprintln(w, text.Escape(strings.TrimSuffix(line, "\n"))); err != nil {
			return err //nolint:wrapcheck // nothing to add
		}
	}
	return nil
}

// show writes one repair; as a table a line for each thing that there is to know.
func (o *remediationOptions) show(w io.Writer, r *rightsizerv1.Remediation) error {
	switch o.output {
	case "table":
	case formPatch:
		return writePatch(w, r)
	default:
		return writeMessages(w, o.output, r)
	}
	var lines [][2]string
	line := func(name, value string) {
		if value != "" {
			lines = append(lines, [2]string{name, value})
		}
	}
	line("remediation", r.GetNamespace()+"/"+r.GetName())
	line("state", stateName(r.GetState()))
	line("message", r.GetMessage())
	line("workload", r.GetWorkload().GetKind()+"/"+r.GetWorkload().GetName())
	line("container", r.GetContainer())
	line("action", r.GetAction().GetKind())
	line("risk", riskName(r.GetRisk()))
	for _, reason := range r.GetRiskReasons() {
		line("", "- "+reason)
	}
	line("policy", r.GetPolicy())
	line("asked for by", r.GetRequestedBy())
	line("decided by", r.GetDecidedBy())
	if at := r.GetExpireTime(); at != nil {
		line("expires", at.AsTime().Local().Format(time.DateTime))
	}
	line("diff", r.GetDiff())
	for _, t := range r.GetTargets() {
		line("pod", strings.TrimSpace(t.GetPod()+" "+t.GetResult()+" "+t.GetMessage()))
	}
	line("etag", r.GetEtag())
	width := len(slices.MaxFunc(lines, func(a, b [2]string) int { return len(a[0]) - len(b[0]) })[0])
	for _, l := range lines {
		if _, err := fmt.Fprintf(w, "%-*s  %s\n", width, l[0], text.Escape(l[1])); err != nil {
			return err //nolint:wrapcheck // nothing to add
		}
	}
	return nil
}
