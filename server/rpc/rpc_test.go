package rpc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// everybody is a call by who may see everything.
func everybody(t *testing.T) context.Context {
	t.Helper()
	return auth.WithGrant(t.Context(), auth.Everything())
}

// world is a Source and a Health that the test sets.
type world struct {
	cluster    *rightsizerv1.Cluster
	nodes      []*rightsizerv1.Node
	workloads  []*rightsizerv1.Workload
	components []*rightsizerv1.ComponentHealth
	open       bool
}

func (w *world) Synced() bool                        { return w.cluster.GetSyncedTime() != nil }
func (w *world) ClusterID() string                   { return w.cluster.GetId() }
func (w *world) Cluster() *rightsizerv1.Cluster      { return w.cluster }
func (w *world) Nodes() []*rightsizerv1.Node         { return slices.Clone(w.nodes) }
func (w *world) Workloads() []*rightsizerv1.Workload { return slices.Clone(w.workloads) }
func (w *world) Components() []*rightsizerv1.ComponentHealth {
	return w.components
}
func (w *world) Open() bool { return w.open }
func (w *world) Workload(namespace, kind, name string) (*rightsizerv1.GetWorkloadResponse, bool) {
	for _, found := range w.workloads {
		if found.GetNamespace() == namespace && found.GetRef().GetKind() == kind && found.GetRef().GetName() == name {
			return &rightsizerv1.GetWorkloadResponse{Workload: found}, true
		}
	}
	return nil, false
}

func workload(namespace, kind, name string, restarts, problems int32) *rightsizerv1.Workload {
	return &rightsizerv1.Workload{
		Namespace: namespace, Ref: &rightsizerv1.WorkloadRef{Kind: kind, Name: name}, Restarts: restarts, OpenProblems: problems,
		Requested: &rightsizerv1.Resources{CpuMillis: int64(restarts) * 10, MemoryBytes: int64(problems) << 20},
	}
}

func synced() *world {
	return &world{
		cluster: &rightsizerv1.Cluster{Id: "uid-1", Name: "one", SyncedTime: timestamppb.Now()},
		nodes:   []*rightsizerv1.Node{{Name: "b"}, {Name: "c"}, {Name: "a"}},
		workloads: []*rightsizerv1.Workload{
			workload("shop", "Deployment", "web", 3, 1), workload("shop", "StatefulSet", "db", 9, 0),
			workload("bank", "Deployment", "api", 0, 2), workload("bank", "Deployment", "web", 3, 0),
		},
		components: []*rightsizerv1.ComponentHealth{{Component: "kubernetes", State: rightsizerv1.HealthState_HEALTH_STATE_OK}},
	}
}

func names(workloads []*rightsizerv1.Workload) []string {
	var out []string
	for _, w := range workloads {
		out = append(out, w.GetNamespace()+"/"+w.GetRef().GetName())
	}
	return out
}

func TestBeforeTheFirstSync(t *testing.T) {
	w := synced()
	w.cluster = &rightsizerv1.Cluster{}
	w.components = []*rightsizerv1.ComponentHealth{
		{Component: "kubernetes", State: rightsizerv1.HealthState_HEALTH_STATE_OK},
		{Component: "watch/pods", State: rightsizerv1.HealthState_HEALTH_STATE_STARTING, Reason: "listing pods"},
	}
	cluster, workloads, fleet := rpc.NewClusterService(w, w), rpc.NewWorkloadService(w, w, nil), rpc.NewFleetService(w, w)
	calls := map[string]func(context.Context) error{
		"GetCluster": func(ctx context.Context) error {
			_, err := cluster.GetCluster(ctx, &rightsizerv1.GetClusterRequest{})
			return err
		},
		"ListNodes": func(ctx context.Context) error {
			_, err := cluster.ListNodes(ctx, &rightsizerv1.ListNodesRequest{})
			return err
		},
		"ListWorkloads": func(ctx context.Context) error {
			_, err := workloads.ListWorkloads(ctx, &rightsizerv1.ListWorkloadsRequest{})
			return err
		},
		"GetWorkload": func(ctx context.Context) error {
			_, err := workloads.GetWorkload(ctx, &rightsizerv1.GetWorkloadRequest{})
			return err
		},
		"ListClusters": func(ctx context.Context) error {
			_, err := fleet.ListClusters(ctx, &rightsizerv1.ListClustersRequest{})
			return err
		},
	}
	for name, call := range calls {
		err := call(everybody(t))
		assert.Equal(t, connect.CodeUnavailable, connect.CodeOf(err), name)
		assert.Equal(t, rpcerr.ReasonNotSynced, rpcerr.Reason(err), name)
		require.ErrorContains(t, err, "watch/pods (listing pods)", name)
		assert.Positive(t, retryInfo(t, err).GetRetryDelay().AsDuration(), name)
	}
	health, err := cluster.GetHealth(everybody(t), &rightsizerv1.GetHealthRequest{Cluster: "whatever"})
	require.NoError(t, err, "GetHealth always answers")
	assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_STARTING, health.GetState())
	assert.Len(t, health.GetComponents(), 2)
}

