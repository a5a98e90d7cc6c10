package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// remediations are rpc.Remediations that the test sets. Each write counts.
type remediations struct {
	mu     sync.Mutex
	all    []*rightsizerv1.Remediation
	err    error
	asked  []string
	hashes []string
}

func (f *remediations) List() ([]*rightsizerv1.Remediation, error) {
	out := make([]*rightsizerv1.Remediation, len(f.all))
	for i, r := range f.all {
		out[i] = proto.CloneOf(r)
	}
	return out, f.err
}

func (f *remediations) Get(_ context.Context, namespace, name string) (*rightsizerv1.Remediation, error) {
	for _, r := range f.all {
		if r.GetNamespace() == namespace && r.GetName() == name {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%w: not found: remediation %s", rpc.ErrNoRemediation, name)
}

func (f *remediations) Rights(actionKind, workloadKind string) ([]auth.Action, error) {
	return []auth.Action{{Group: workloadKind, Resource: actionKind, Verb: "patch"}}, nil
}

func (f *remediations) Create(_ context.Context, by rpc.Caller, req *rightsizerv1.CreateRemediationRequest, hash string) (*rightsizerv1.Remediation, error) {
	f.hashes = append(f.hashes, hash)
	return f.write("create", by, rpc.Choice{Namespace: req.GetNamespace(), Name: req.GetName()})
}

func (f *remediations) Approve(_ context.Context, by rpc.Caller, c rpc.Choice) (*rightsizerv1.Remediation, error) {
	return f.write("approve", by, c)
}

func (f *remediations) Reject(_ context.Context, by rpc.Caller, c rpc.Choice) (*rightsizerv1.Remediation, error) {
	return f.write("reject", by, c)
}

func (f *remediations) Cancel(_ context.Context, by rpc.Caller, c rpc.Choice) (*rightsizerv1.Remediation, error) {
	return f.write("cancel", by, c)
}

func (f *remediations) Rollback(_ context.Context, by rpc.Caller, c rpc.Choice) (*rightsizerv1.Remediation, error) {
	return f.write("rollback", by, c)
}

func (f *remediations) write(verb string, by rpc.Caller, c rpc.Choice) (*rightsizerv1.Remediation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, fmt.Sprintf("%s %s/%s etag %q reason %q by %s of %v", verb, c.Namespace, c.Name, c.Etag, c.Reason, by.Name, by.Groups))
	return &rightsizerv1.Remediation{Namespace: c.Namespace, Name: c.Name, Etag: strconv.Itoa(len(f.asked))}, f.err
}

// rights let everything pass but what is named.
type rights struct {
	denied string
	asked  []auth.Action
}

func (r *rights) Require(_ context.Context, actions ...auth.Action) error {
	r.asked = append(r.asked, actions...)
	for _, a := range actions {
		if r.denied != "" && a.Resource == r.denied {
			return rpcerr.New(connect.CodePermissionDenied, rpcerr.ReasonPermissionDenied, "you may not "+a.String())
		}
	}
	return nil
}

func repair(namespace, name string, state rightsizerv1.RemediationState, age time.Duration) *rightsizerv1.Remediation {
	return &rightsizerv1.Remediation{
		Namespace: namespace, Name: name, State: state, CreateTime: timestamppb.New(time.Unix(1e9, 0).Add(-age)),
		Action: &rightsizerv1.RemediationAction{Kind: "resize_in_place"}, Workload: &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: "web"},
	}
}

func alice(t *testing.T) context.Context {
	return auth.WithIdentity(t.Context(), &auth.Identity{User: "alice", Groups: []string{"sre"}})
}

func TestListRemediationsTheLatestFirst(t *testing.T) {
	t.Parallel()
	f := &remediations{all: []*rightsizerv1.Remediation{
		repair("shop", "old", rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED, time.Hour),
		repair("shop", "new", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL, time.Minute),
		repair("bank", "other", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL, time.Second),
	}}
	s := rpc.NewRemediationService(synced(), f, &rights{})
	names := func(ctx context.Context, req *rightsizerv1.ListRemediationsRequest) (out []string) {
		for {
			resp, err := s.ListRemediations(ctx, req)
			require.NoError(t, err)
			for _, r := range resp.GetRemediations() {
				out = append(out, r.GetName())
			}
			if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
				return out
			}
		}
	}
	pending := []rightsizerv1.RemediationState{rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL}
	assert.Equal(t, []string{"other", "new", "old"}, names(everybody(t), &rightsizerv1.ListRemediationsRequest{PageSize: 1}))
	assert.Equal(t, []string{"other", "new"}, names(everybody(t), &rightsizerv1.ListRemediationsRequest{States: pending}))
	assert.Equal(t, []string{"new", "old"}, names(everybody(t), &rightsizerv1.ListRemediationsRequest{Namespaces: []string{"shop"}}))
	assert.Equal(t, []string{"new", "old"}, names(auth.WithGrant(t.Context(), auth.Only("shop")), &rightsizerv1.ListRemediationsRequest{AllowedOnly: true}))
	f.err = rpc.ErrRemediationsUnknown
	_, err := s.ListRemediations(everybody(t), &rightsizerv1.ListRemediationsRequest{})
	assert.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
}

