package rpc

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// Who waits for the answer to the same request leaves with his context, and is not
// left waiting where that answer panicked: he asks himself.
func TestNobodyWaitsForAnAnswerThatNeverComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, req := newReplies(time.Now), &rightsizerv1.ApproveRemediationRequest{RequestId: "once"}
		answer := func(ctx context.Context, do func() (*rightsizerv1.Remediation, error)) (*rightsizerv1.Remediation, error) {
			return s.once(ctx, "alice", "approve", req, do)
		}
		held := make(chan struct{})
		first := make(chan any)
		go func() {
			defer func() { first <- recover() }()
			_, _ = answer(t.Context(), func() (*rightsizerv1.Remediation, error) {
				<-held
				panic("a bug")
			})
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := answer(ctx, nil)
		require.Equal(t, connect.CodeCanceled, connect.CodeOf(err))
		second := make(chan error)
		go func() {
			got, err := answer(t.Context(), func() (*rightsizerv1.Remediation, error) { return &rightsizerv1.Remediation{Name: "r-1"}, nil })
			assert.Equal(t, "r-1", got.GetName())
			second <- err
		}()
		synctest.Wait()
		close(held)
		assert.Equal(t, "a bug", <-first)
		assert.NoError(t, <-second)
	})
}

// What failed takes no room: it does not push out what is remembered.
func TestFailuresAreNoReplies(t *testing.T) {
	t.Parallel()
	s, done := newReplies(time.Now), 0
	once := func(id string, err error) {
		_, _ = s.once(t.Context(), "alice", "approve", &rightsizerv1.ApproveRemediationRequest{RequestId: id}, func() (*rightsizerv1.Remediation, error) {
			done++
			return &rightsizerv1.Remediation{}, err
		})
	}
	for range 2 * maxReplies {
		once("again", errPanicked)
	}
	assert.Equal(t, 2*maxReplies, done)
	once("again", nil)
	once("another", nil)
	once("again", nil)
	assert.Equal(t, 2*maxReplies+2, done)
	for i := range 2 * maxReplies {
		once(strconv.Itoa(i), nil)
	}
	assert.Len(t, s.known, maxReplies)
	assert.Len(t, s.order, maxReplies)
}