func TestAnotherClusterIsNotFound(t *testing.T) {
	w := synced()
	cluster, workloads, fleet := rpc.NewClusterService(w, w), rpc.NewWorkloadService(w, w, nil), rpc.NewFleetService(w, w)
	for _, call := range []func() error{
		func() error {
			_, err := cluster.GetCluster(everybody(t), &rightsizerv1.GetClusterRequest{Cluster: "x"})
			return err
		},
		func() error {
			_, err := cluster.GetHealth(everybody(t), &rightsizerv1.GetHealthRequest{Cluster: "x"})
			return err
		},
		func() error {
			_, err := cluster.ListNodes(everybody(t), &rightsizerv1.ListNodesRequest{Cluster: "x"})
			return err
		},
		func() error {
			_, err := workloads.ListWorkloads(everybody(t), &rightsizerv1.ListWorkloadsRequest{Cluster: "x"})
			return err
		},
		func() error {
			_, err := workloads.GetWorkload(everybody(t), &rightsizerv1.GetWorkloadRequest{Cluster: "x"})
			return err
		},
		func() error {
			_, err := fleet.ListClusters(everybody(t), &rightsizerv1.ListClustersRequest{Cluster: "x"})
			return err
		},
	} {
		err := call()
		assert.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
		info := rpcerr.Info(err)
		assert.Equal(t, rpcerr.ReasonClusterNotFound, info.GetReason())
		assert.Equal(t, map[string]string{"kind": "cluster", "name": "x", "own": "uid-1"}, info.GetMetadata())
	}
	res, err := cluster.GetCluster(everybody(t), &rightsizerv1.GetClusterRequest{Cluster: "uid-1"})
	require.NoError(t, err)
	assert.Equal(t, "one", res.GetCluster().GetName())
	clusters, err := fleet.ListClusters(everybody(t), &rightsizerv1.ListClustersRequest{Cluster: "uid-1"})
	require.NoError(t, err)
	assert.Len(t, clusters.GetClusters(), 1)
	assert.Empty(t, clusters.GetNextPageToken())
}

func TestListWorkloadsFiltersAndOrders(t *testing.T) {
	w := synced()
	service := rpc.NewWorkloadService(w, w, nil)
	for want, req := range map[string]*rightsizerv1.ListWorkloadsRequest{
		"bank/api bank/web shop/web shop/db": {},
		"shop/web shop/db":                   {Namespaces: []string{"shop"}},
		"shop/db":                            {Kinds: []string{"StatefulSet"}},
		"bank/web shop/web":                  {NameContains: "we"},
		"bank/api shop/web":                  {WithProblems: true, OrderBy: "open_problems"},
		"shop/db bank/web shop/web bank/api": {OrderBy: "restarts"},
		"shop/db bank/web shop/web":          {OrderBy: "cpu_requested", PageSize: 3},
		"bank/api shop/web bank/web shop/db": {OrderBy: "memory_requested"},
		"":                                   {Namespaces: []string{"none"}},
	} {
		res, err := service.ListWorkloads(everybody(t), req)
		require.NoError(t, err)
		assert.Equal(t, want, strings.Join(names(res.GetWorkloads()), " "), req.String())
		if req.GetPageSize() == 0 {
			assert.Len(t, res.GetWorkloads(), int(res.GetTotalSize()))
			assert.Empty(t, res.GetNextPageToken())
		}
	}
}