// Who asks for an effect, or lends his name to it, needs the right to it himself.
func TestAnEffectTakesTheRightToItself(t *testing.T) {
	t.Parallel()
	f := &remediations{all: []*rightsizerv1.Remediation{repair("shop", "r", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL, 0)}}
	may := &rights{denied: "resize_in_place"}
	s := rpc.NewRemediationService(synced(), f, may)
	create := &rightsizerv1.CreateRemediationRequest{Namespace: "shop", Kind: "Deployment", Name: "web", Action: &rightsizerv1.RemediationAction{Kind: "resize_in_place"}}
	_, err := s.CreateRemediation(alice(t), create)
	assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	create.ValidateOnly = true
	_, err = s.CreateRemediation(alice(t), create)
	assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err), "a dry run asks the API server as well")
	_, err = s.ApproveRemediation(alice(t), &rightsizerv1.ApproveRemediationRequest{Namespace: "shop", Name: "r"})
	assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	_, err = s.RollbackRemediation(alice(t), &rightsizerv1.RollbackRemediationRequest{Namespace: "shop", Name: "r"})
	assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	assert.Empty(t, f.asked)
	for _, a := range may.asked {
		assert.Equal(t, auth.Action{Group: "Deployment", Resource: "resize_in_place", Verb: "patch", Namespace: "shop"}, a)
	}
	// To turn it down changes nothing in the cluster.
	_, err = s.RejectRemediation(alice(t), &rightsizerv1.RejectRemediationRequest{Namespace: "shop", Name: "r", Etag: "7", Reason: "no"})
	require.NoError(t, err)
	_, err = s.CancelRemediation(alice(t), &rightsizerv1.CancelRemediationRequest{Namespace: "shop", Name: "r"})
	require.NoError(t, err)
	assert.Equal(t, []string{`reject shop/r etag "7" reason "no" by alice of [sre]`, `cancel shop/r etag "" reason "" by alice of [sre]`}, f.asked)
}

// A request sent again has one effect and the same answer; its key with another
// body is a conflict, for ten minutes. An error is not remembered.
func TestARequestIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &remediations{all: []*rightsizerv1.Remediation{repair("shop", "r", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL, 0)}}
		s := rpc.NewRemediationService(synced(), f, &rights{})
		approve := func(ctx context.Context, reason string) (string, error) {
			resp, err := s.ApproveRemediation(ctx, &rightsizerv1.ApproveRemediationRequest{Namespace: "shop", Name: "r", Reason: reason, RequestId: "k-1"})
			return resp.GetRemediation().GetEtag(), err
		}
		f.err = errors.New("connection refused")
		_, err := approve(alice(t), "fine")
		assert.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
		assert.NotContains(t, err.Error(), "connection refused")
		f.err = nil
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				etag, err := approve(alice(t), "fine")
				assert.NoError(t, err)
				assert.Equal(t, "2", etag)
			})
		}
		wg.Wait()
		assert.Len(t, f.asked, 2)
		_, err = approve(alice(t), "another reason")
		assert.Equal(t, connect.CodeAborted, connect.CodeOf(err))
		assert.Equal(t, rpc.ReasonRequestReused, rpcerr.Reason(err))
		etag, err := approve(auth.WithIdentity(t.Context(), &auth.Identity{User: "bob"}), "fine")
		require.NoError(t, err)
		assert.Equal(t, "3", etag, "another caller's key is another key")
		time.Sleep(11 * time.Minute)
		etag, err = approve(alice(t), "another reason")
		require.NoError(t, err)
		assert.Equal(t, "4", etag)
		// Without a key each request stands for itself.
		for i := range 2 {
			resp, err := s.RejectRemediation(alice(t), &rightsizerv1.RejectRemediationRequest{Namespace: "shop", Name: "r"})
			require.NoError(t, err)
			assert.Equal(t, strconv.Itoa(5+i), resp.GetRemediation().GetEtag())
		}
	})
}

