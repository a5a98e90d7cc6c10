package webhook_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/outbound"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
	"github.com/rightsizer/rightsizer/remediate/webhook"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receiver answers and remembers what came.
type receiver struct {
	*httptest.Server

	answer  string
	status  int
	headers http.Header
	event   struct {
		ID, Source, Type, Subject string
		Data                      json.RawMessage
	}
}

func receive(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusOK}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		assert.NoError(t, err)
		r.headers = req.Header.Clone()
		assert.NoError(t, json.Unmarshal(body, &r.event))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, r.answer)
	}))
	t.Cleanup(r.Close)
	return r
}

// caller calls it, with secrets in namespaces shop and rightsizer.
func caller(t *testing.T, r *receiver, networks ...string) *webhook.Caller {
	t.Helper()
	dir := t.TempDir()
	for _, namespace := range []string{"shop", "rightsizer"} {
		place := filepath.Join(dir, namespace, "hook")
		require.NoError(t, os.MkdirAll(place, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(place, "secret"), []byte(secret), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "shop", "hook", "empty"), nil, 0o600))
	if networks == nil {
		networks = []string{"127.0.0.0/8"}
	}
	guard, err := outbound.NewGuard(networks...)
	require.NoError(t, err)
	c, err := webhook.New(webhook.Options{
		Guard: guard, Secrets: dir, OperatorNamespace: "rightsizer", Cluster: func() string { return "c-1" },
		RootCAs: r.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs,
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func hook(r *receiver, answer v1alpha1.WebhookAnswer) *v1alpha1.Webhook {
	return &v1alpha1.Webhook{
		Name: "change-board", URL: r.URL + "/in", Answer: answer, Timeout: v1alpha1.Of(5 * time.Second),
		SecretRef: &v1alpha1.SecretKeyRef{Name: "hook", Key: "secret"},
	}
}

func decision() *rightsizerv1.Remediation {
	return &rightsizerv1.Remediation{
		Namespace: "shop", Name: "d-1", Diff: "[]", Action: &rightsizerv1.RemediationAction{Kind: "export"},
		Targets: []*rightsizerv1.RemediationTarget{{Pod: "p"}},
	}
}

func TestACallIsASignedCloudEventWithTheDecisionForItsKey(t *testing.T) {
	t.Parallel()
	r := receive(t)
	_, err := caller(t, r).Call(t.Context(), action.HandOut, "shop", hook(r, v1alpha1.WebhookIgnore), decision())
	require.NoError(t, err)
	assert.Equal(t, "d-1", r.headers.Get("Webhook-Id"))
	assert.True(t, strings.HasPrefix(r.headers.Get("Webhook-Signature"), "v1,"))
	assert.Equal(t, "d-1", r.event.ID)
	assert.Equal(t, "/clusters/c-1", r.event.Source)
	assert.Equal(t, "dev.rightsizer.remediation.export", r.event.Type)
	assert.Equal(t, "shop/Remediation/d-1", r.event.Subject)
	var got rightsizerv1.Remediation
	require.NoError(t, protojson.Unmarshal(r.event.Data, &got))
	assert.Equal(t, "export", got.GetAction().GetKind())
	assert.Empty(t, got.GetTargets())
}

func TestAnAnswerDecidesWhereThePolicyLetsIt(t *testing.T) {
	t.Parallel()
	r := receive(t)
	c := caller(t, r)
	for _, one := range []struct {
		answer string
		mode   v1alpha1.WebhookAnswer
		want   action.Answer
		wrong  string
	}{
		{`{"decision":"veto","reason":"a freeze"}`, v1alpha1.WebhookVeto, action.Answer{Veto: true, Reason: "a freeze"}, ""},
		{`{"decision":"approve","reason":"fine"}`, v1alpha1.WebhookDecide, action.Answer{Approve: true, Reason: "fine"}, ""},
		{`{"decision":"none"}`, v1alpha1.WebhookDecide, action.Answer{}, ""},
		{``, v1alpha1.WebhookVeto, action.Answer{}, ""},
		{`{"decision":"veto"}`, v1alpha1.WebhookIgnore, action.Answer{}, ""},
		{`{"decision":"perhaps"}`, v1alpha1.WebhookVeto, action.Answer{}, "perhaps"},
	} {
		r.answer = one.answer
		got, err := c.Call(t.Context(), action.Consult, "shop", hook(r, one.mode), decision())
		if one.wrong != "" {
			require.ErrorContains(t, err, one.wrong)
			continue
		}
		require.NoError(t, err, one.answer)
		assert.Equal(t, one.want, got, one.answer)
	}
	unsigned := hook(r, v1alpha1.WebhookVeto)
	unsigned.SecretRef = nil
	_, err := c.Call(t.Context(), action.Consult, "shop", unsigned, decision())
	require.ErrorContains(t, err, "not signed")
}

func TestSecretsAreThoseOfThePolicysOwnNamespace(t *testing.T) {
	t.Parallel()
	r := receive(t)
	c := caller(t, r)
	call := func(namespace, name, key string) error {
		h := hook(r, v1alpha1.WebhookIgnore)
		h.SecretRef = &v1alpha1.SecretKeyRef{Name: name, Key: key}
		_, err := c.Call(t.Context(), action.Consult, namespace, h, decision())
		return err
	}
	require.NoError(t, call("shop", "hook", "secret"))
	require.NoError(t, call("", "hook", "secret"), "the operator's for a ClusterRightSizerPolicy")
	for _, one := range [][3]string{
		{"other", "hook", "secret"},
		{"shop", "../rightsizer/hook", "secret"},
		{"shop", "..", "secret"},
		{"shop", "hook", "../../rightsizer/hook/secret"},
		{"shop", "hook", "empty"},
		{"shop", "hook", "absent"},
		{"shop", ".", "hook"},
	} {
		require.ErrorContains(t, call(one[0], one[1], one[2]), "secret", "%v", one)
	}
}

func TestWhatTheGuardRefusesIsNotCalled(t *testing.T) {
	t.Parallel()
	r := receive(t)
	_, err := caller(t, r, "10.0.0.0/8").Call(t.Context(), action.Consult, "shop", hook(r, v1alpha1.WebhookIgnore), decision())
	require.ErrorContains(t, err, "may not be called")
	_, again := action.Retry(err)
	assert.False(t, again)
	narrowed := hook(r, v1alpha1.WebhookIgnore)
	narrowed.AllowedNetworks = []v1alpha1.Network{"203.0.113.0/24"}
	_, err = caller(t, r).Call(t.Context(), action.Consult, "shop", narrowed, decision())
	require.ErrorContains(t, err, "policy's list")
	assert.Empty(t, r.headers)
	r.status = http.StatusServiceUnavailable
	_, err = caller(t, r).Call(t.Context(), action.Consult, "shop", hook(r, v1alpha1.WebhookIgnore), decision())
	_, again = action.Retry(err)
	assert.True(t, again, "%v", err)
}
