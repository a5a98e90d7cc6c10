package source

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const matrix = `{"status":"success","data":{"resultType":"matrix","result":[
 {"metric":{"pod":"web-1","container":"app"},"values":[[1800000000,"40.5"],[1800000300.000,"NaN"],[1800000600,"41"]]},
 {"metric":{"pod":"web-1"},"values":[[1800000000,"1"]]}]},"warnings":["partial"]}`

func past(t *testing.T, p *Prometheus, q PastQuery) ([]Past, error) {
	t.Helper()
	var out []Past
	err := p.Past(t.Context(), q, func(s *Past) { out = append(out, *s) })
	return out, err
}

func pastOf(namespace string) PastQuery {
	start := time.Unix(1_800_000_000, 0)
	return PastQuery{Namespace: namespace, Start: start, End: start.Add(24 * time.Hour), Step: 5 * time.Minute}
}

func TestThePastIsAskedOfPrometheus(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("secret\n"), 0o600))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	var asked []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/prom/api/v1/query_range", r.URL.Path)
		assert.Equal(t, "Bearer secret", r.Header.Get("Authorization"))
		assert.Equal(t, "300", r.FormValue("step"))
		assert.Equal(t, "1800000000", r.FormValue("start"))
		asked = append(asked, r.FormValue("query"))
		_, _ = fmt.Fprint(w, matrix)
	}))
	defer server.Close()
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	p, err := NewPrometheus(PrometheusOptions{URL: server.URL + "/prom/", CAFile: ca, TokenFile: token, PerSecond: 100})
	require.NoError(t, err)
	defer p.Close()
	got, err := past(t, p, pastOf(`sh"op`))
	require.NoError(t, err)
	assert.Equal(t, []Past{{Pod: "web-1", Container: "app", Times: []int64{1_800_000_000, 1_800_000_600}, Values: []float64{40.5, 41}}}, got)
	q := pastOf("shop")
	q.Memory = true
	_, err = past(t, p, q)
	require.NoError(t, err)
	assert.Equal(t, []string{
		`1000*max by (pod,container) (sum without (cpu,id,image,name) (rate(container_cpu_usage_seconds_total{namespace="sh\"op",container!="",container!="POD",pod!=""}[300s])))`,
		`max by (pod,container) (max_over_time(container_memory_working_set_bytes{namespace="shop",container!="",container!="POD",pod!=""}[300s]))`,
	}, asked)
	bare, err := NewPrometheus(PrometheusOptions{URL: server.URL})
	require.NoError(t, err)
	_, err = past(t, bare, pastOf("shop"))
	require.ErrorContains(t, err, "certificate")
}

// Of several clusters in one Prometheus only this one is asked about.
func TestASelectorNarrowsThePast(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.FormValue("query"))
		_, _ = fmt.Fprint(w, matrix)
	}))
	defer server.Close()
	p, err := NewPrometheus(PrometheusOptions{URL: server.URL, Selector: `cluster=~"eu-\\d",job!="node"`, PerSecond: 100})
	require.NoError(t, err)
	defer p.Close()
	for _, memory := range []bool{false, true} {
		q := pastOf("shop")
		q.Memory = memory
		_, err = past(t, p, q)
		require.NoError(t, err)
	}
	require.Len(t, asked, 2)
	for _, query := range asked {
		assert.Contains(t, query, `{namespace="shop",container!="",container!="POD",pod!="",cluster=~"eu-\\d",job!="node"}[300s]`)
	}
	for _, selector := range []string{`cluster`, `cluster=eu`, `cluster="eu`, `cluster="eu"} or up{job="x"`, `,`, `cluster="eu" job="x"`, `cluster="eu\"`} {
		_, err := NewPrometheus(PrometheusOptions{URL: server.URL, Selector: selector})
		require.ErrorContains(t, err, "Selector is", selector)
	}
}

