package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/app"
	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/text"
)

// verifyTimeout bounds a check of the whole chain.
const verifyTimeout = 2 * time.Minute

func newAudit() *cobra.Command {
	parent := &cobra.Command{
		Use: "audit", Short: "List what was done, or verify that the record of it is whole", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("audit wants a verb: list or verify")}
		},
	}
	parent.AddCommand(newAuditList(), newAuditVerify())
	return parent
}

type auditListOptions struct {
	connectFlags
	scopeFlag

	namespaces  []string
	actors      []string
	actions     []string
	remediation string
	target      string
	since       string
	until       string
	limit       int
	output      string
}

func newAuditList() *cobra.Command {
	o := &auditListOptions{}
	cmd := &cobra.Command{
		Use: "list", Short: "List audit records, the latest first", Args: noArgs,
		Long: "List audit records, the latest first: who did what, why, and by which policy.\n" +
			"Conditions of one kind are joined by OR, of different kinds by AND. -o json and yaml have every field.",
		Example: "  rightsizer audit list --action='remediation.*' --namespace=production --since=24h\n" +
			"  rightsizer audit list -o json | jq -r 'select(.action==\"remediation.approved\") | .actor'",
	}
	f := cmd.Flags()
	f.StringSliceVarP(&o.namespaces, "namespace", "n", nil, "only in these namespaces")
	f.StringSliceVar(&o.actors, "actor", nil, "only of these users")
	f.StringSliceVar(&o.actions, "action", nil, "only these actions, such as remediation.approved or remediation.*")
	f.StringVar(&o.remediation, "remediation", "", "only of this remediation")
	f.StringVar(&o.target, "target", "", "only done to this, as Kind/name")
	f.StringVar(&o.since, "since", "", "only records of this time or later: an age such as 24h, or a time such as 2026-05-01T00:00:00Z")
	f.StringVar(&o.until, "until", "", "only records before this time, in the same forms")
	f.IntVar(&o.limit, "limit", 100, "at most this many records; 0 is all")
	o.connectFlags.add(cmd)
	o.scopeFlag.add(cmd)
	completeNamespaces(cmd, &o.connectFlags)
	addForm(cmd, &o.output)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }
	return cmd
}

func (o *auditListOptions) run(cmd *cobra.Command) error {
	req, err := o.request(time.Now())
	if err != nil {
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
	records, err := o.list(cmd.Context(), rightsizerv1connect.NewAuditServiceClient(to.client, to.url), req)
	if err != nil {
		return err
	}
	if o.output != "table" {
		return writeMessages(cmd.OutOrStdout(), o.output, records...)
	}
	if len(records) == 0 {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "no audit record fits")
		return nil
	}
	return writeTable(cmd.OutOrStdout(), []string{"SEQUENCE", "TIME", "ACTOR", "ACTION", "NAMESPACE", "TARGET", "REMEDIATION", "REASON"}, auditRows(records))
}

func auditRows(records []*rightsizerv1.AuditRecord) [][]string {
	rows := make([][]string, len(records))
	for i, r := range records {
		rows[i] = []string{
			strconv.FormatInt(r.GetSequence(), 10), r.GetTime().AsTime().Local().Format(time.DateTime), r.GetActor(), r.GetAction(),
			r.GetNamespace(), r.GetTarget(), r.GetRemediation(), r.GetReason(),
		}
	}
	return rows
}

// request judges the flags.
func (o *auditListOptions) request(now time.Time) (*rightsizerv1.ListAuditRecordsRequest, error) {
	req := &rightsizerv1.ListAuditRecordsRequest{
		Namespaces: o.namespaces, Actors: o.actors, Actions: o.actions, Remediation: o.remediation, Target: o.target,
		PageSize: 1000,
	}
	if o.limit > 0 {
		req.PageSize = int32(min(o.limit, 1000))
	}
	var errs []error
	if o.limit < 0 {
		errs = append(errs, fmt.Errorf("--limit: wants 0 or more, not %d", o.limit))
	}
	errs = append(errs, checkForm(o.output))
	var err error
	if req.StartTime, err = moment("--since", o.since, now); err != nil {
		errs = append(errs, err)
	}
	if req.EndTime, err = moment("--until", o.until, now); err != nil {
		errs = append(errs, err)
	}
	return req, errors.Join(errs...)
}

// moment reads an age or a time; empty is none.
func moment(flag, value string, now time.Time) (*timestamppb.Timestamp, error) {
	if value == "" {
		return nil, nil //nolint:nilnil // no time was asked for
	}
	if age, err := time.ParseDuration(value); err == nil && age >= 0 {
		return timestamppb.New(now.Add(-age)), nil
	}
	if at, err := time.Parse(time.RFC3339, value); err == nil {
		return timestamppb.New(at), nil
	}
	return nil, fmt.Errorf("%s: wants an age such as 24h or a time such as 2026-05-01T00:00:00Z, not %s", flag, codec.Quote(value))
}

