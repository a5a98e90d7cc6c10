package e2e_test

import (
	"context"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// recommended asks for the recommendation of search, which under-provisioned has.
func (o *operator) recommended(ctx context.Context, namespace string) (*rightsizerv1.Recommendation, error) {
	got, err := o.workloadClient().ListRecommendations(ctx, &rightsizerv1.ListRecommendationsRequest{Namespaces: []string{namespace}, Workloads: []string{"Deployment/search"}})
	if err != nil || len(got.GetRecommendations()) == 0 {
		return nil, err
	}
	return got.GetRecommendations()[0], nil
}

// Of two replicas the one that leads measures; the other says that it does not, and
// goes on from what the first kept once that is gone.
func TestOfTwoReplicasTheLeaderMeasures(t *testing.T) {
	const namespace = "usage-replicas"
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	objects{t: t, client: client}.makeNamespace(ctx, "replicas-operator")
	require.NoError(t, cluster.Apply(ctx, "under-provisioned", namespace))
	defer cluster.Remove(context.Background(), "under-provisioned", namespace) //nolint:errcheck // the cluster goes anyway
	flags := []string{
		"--usage-sources=metrics-api", "--usage-interval=2s", "--usage-checkpoints=on",
		"--leader-elect=on", "--operator-namespace=replicas-operator",
	}
	first := serve(t, cluster.KubeconfigPath(), flags...).ready()
	var before *rightsizerv1.Recommendation
	require.Eventually(t, func() bool {
		before, err = first.recommended(ctx, namespace)
		return err == nil && before.GetDataSpan().AsDuration() > 0
	}, 2*patience, poll, "it leads and measures")

	second := serve(t, cluster.KubeconfigPath(), flags...).ready()
	_, err = second.recommended(ctx, namespace)
	saysWho(t, err)
	_, err = rightsizerv1connect.NewMetricsServiceClient(http.DefaultClient, second.url).ListMetrics(ctx, &rightsizerv1.ListMetricsRequest{})
	saysWho(t, err)
	before, err = first.recommended(ctx, namespace)
	require.NoError(t, err)

	first.stop()
	var after *rightsizerv1.Recommendation
	require.Eventually(t, func() bool {
		after, err = second.recommended(ctx, namespace)
		return err == nil
	}, 2*patience, poll, "it takes over")
	assert.GreaterOrEqual(t, after.GetDataSpan().AsDuration(), before.GetDataSpan().AsDuration(), "with what the first kept")
}

// saysWho is the answer of a replica that does not lead.
func saysWho(t *testing.T, err error) {
	t.Helper()
	require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "another replica leads, and measures")
	failure := new(connect.Error)
	require.ErrorAs(t, err, &failure)
	kinds := make([]string, 0, 2)
	for _, detail := range failure.Details() {
		kinds = append(kinds, detail.Type())
	}
	assert.Contains(t, kinds, "google.rpc.RetryInfo")
}