// The body's hash goes along with the key, so that another replica, or this one
// after a restart, knows the request again.
func TestTheSameBodyHasTheSameHash(t *testing.T) {
	t.Parallel()
	f := &remediations{}
	s := rpc.NewRemediationService(synced(), f, &rights{})
	for _, reason := range []string{"a", "a", "b"} {
		_, err := s.CreateRemediation(alice(t), &rightsizerv1.CreateRemediationRequest{
			Namespace: "shop", Kind: "Deployment", Name: "web", RequestId: "k", Reason: reason,
			Action: &rightsizerv1.RemediationAction{Kind: "x", Parameters: map[string]string{"a": "1", "b": "2", "c": "3"}},
		})
		require.NoError(t, err)
	}
	assert.Len(t, f.hashes[0], 64)
	assert.Equal(t, f.hashes[0], f.hashes[1])
	assert.NotEqual(t, f.hashes[0], f.hashes[2])
}

// fieldError is an rpc.FieldError.
type fieldError struct{}

func (fieldError) Error() string  { return "container: must be set" }
func (fieldError) Field() string  { return "container" }
func (fieldError) Reason() string { return "must be set" }

func TestErrorsOfRemediations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		code   connect.Code
		reason string
		text   string
	}{
		{fmt.Errorf("%w: it is Approved now", rpc.ErrRemediationEtag), connect.CodeAborted, rpc.ReasonEtag, "it is Approved now"},
		{fmt.Errorf("%w: the state is Executing", rpc.ErrRemediationState), connect.CodeFailedPrecondition, rpc.ReasonState, "the state is Executing"},
		{fmt.Errorf("%w: frozen", rpc.ErrRemediationStopped), connect.CodeFailedPrecondition, rpc.ReasonStopped, "frozen"},
		{fmt.Errorf("%w: r-1", rpc.ErrRemediationOpen), connect.CodeAlreadyExists, rpc.ReasonOpen, "r-1"},
		{fmt.Errorf("%w: r-1", rpc.ErrRequestReused), connect.CodeAborted, rpc.ReasonRequestReused, "r-1"},
		{fmt.Errorf("%w: four eyes", rpc.ErrNotApprover), connect.CodePermissionDenied, rpc.ReasonNotApprover, "four eyes"},
		{fmt.Errorf("%w: Deployment web", rpc.ErrNoRemediation), connect.CodeNotFound, rpcerr.ReasonNotFound, "Deployment web"},
		{fieldError{}, connect.CodeInvalidArgument, rpcerr.ReasonInvalidArgument, "container: must be set"},
		{errors.New("dial tcp 10.0.0.1:443"), connect.CodeUnavailable, rpc.ReasonRemediationsUnknown, "log say more"},
	} {
		s := rpc.NewRemediationService(synced(), &remediations{err: c.err}, &rights{})
		_, err := s.CreateRemediation(alice(t), &rightsizerv1.CreateRemediationRequest{Namespace: "a", Kind: "Deployment", Name: "b"})
		assert.Equal(t, c.code, connect.CodeOf(err), c.err)
		assert.Equal(t, c.reason, rpcerr.Reason(err))
		assert.ErrorContains(t, err, c.text)
		assert.NotContains(t, err.Error(), "10.0.0.1")
	}
	s := rpc.NewRemediationService(synced(), &remediations{}, &rights{})
	for _, call := range []func() error{
		func() error {
			_, err := s.GetRemediation(alice(t), &rightsizerv1.GetRemediationRequest{Namespace: "a", Name: "b", Cluster: "another"})
			return err
		},
		func() error {
			_, err := s.ApproveRemediation(alice(t), &rightsizerv1.ApproveRemediationRequest{Namespace: "a", Name: "b", Cluster: "another"})
			return err
		},
		func() error {
			_, err := s.CreateRemediation(alice(t), &rightsizerv1.CreateRemediationRequest{Namespace: "a", Cluster: "another"})
			return err
		},
	} {
		assert.Equal(t, rpcerr.ReasonClusterNotFound, rpcerr.Reason(call()))
	}
	_, err := s.GetRemediation(alice(t), &rightsizerv1.GetRemediationRequest{Namespace: "a", Name: "b"})
	assert.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
}
