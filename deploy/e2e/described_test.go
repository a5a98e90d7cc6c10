package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	liberrors "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// description is the OpenAPI document, by which requests and answers are judged.
type description struct {
	t     *testing.T
	model *v3.Document
	judge validator.Validator
}

// described reads the document. Answers may have fields of a later version, by what it
// says; those of this very version may not, so its objects are closed here.
func described(t *testing.T) *description {
	t.Helper()
	text, err := os.ReadFile("../../gen/openapi/rightsizer.v1.yaml")
	require.NoError(t, err)
	var tree map[string]any
	require.NoError(t, yaml.Unmarshal(text, &tree))
	closed := 0
	schemas, ok := tree["components"].(map[string]any)["schemas"].(map[string]any)
	require.True(t, ok)
	for _, schema := range schemas {
		object, ok := schema.(map[string]any)
		require.True(t, ok)
		if object["type"] == "object" && object["additionalProperties"] == nil {
			object["additionalProperties"] = false
			closed++
		}
	}
	require.Greater(t, closed, 30)
	text, err = yaml.Marshal(tree)
	require.NoError(t, err)
	document, err := libopenapi.NewDocument(text)
	require.NoError(t, err)
	built, err := document.BuildV3Model()
	require.NoError(t, err)
	judge, errs := validator.NewValidator(document)
	require.Empty(t, errs)
	return &description{t, &built.Model, judge}
}

// call sends a request that the document describes, and holds the answer to it. Of a
// request that is wrong on purpose the answer alone is judged.
func (d *description) call(o *operator, way, method, request string, want int) string {
	d.t.Helper()
	target := o.url + "/rightsizer.v1." + method
	body := request
	if way == http.MethodGet {
		target += "?" + url.Values{"connect": {"v1"}, "encoding": {"json"}, "message": {request}}.Encode()
		body = ""
	}
	send := func() *http.Request {
		req, err := http.NewRequestWithContext(d.t.Context(), way, target, strings.NewReader(body))
		require.NoError(d.t, err)
		if way == http.MethodPost {
			req.Header.Set("Content-Type", "application/json")
		}
		return req
	}
	resp, err := http.DefaultClient.Do(send())
	require.NoError(d.t, err)
	answer, err := io.ReadAll(resp.Body)
	require.NoError(d.t, errors.Join(err, resp.Body.Close()))
	require.Equalf(d.t, want, resp.StatusCode, "%s %s %s: %s", way, method, request, answer)
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	if want == http.StatusOK {
		_, problems := d.judge.ValidateHttpRequest(send())
		d.report("request "+way+" "+method+" "+request, problems)
	}
	_, problems := d.judge.ValidateHttpResponse(send(), resp)
	d.report(fmt.Sprintf("answer %s %s %s: %.2000s", way, method, request, answer), problems)
	return string(answer)
}

func (d *description) report(of string, problems []*liberrors.ValidationError) {
	d.t.Helper()
	for _, p := range problems {
		d.t.Errorf("%s\n%s: %s", of, p.Message, p.Reason)
		for _, s := range p.SchemaValidationErrors {
			d.t.Errorf("%s: %s", s.FieldPath, s.Reason)
		}
	}
}

// message holds one message of a stream to its schema.
func (d *description) message(text []byte) {
	d.t.Helper()
	schema, ok := d.model.Components.Schemas.Get("StreamEventsResponse")
	require.True(d.t, ok)
	_, problems := schema_validation.NewSchemaValidator().ValidateSchemaBytesWithVersion(schema.Schema(), text, 3.1)
	d.report("message "+string(text), problems)
}