// What is too large is asked for in halves, and nothing of it counts twice.
func TestATooLargePastIsAskedForInHalves(t *testing.T) {
	large := strings.Repeat(" ", promBytes+1)
	spans := make(map[string]int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, _ := strconv.ParseInt(r.FormValue("start"), 10, 64)
		end, _ := strconv.ParseInt(r.FormValue("end"), 10, 64)
		spans[r.FormValue("start")+" "+r.FormValue("end")]++
		if r.FormValue("query") != "" && (end-start > 7*3600 || strings.Contains(r.FormValue("query"), "huge")) {
			_, _ = fmt.Fprint(w, large)
			return
		}
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"pod":"p","container":"c"},"values":[[%d,"1"]]}]}}`, start)
	}))
	defer server.Close()
	p, err := NewPrometheus(PrometheusOptions{URL: server.URL, PerSecond: 100})
	require.NoError(t, err)
	got, err := past(t, p, pastOf("shop"))
	require.NoError(t, err)
	assert.Len(t, got, 4)
	assert.Len(t, spans, 7)
	seen := make(map[int64]bool)
	for _, s := range got {
		assert.False(t, seen[s.Times[0]])
		seen[s.Times[0]] = true
	}
	_, err = past(t, p, pastOf("huge"))
	require.ErrorIs(t, err, ErrTooLarge)
}

// What is too heavy for the server is asked for in halves as well; what it refuses for
// another reason is not.
func TestATooHeavyPastIsAskedForInHalves(t *testing.T) {
	for name, c := range map[string]struct {
		refuse func(w http.ResponseWriter, gone <-chan struct{})
		asked  int
	}{
		"samples":     {func(w http.ResponseWriter, _ <-chan struct{}) { w.WriteHeader(http.StatusUnprocessableEntity) }, 7},
		"time":        {func(w http.ResponseWriter, _ <-chan struct{}) { w.WriteHeader(http.StatusServiceUnavailable) }, 7},
		"proxy":       {func(w http.ResponseWriter, _ <-chan struct{}) { w.WriteHeader(http.StatusGatewayTimeout) }, 7},
		"no answer":   {func(_ http.ResponseWriter, gone <-chan struct{}) { <-gone }, 7},
		"not allowed": {func(w http.ResponseWriter, _ <-chan struct{}) { w.WriteHeader(http.StatusForbidden) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				start, _ := strconv.ParseInt(r.FormValue("start"), 10, 64)
				end, _ := strconv.ParseInt(r.FormValue("end"), 10, 64)
				if end-start > 7*3600 {
					c.refuse(w, r.Context().Done())
					return
				}
				_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"pod":"p","container":"c"},"values":[[%d,"1"]]}]}}`, start)
			}))
			defer server.Close()
			p, err := NewPrometheus(PrometheusOptions{URL: server.URL, PerSecond: 100, Timeout: 300 * time.Millisecond})
			require.NoError(t, err)
			defer p.Close()
			got, err := past(t, p, pastOf("shop"))
			if c.asked == 1 {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
				assert.Len(t, got, 4)
			}
			assert.EqualValues(t, c.asked, asked.Load())
		})
	}
}

func TestWhatPrometheusRefusesIsSaid(t *testing.T) {
	answer, code := "", http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://elsewhere.test/")
		w.WriteHeader(code)
		_, _ = fmt.Fprint(w, answer)
	}))
	defer server.Close()
	p, err := NewPrometheus(PrometheusOptions{URL: server.URL, PerSecond: 100})
	require.NoError(t, err)
	many := `{"status":"success","data":{"resultType":"matrix","result":[` + strings.Repeat(`{},`, maxContainers) + `{}]}}`
	for _, c := range []struct {
		code         int
		answer, want string
	}{
		{503, "try later", "503 Service Unavailable: try later"},
		{302, "", "302 Found"},
		{200, `{"status":"error","errorType":"timeout","error":"query timed out"}`, "timeout: query timed out"},
		{200, `<html>`, "not an answer of Prometheus"},
		{200, `{"status":"success","data":{"resultType":"vector","result":[]}}`, `resultType "vector"`},
		{200, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"pod":"p","container":"c"},"values":[["x","1"]]}]}}`, "is no time"},
		{200, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"pod":"p","container":"c"},"values":[[1,"x"]]}]}}`, "is no value"},
	} {
		code, answer = c.code, c.answer
		_, err := past(t, p, pastOf("shop"))
		require.ErrorContains(t, err, c.want)
	}
	code, answer = 200, many
	q := pastOf("shop")
	q.End = q.Start.Add(time.Hour)
	_, err = past(t, p, q)
	require.ErrorIs(t, err, ErrTooLarge)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, p.Past(gone, q, func(*Past) {}))
	for _, url := range []string{"", "prometheus:9090", "ftp://x", "http://user@x", "http://x?a=b"} {
		_, err = NewPrometheus(PrometheusOptions{URL: url})
		require.ErrorContains(t, err, "want http:// or https://", url)
	}
	_, err = NewPrometheus(PrometheusOptions{URL: "https://x", CAFile: "none.pem"})
	require.ErrorContains(t, err, "CAFile")
}

func FuzzReadMatrix(f *testing.F) {
	f.Add([]byte(matrix))
	f.Add([]byte(`{"status":"error","errorType":"bad_data","error":"x"}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":null,"values":[[],[1],[1,"+Inf"]]}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := readMatrix(raw)
		if err != nil {
			if !errors.Is(err, errNoMatrix) && !errors.Is(err, ErrTooLarge) && !strings.HasPrefix(err.Error(), "prometheus says") {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		for _, s := range got {
			if s.Pod == "" || s.Container == "" || len(s.Times) == 0 || len(s.Times) != len(s.Values) {
				t.Errorf("a series of nothing: %+v", s)
			}
			for i, v := range s.Values {
				if !(v >= 0) || math.IsInf(v, 0) || s.Times[i] < 0 {
					t.Errorf("a value that cannot be: %v at %d", v, s.Times[i])
				}
			}
		}
	})
}