func TestListPagesSeeEachEntryOnceWhileOthersComeAndGo(t *testing.T) {
	w := synced()
	w.workloads = nil
	for i := range 50 {
		w.workloads = append(w.workloads, workload("ns", "Deployment", fmt.Sprintf("w-%02d", i), int32(i%5), 0))
	}
	service := rpc.NewWorkloadService(w, w, nil)
	for _, orderBy := range []string{"name", "restarts"} {
		req := &rightsizerv1.ListWorkloadsRequest{PageSize: 7, OrderBy: orderBy}
		var seen []string
		for {
			rand.Shuffle(len(w.workloads), func(i, j int) { w.workloads[i], w.workloads[j] = w.workloads[j], w.workloads[i] })
			w.workloads = append(w.workloads, workload("aaa", "Deployment", "new-"+req.GetPageToken(), 99, 0))
			res, err := service.ListWorkloads(everybody(t), req)
			require.NoError(t, err)
			for _, name := range names(res.GetWorkloads()) {
				if strings.HasPrefix(name, "ns/") {
					seen = append(seen, name)
				}
			}
			if res.GetNextPageToken() == "" {
				break
			}
			req.PageToken = res.GetNextPageToken()
		}
		assert.Len(t, seen, 50, orderBy)
		slices.Sort(seen)
		assert.Len(t, slices.Compact(seen), 50, orderBy)
	}
}

func TestListPagesOfLargeEntries(t *testing.T) {
	w := synced()
	w.workloads = nil
	for i := range 20 {
		large := workload("ns", "Deployment", fmt.Sprintf("w-%02d", i), 0, 0)
		large.Uid = strings.Repeat("u", 100<<10)
		w.workloads = append(w.workloads, large)
	}
	service := rpc.NewWorkloadService(w, w, nil)
	req := &rightsizerv1.ListWorkloadsRequest{PageSize: 1000}
	var seen []string
	for {
		res, err := service.ListWorkloads(everybody(t), req)
		require.NoError(t, err)
		assert.Less(t, proto.Size(res), 600<<10)
		seen = append(seen, names(res.GetWorkloads())...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	assert.Len(t, seen, 20)
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(seen))), 20)
}

func TestListPagesOfVeryLongNames(t *testing.T) {
	w := synced()
	w.workloads = nil
	long := strings.Repeat("n", 250)
	for i := range 5 {
		w.workloads = append(w.workloads, workload(strings.Repeat("s", 63), strings.Repeat("K", 63), fmt.Sprintf("%s-%d", long, i), 0, 0))
	}
	service := rpc.NewWorkloadService(w, w, nil)
	req := &rightsizerv1.ListWorkloadsRequest{PageSize: 2}
	total := 0
	for {
		res, err := service.ListWorkloads(everybody(t), req)
		require.NoError(t, err)
		total += len(res.GetWorkloads())
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			break
		}
		assert.LessOrEqual(t, len(req.GetPageToken()), 512)
	}
	assert.Equal(t, 5, total)
}

func TestListNodes(t *testing.T) {
	w := synced()
	service := rpc.NewClusterService(w, w)
	first, err := service.ListNodes(everybody(t), &rightsizerv1.ListNodesRequest{PageSize: 2})
	require.NoError(t, err)
	assert.Equal(t, "a", first.GetNodes()[0].GetName())
	assert.Equal(t, int32(3), first.GetTotalSize())
	second, err := service.ListNodes(everybody(t), &rightsizerv1.ListNodesRequest{PageSize: 2, PageToken: first.GetNextPageToken()})
	require.NoError(t, err)
	require.Len(t, second.GetNodes(), 1)
	assert.Equal(t, "c", second.GetNodes()[0].GetName())
}

