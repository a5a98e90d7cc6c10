package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// chain is an audit chain in memory, the latest last.
type chain struct {
	records []*rightsizerv1.AuditRecord
	heads   []*rightsizerv1.AuditHead
	err     error
}

func (c *chain) Records(_ context.Context, before int64, visit func(*rightsizerv1.AuditRecord) bool) error {
	for _, r := range slices.Backward(c.records) {
		if (before == 0 || r.GetSequence() < before) && !visit(r) {
			break
		}
	}
	return c.err
}

func (c *chain) Verify(_ context.Context, heads []*rightsizerv1.AuditHead) (*rightsizerv1.VerifyAuditResponse, error) {
	c.heads = heads
	return &rightsizerv1.VerifyAuditResponse{Valid: true, Records: int64(len(c.records))}, c.err
}

var auditBegan = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

func (c *chain) grow(n int) {
	for range n {
		i := len(c.records)
		c.records = append(c.records, &rightsizerv1.AuditRecord{
			Sequence: int64(i + 1), Time: timestamppb.New(auditBegan.Add(time.Duration(i) * time.Minute)), Actor: fmt.Sprintf("user-%d", i%2),
			Action: []string{"remediation.approved", "remediation.executing", "policy.changed"}[i%3], Namespace: fmt.Sprintf("ns-%d", i%4),
			Remediation: fmt.Sprintf("r-%d", i/5), Target: fmt.Sprintf("Pod/p-%d", i%5),
		})
	}
}

func sequences(resp *rightsizerv1.ListAuditRecordsResponse) (found []int64) {
	for _, r := range resp.GetRecords() {
		found = append(found, r.GetSequence())
	}
	return found
}

func TestAuditRecordsInStablePages(t *testing.T) {
	t.Parallel()
	c := &chain{}
	c.grow(25)
	s := rpc.NewAuditService(synced(), c)
	req := &rightsizerv1.ListAuditRecordsRequest{PageSize: 10}
	var all []int64
	for {
		resp, err := s.ListAuditRecords(everybody(t), req)
		require.NoError(t, err)
		all = append(all, sequences(resp)...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			break
		}
		c.grow(3) // what comes meanwhile neither repeats nor hides anything
	}
	require.Len(t, all, 25)
	for i, n := range all {
		assert.EqualValues(t, 25-i, n)
	}
	req.PageToken = "AAAA"
	_, err := s.ListAuditRecords(everybody(t), req)
	assert.Equal(t, rpcerr.ReasonPageToken, rpcerr.Reason(err))
}

func TestAuditFilters(t *testing.T) {
	t.Parallel()
	c := &chain{}
	c.grow(12)
	s := rpc.NewAuditService(synced(), c)
	at := func(minutes int) *timestamppb.Timestamp {
		return timestamppb.New(auditBegan.Add(time.Duration(minutes) * time.Minute))
	}
	for name, want := range map[string]struct {
		req *rightsizerv1.ListAuditRecordsRequest
		got []int64
	}{
		"namespaces":  {&rightsizerv1.ListAuditRecordsRequest{Namespaces: []string{"ns-1", "ns-2"}}, []int64{11, 10, 7, 6, 3, 2}},
		"remediation": {&rightsizerv1.ListAuditRecordsRequest{Remediation: "r-1"}, []int64{10, 9, 8, 7, 6}},
		"actor":       {&rightsizerv1.ListAuditRecordsRequest{Actors: []string{"user-1"}}, []int64{12, 10, 8, 6, 4, 2}},
		"action":      {&rightsizerv1.ListAuditRecordsRequest{Actions: []string{"policy.changed"}}, []int64{12, 9, 6, 3}},
		"prefix":      {&rightsizerv1.ListAuditRecordsRequest{Actions: []string{"remediation.*"}}, []int64{11, 10, 8, 7, 5, 4, 2, 1}},
		"target":      {&rightsizerv1.ListAuditRecordsRequest{Target: "Pod/p-0"}, []int64{11, 6, 1}},
		"time":        {&rightsizerv1.ListAuditRecordsRequest{StartTime: at(3), EndTime: at(6)}, []int64{6, 5, 4}},
		"all of them": {&rightsizerv1.ListAuditRecordsRequest{Actions: []string{"policy.changed"}, Actors: []string{"user-1"}, StartTime: at(6)}, []int64{12}},
	} {
		resp, err := s.ListAuditRecords(everybody(t), want.req)
		require.NoError(t, err, name)
		assert.Equal(t, want.got, sequences(resp), name)
	}
}

func TestAuditThatCannotBeRead(t *testing.T) {
	t.Parallel()
	c := &chain{err: errors.New("dial tcp 10.0.0.1:443: refused")}
	s := rpc.NewAuditService(synced(), c)
	_, err := s.ListAuditRecords(everybody(t), &rightsizerv1.ListAuditRecordsRequest{})
	assert.Equal(t, rpc.ReasonAuditUnreadable, rpcerr.Reason(err))
	_, verr := s.VerifyAudit(everybody(t), &rightsizerv1.VerifyAuditRequest{})
	assert.Equal(t, connect.CodeUnavailable, connect.CodeOf(verr))
	assert.NotContains(t, verr.Error(), "10.0.0.1")
	_, err = s.VerifyAudit(everybody(t), &rightsizerv1.VerifyAuditRequest{Cluster: "another"})
	assert.Equal(t, rpcerr.ReasonClusterNotFound, rpcerr.Reason(err))

	c.err = nil
	head := &rightsizerv1.AuditHead{Sequence: 3, Hash: "h"}
	resp, err := s.VerifyAudit(everybody(t), &rightsizerv1.VerifyAuditRequest{Heads: []*rightsizerv1.AuditHead{head}})
	require.NoError(t, err)
	assert.True(t, resp.GetValid())
	assert.Equal(t, []*rightsizerv1.AuditHead{head}, c.heads)
}

// A caller of one namespace learns nothing of the others, nor of what is in none.
func TestAuditOfWhatTheCallerMaySee(t *testing.T) {
	t.Parallel()
	c := &chain{}
	c.grow(12)
	c.records[11].Namespace = ""
	s := rpc.NewAuditService(synced(), c)
	resp, err := s.ListAuditRecords(auth.WithGrant(t.Context(), auth.Only("ns-1")), &rightsizerv1.ListAuditRecordsRequest{})
	require.NoError(t, err)
	assert.Equal(t, []int64{10, 6, 2}, sequences(resp))
	resp, err = s.ListAuditRecords(t.Context(), &rightsizerv1.ListAuditRecordsRequest{})
	require.NoError(t, err)
	assert.Empty(t, resp.GetRecords(), "nobody looked at the request")
}
