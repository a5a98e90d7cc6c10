package rpc_test

import (
	"errors"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// memory answers with what it may show.
type memory struct {
	metrics    []*rightsizerv1.MetricDescriptor
	ready, err error
}

func (m *memory) MetricsReady() error { return m.ready }

func (m *memory) Metrics() []*rightsizerv1.MetricDescriptor { return m.metrics }

func (m *memory) QueryMetrics(_ *rightsizerv1.QueryMetricsRequest, may func(string) bool) (*rightsizerv1.QueryMetricsResponse, error) {
	if m.err != nil {
		return nil, m.err
	}
	out := &rightsizerv1.QueryMetricsResponse{Unit: "bytes"}
	for _, ns := range []string{"shop", "bank"} {
		if may == nil || may(ns) {
			out.Series = append(out.Series, &rightsizerv1.Series{Labels: map[string]string{"namespace": ns}})
		}
	}
	return out, nil
}

type stepError struct{}

func (stepError) Error() string  { return "step: is too short" }
func (stepError) Field() string  { return "step" }
func (stepError) Reason() string { return "is too short" }

func TestMetrics(t *testing.T) {
	w := synced()
	m := &memory{metrics: []*rightsizerv1.MetricDescriptor{{Name: "container_memory_usage"}}}
	s := rpc.NewMetricsService(w, w, m)
	listed, err := s.ListMetrics(everybody(t), &rightsizerv1.ListMetricsRequest{})
	require.NoError(t, err)
	assert.Len(t, listed.GetMetrics(), 1)
	got, err := s.QueryMetrics(everybody(t), &rightsizerv1.QueryMetricsRequest{})
	require.NoError(t, err)
	assert.Len(t, got.GetSeries(), 2)

	got, err = s.QueryMetrics(auth.WithGrant(t.Context(), auth.Only("shop")), &rightsizerv1.QueryMetricsRequest{})
	require.NoError(t, err)
	require.Len(t, got.GetSeries(), 1)
	assert.Equal(t, "shop", got.GetSeries()[0].GetLabels()["namespace"])

	m.err = stepError{}
	_, err = s.QueryMetrics(everybody(t), &rightsizerv1.QueryMetricsRequest{})
	assert.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
	require.ErrorContains(t, err, "step: is too short")
	m.err, m.ready = nil, errors.New("another replica leads, and measures")
	_, err = s.QueryMetrics(everybody(t), &rightsizerv1.QueryMetricsRequest{})
	assert.Equal(t, rpc.ReasonNoUsage, rpcerr.Reason(err))
	assert.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
	require.ErrorContains(t, err, "another replica leads")
	_, err = s.ListMetrics(everybody(t), &rightsizerv1.ListMetricsRequest{})
	assert.Equal(t, time.Minute, retryInfo(t, err).GetRetryDelay().AsDuration())
	_, err = rpc.NewMetricsService(w, w, nil).ListMetrics(everybody(t), &rightsizerv1.ListMetricsRequest{})
	assert.Equal(t, connect.CodeUnimplemented, connect.CodeOf(err))
}