func TestGetWorkload(t *testing.T) {
	w := synced()
	service := rpc.NewWorkloadService(w, w, nil)
	res, err := service.GetWorkload(everybody(t), &rightsizerv1.GetWorkloadRequest{Namespace: "shop", Kind: "Deployment", Name: "web"})
	require.NoError(t, err)
	assert.Equal(t, "web", res.GetWorkload().GetRef().GetName())
	_, err = service.GetWorkload(everybody(t), &rightsizerv1.GetWorkloadRequest{Namespace: "shop", Kind: "Deployment", Name: "nope"})
	assert.Equal(t, connect.CodeNotFound, connect.CodeOf(err))
	require.ErrorContains(t, err, `Deployment/nope in namespace shop`)
	assert.Equal(t, "nope", rpcerr.Info(err).GetMetadata()["workload_name"])
}

func TestHealthIsTheWorst(t *testing.T) {
	w := synced()
	w.open = true
	w.components = append(w.components, &rightsizerv1.ComponentHealth{Component: "watch/pods", State: rightsizerv1.HealthState_HEALTH_STATE_DEGRADED})
	res, err := rpc.NewClusterService(w, w).GetHealth(everybody(t), &rightsizerv1.GetHealthRequest{})
	require.NoError(t, err)
	assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, res.GetState())
	assert.True(t, res.GetOpen())
}

// FuzzPageToken sends garbage as token: an answer or invalid_argument, no panic.
func FuzzPageToken(f *testing.F) {
	w := synced()
	service := rpc.NewWorkloadService(w, w, nil)
	first, err := service.ListWorkloads(context.Background(), &rightsizerv1.ListWorkloadsRequest{PageSize: 1})
	require.NoError(f, err)
	f.Add(first.GetNextPageToken())
	f.Add("AAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := service.ListWorkloads(everybody(t), &rightsizerv1.ListWorkloadsRequest{PageSize: 1, PageToken: token}); err != nil {
			require.Equal(t, rpcerr.ReasonPageToken, rpcerr.Reason(err))
		}
	})
}

func retryInfo(t *testing.T, err error) *errdetails.RetryInfo {
	t.Helper()
	var coded *connect.Error
	require.ErrorAs(t, err, &coded)
	for _, d := range coded.Details() {
		if value, err := d.Value(); err == nil {
			if info, ok := value.(*errdetails.RetryInfo); ok {
				return info
			}
		}
	}
	require.Fail(t, "no RetryInfo")
	return nil
}

// Who may see some namespaces sees these, and neither names nor numbers of others.
func TestANamespacedCallerGetsANamespacedAnswer(t *testing.T) {
	w := synced()
	service := rpc.NewWorkloadService(w, w, nil)
	shop := auth.WithGrant(t.Context(), auth.Only("shop"))
	res, err := service.ListWorkloads(shop, &rightsizerv1.ListWorkloadsRequest{AllowedOnly: true, PageSize: 1})
	require.NoError(t, err)
	assert.EqualValues(t, 2, res.GetTotalSize(), "the total is of what may be seen")
	assert.Equal(t, []string{"shop/web"}, names(res.GetWorkloads()))
	rest, err := service.ListWorkloads(shop, &rightsizerv1.ListWorkloadsRequest{AllowedOnly: true, PageSize: 1, PageToken: res.GetNextPageToken()})
	require.NoError(t, err)
	assert.Equal(t, []string{"shop/db"}, names(rest.GetWorkloads()))
	assert.Empty(t, rest.GetNextPageToken())
	nobody, err := service.ListWorkloads(t.Context(), &rightsizerv1.ListWorkloadsRequest{})
	require.NoError(t, err)
	assert.Empty(t, nobody.GetWorkloads(), "what nobody has authorized shows nothing")
	assert.Zero(t, nobody.GetTotalSize())

	w.cluster = &rightsizerv1.Cluster{}
	w.components = []*rightsizerv1.ComponentHealth{{Component: "watch/pods", State: rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, Reason: "1 object is not understood: bank/api"}}
	_, err = service.ListWorkloads(shop, &rightsizerv1.ListWorkloadsRequest{AllowedOnly: true})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "bank")
}