// list reads pages until there are enough.
func (o *auditListOptions) list(ctx context.Context, client rightsizerv1connect.AuditServiceClient, req *rightsizerv1.ListAuditRecordsRequest) ([]*rightsizerv1.AuditRecord, error) {
	var records []*rightsizerv1.AuditRecord
	for {
		page, err := listAuditPage(ctx, client, req)
		if err != nil {
			return nil, explain(err)
		}
		records = append(records, page.GetRecords()...)
		if o.limit > 0 && len(records) >= o.limit {
			return records[:o.limit], nil
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return records, nil
		}
	}
}

func listAuditPage(ctx context.Context, client rightsizerv1connect.AuditServiceClient, req *rightsizerv1.ListAuditRecordsRequest) (*rightsizerv1.ListAuditRecordsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	return client.ListAuditRecords(ctx, req) //nolint:wrapcheck // explain words it
}

type auditVerifyOptions struct {
	connectFlags

	dir    string
	heads  []string
	output string
}

func newAuditVerify() *cobra.Command {
	o := &auditVerifyOptions{}
	cmd := &cobra.Command{
		Use: "verify", Short: "Check the audit chain for edits, gaps and truncation", Args: noArgs,
		Long: "Check the audit chain: that of the cluster, which the operator reads, or with --dir a copy in a folder, for\n" +
			"which no operator is needed. Whoever may write to a chain can also compute its hashes; that shows against\n" +
			"heads kept elsewhere, such as those in the operator's log: give them with --head.\n\n" +
			"The exit code is 1 when something does not fit. What was let go of because of its age, as the chain itself\n" +
			"says, is held_elsewhere and no fault.",
		Example: "  rightsizer audit verify\n  rightsizer audit verify --dir=/var/lib/rightsizer/audit --head=812:9f2c…",
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "", "check the copy in this folder instead of asking the operator")
	f.StringArrayVar(&o.heads, "head", nil, "a record known from elsewhere, as SEQUENCE:HASH")
	o.connectFlags.add(cmd)
	addForm(cmd, &o.output)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }
	return cmd
}

func (o *auditVerifyOptions) run(cmd *cobra.Command) error {
	heads, err := parseHeads(o.heads)
	if err = errors.Join(err, checkForm(o.output)); err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), verifyTimeout)
	defer cancel()
	var report *rightsizerv1.VerifyAuditResponse
	if o.dir != "" {
		report, err = app.VerifyAuditDirectory(ctx, o.dir, heads)
		if errors.Is(err, fs.ErrNotExist) {
			return usageError{fmt.Errorf("--dir: %w", err)}
		}
	} else {
		to, connectErr := o.connect(cmd)
		if connectErr != nil {
			return connectErr
		}
		defer to.close()
		report, err = rightsizerv1connect.NewAuditServiceClient(to.client, to.url).VerifyAudit(ctx, &rightsizerv1.VerifyAuditRequest{Heads: heads})
		if err != nil {
			err = explain(err)
		}
	}
	if err != nil {
		return err
	}
	if err := o.show(cmd, report); err != nil {
		return err
	}
	if !report.GetValid() {
		return errors.New("the audit chain is not whole")
	}
	return nil
}

func (o *auditVerifyOptions) show(cmd *cobra.Command, report *rightsizerv1.VerifyAuditResponse) error {
	if o.output != "table" {
		return writeMessages(cmd.OutOrStdout(), o.output, report)
	}
	rows := make([][]string, len(report.GetFindings()))
	for i, f := range report.GetFindings() {
		rows[i] = []string{f.GetKind(), strconv.FormatInt(f.GetSequence(), 10), f.GetPlace(), f.GetMessage()}
	}
	if err := writeTable(cmd.OutOrStdout(), []string{"KIND", "SEQUENCE", "PLACE", "MESSAGE"}, rows); err != nil {
		return err
	}
	if n := report.GetFindingsOmitted(); n > 0 {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "and %d more\n", n)
	}
	head := "no record"
	if h := report.GetHead(); h != nil {
		head = fmt.Sprintf("head %d:%s", h.GetSequence(), h.GetHash())
	}
	verdict := "whole"
	if !report.GetValid() {
		verdict = "NOT whole"
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %d records checked, %s\n", verdict, report.GetRecords(), text.Escape(head))
	return err //nolint:wrapcheck // nothing to add
}

var headPattern = regexp.MustCompile(`^([1-9][0-9]{0,18}):([0-9a-f]{64})$`)

func parseHeads(values []string) ([]*rightsizerv1.AuditHead, error) {
	heads := make([]*rightsizerv1.AuditHead, 0, len(values))
	for _, value := range values {
		parts := headPattern.FindStringSubmatch(strings.TrimSpace(value))
		if parts == nil {
			return nil, fmt.Errorf("--head: wants SEQUENCE:HASH, a number and 64 hexadecimal digits, not %s", codec.Quote(value))
		}
		sequence, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("--head: %s is no number of a record", codec.Quote(parts[1]))
		}
		heads = append(heads, &rightsizerv1.AuditHead{Sequence: sequence, Hash: parts[2]})
	}
	return heads, nil
}