// What the operator really takes and answers is what the OpenAPI document says: each RPC
// by POST and, where it has one, by GET, with something in each answer; errors; and the
// messages of a stream and of the WebSocket.
func TestTheAnswersAreAsDescribed(t *testing.T) {
	const namespace = "described"
	governed(t, namespace, "approve", nil)
	hungry(t, namespace, "app", 1, "64Mi", "100", resting)
	hungry(t, namespace, "other", 1, "64Mi", "100", resting)
	o := serve(t, cluster.KubeconfigPath(), "--usage-sources=metrics-api", "--usage-interval=5s").ready()
	d := described(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()

	r := o.waitState(namespace, "app", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL)
	other := o.waitState(namespace, "other", rightsizerv1.RemediationState_REMEDIATION_STATE_PENDING_APPROVAL)
	require.Eventually(t, func() bool { // the first usage is awaited
		_, err := o.workloadClient().ListRecommendations(ctx, &rightsizerv1.ListRecommendationsRequest{Namespaces: []string{namespace}})
		return err == nil
	}, 2*patience, poll)
	d.stream(ctx, o, namespace)

	in := fmt.Sprintf(`{"namespaces":[%q],"pageSize":100}`, namespace)
	one := fmt.Sprintf(`{"namespace":%q,"kind":"Deployment","name":"app"}`, namespace)
	named := fmt.Sprintf(`{"namespace":%q,"name":%q}`, namespace, r.GetName())
	container := strings.TrimSuffix(one, "}") + `,"container":"app"}`
	for _, c := range []struct{ method, request, holds string }{
		{"ClusterService/GetCluster", `{}`, `"capacity"`},
		{"ClusterService/GetHealth", `{}`, `"components"`},
		{"ClusterService/ListNodes", `{"pageSize":2}`, `"nextPageToken"`},
		{"FleetService/ListClusters", `{}`, `"clusters"`},
		{"EventService/ListEvents", fmt.Sprintf(`{"filter":{"namespaces":[%q],"minSeverity":"warning","severities":["SEVERITY_ERROR","critical"]},"pageSize":100}`, namespace), `"oomKilled"`},
		{"EventService/ListIncidents", in, `"incidents"`},
		{"EventService/ListConnections", `{}`, ``},
		{"WorkloadService/ListWorkloads", in, `"containers"`},
		{"WorkloadService/GetWorkload", one, `"problems"`},
		{"WorkloadService/ListRecommendations", in, ``},
		{"WorkloadService/GetSavings", in[:strings.Index(in, ",")] + "}", `"total"`},
		{"MetricsService/ListMetrics", `{}`, `"retention"`},
		{"MetricsService/QueryMetrics", fmt.Sprintf(`{"metric":"container_memory_usage","filter":{"namespace":%q},"step":"60s","aggregation":"AGGREGATION_MAX"}`, namespace), ``},
		{"RemediationService/GetRemediation", named, `"etag"`},
		{"RemediationService/ListRemediations", in, `"riskReasons"`},
		{"PolicyService/ListPolicies", in, `"policies"`},
		{"PolicyService/ExplainPolicy", one, `"matches"`},
		{"AuditService/ListAuditRecords", in, `"previousHash"`},
		{"AuditService/VerifyAudit", `{}`, `"valid":true`},
	} {
		for _, way := range []string{http.MethodPost, http.MethodGet} {
			assert.Containsf(t, d.call(o, way, c.method, c.request, http.StatusOK), c.holds, "%s", c.method)
		}
	}
	d.call(o, http.MethodPost, "RemediationService/CreateRemediation", strings.TrimSuffix(container, "}")+
		`,"action":{"kind":"resize_in_place","limits":{"memoryBytes":"134217728"}},"validateOnly":true}`, http.StatusOK)
	d.call(o, http.MethodPost, "RemediationService/ApproveRemediation", strings.TrimSuffix(named, "}")+`,"etag":"1"}`, http.StatusConflict)
	d.call(o, http.MethodPost, "RemediationService/ApproveRemediation", strings.TrimSuffix(named, "}")+`,"reason":"seen"}`, http.StatusOK)
	d.call(o, http.MethodPost, "RemediationService/RejectRemediation", fmt.Sprintf(`{"namespace":%q,"name":%q}`, namespace, other.GetName()), http.StatusOK)
	o.waitState(namespace, "app", rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
	d.call(o, http.MethodGet, "RemediationService/GetRemediation", named, http.StatusOK)
	d.call(o, http.MethodPost, "RemediationService/RollbackRemediation", named, http.StatusOK)

	for _, c := range []struct {
		method, request string
		status          int
	}{
		{"EventService/ListEvents", `{"filter":{"sevrities":[]}}`, http.StatusBadRequest},
		{"EventService/ListEvents", `{"pageSize":-1}`, http.StatusBadRequest},
		{"ClusterService/GetCluster", `{"cluster":"another"}`, http.StatusNotFound},
		{"WorkloadService/GetRecommendation", strings.Replace(container, `"app"`, `"nobody"`, 1), http.StatusNotFound},
		{"RemediationService/CancelRemediation", named, http.StatusBadRequest},
	} {
		assert.Contains(t, d.call(o, http.MethodPost, c.method, c.request, c.status), `"debug"`)
	}
}

// stream reads a snapshot by both ways that the document has for it.
func (d *description) stream(ctx context.Context, o *operator, namespace string) {
	d.t.Helper()
	filter := fmt.Sprintf(`{"namespaces":[%q]}`, namespace)
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(o.url, "http")+"/events", nil)
	require.NoError(d.t, err)
	defer conn.CloseNow() //nolint:errcheck // it was only read
	require.NoError(d.t, conn.Write(ctx, websocket.MessageText, []byte(filter)))
	seen := ""
	for !strings.Contains(seen, `"synced"`) {
		_, text, err := conn.Read(ctx)
		require.NoError(d.t, err)
		d.message(text)
		seen += string(text)
	}
	assert.Contains(d.t, seen, `"severity":"critical"`, "an event")

	request := `{"filter":` + filter + `}`
	envelope := append([]byte{0, 0, 0, 0, byte(len(request))}, request...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url+"/rightsizer.v1.EventService/StreamEvents", bytes.NewReader(envelope))
	require.NoError(d.t, err)
	req.Header.Set("Content-Type", "application/connect+json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(d.t, err)
	defer resp.Body.Close() //nolint:errcheck // it was only read
	require.Equal(d.t, http.StatusOK, resp.StatusCode)
	for seen = ""; !strings.Contains(seen, `"synced"`); {
		head := make([]byte, 5)
		_, err := io.ReadFull(resp.Body, head)
		require.NoError(d.t, err)
		text := make([]byte, int(head[1])<<24|int(head[2])<<16|int(head[3])<<8|int(head[4]))
		_, err = io.ReadFull(resp.Body, text)
		require.NoError(d.t, err)
		d.message(text)
		seen += string(text)
	}
	assert.Contains(d.t, seen, `"severity":"SEVERITY_CRITICAL"`, "an event")
}
