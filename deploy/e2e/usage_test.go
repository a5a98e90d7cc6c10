package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// What is used is read from the metrics API and from the nodes themselves, told by
// GetWorkload, kept for QueryMetrics, and too much of it is an event.
func TestUsageIsMeasured(t *testing.T) {
	for _, source := range []string{"metrics-api", "kubelet"} {
		t.Run(source, func(t *testing.T) {
			namespace := "usage-" + source
			o := serve(t, cluster.KubeconfigPath(), "--usage-sources="+source, "--usage-interval=5s", "--exhaustion-after=10s").ready()
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			heard := o.overhear(ctx, "MemoryNearLimit", fmt.Sprintf(`{"eventTypes":["resource.exhaustion"],"namespaces":[%q]}`, namespace))
			require.NoError(t, cluster.Apply(ctx, "under-provisioned", namespace))
			defer cluster.Remove(context.Background(), "under-provisioned", namespace) //nolint:errcheck // the cluster goes anyway

			var w *rightsizerv1.Workload
			require.Eventually(t, func() bool {
				got, err := o.workloadClient().GetWorkload(ctx, &rightsizerv1.GetWorkloadRequest{Namespace: namespace, Kind: "Deployment", Name: "search"})
				if err != nil {
					return false
				}
				w = got.GetWorkload()
				return w.GetUsed().GetMemoryBytes() > 400<<20 && w.GetUsed().GetCpuMillis() > 300
			}, 2*patience, poll, "two pods use 240 Mi and 230 m each")
			assert.InEpsilon(t, 480<<20, w.GetUsed().GetMemoryBytes(), 0.05)
			assert.InEpsilon(t, 460, w.GetUsed().GetCpuMillis(), 0.25)
			assert.InEpsilon(t, 240<<20, w.GetContainers()[0].GetUsed().GetMemoryBytes(), 0.05)

			event := <-heard
			require.NotEmpty(t, event, "the WebSocket ended before it said so")
			assert.Contains(t, event, `"search"`)
			assert.Contains(t, event, `"resource":"memory"`)

			query := fmt.Sprintf(`{"metric":"container_memory_usage","filter":{"namespace":%q},"groupBy":["workload"],"step":"60s"}`, namespace)
			var answer struct {
				Unit   string
				Series []struct {
					Labels map[string]string
					Points []struct{ Value float64 }
				}
			}
			require.Eventually(t, func() bool {
				require.NoError(t, json.Unmarshal([]byte(o.curl("rightsizer.v1.MetricsService/QueryMetrics", query)), &answer))
				return len(answer.Series) > 0
			}, 2*patience, poll)
			assert.Equal(t, "bytes", answer.Unit)
			assert.Equal(t, "search", answer.Series[0].Labels["workload"])
			assert.InEpsilon(t, 480<<20, answer.Series[0].Points[0].Value, 0.05)
			assert.Contains(t, o.curl("rightsizer.v1.MetricsService/ListMetrics", `{}`), "node_cpu_usage")

			cluster, err := o.clusterClient().GetCluster(ctx, &rightsizerv1.GetClusterRequest{})
			require.NoError(t, err)
			assert.Positive(t, cluster.GetCluster().GetUsed().GetMemoryBytes())
		})
	}
}

// overhear opens a WebSocket with a filter, and reads it from then on, so that its
// pings are answered; the first message that holds a text comes through the
// channel, which is closed where none comes.
func (o *operator) overhear(ctx context.Context, text, filter string) <-chan string {
	o.t.Helper()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(o.events, "http")+"/events", nil)
	require.NoError(o.t, err)
	o.t.Cleanup(func() { _ = conn.CloseNow() })
	require.NoError(o.t, conn.Write(ctx, websocket.MessageText, []byte(filter)))
	found := make(chan string, 1)
	go func() {
		defer close(found)
		for {
			_, data, err := conn.Read(ctx)
			if err != nil {
				return
			}
			if strings.Contains(string(data), text) {
				found <- string(data)
				return
			}
		}
	}()
	return found
}
