package e2e_test

import (
	"bytes"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// board is a webhook that reads with the SDKs of the standards, and answers.
type board struct {
	*httptest.Server

	mu     sync.Mutex
	answer string
	came   map[string][]*rightsizerv1.Remediation // by the message's type
	wrong  []error
}

// callable makes one, and the flags with which an operator calls it: its certificate,
// and its secret for policies of a namespace.
func callable(t *testing.T, namespace string) (*board, []string) {
	t.Helper()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	b := &board{came: map[string][]*rightsizerv1.Remediation{}, answer: `{"decision":"none"}`}
	b.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, err := authentic(r, verifier)
		decision := &rightsizerv1.Remediation{}
		if err == nil {
			err = protojson.Unmarshal(event.Data(), decision)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if err != nil {
			b.wrong = append(b.wrong, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		assert.Equal(t, decision.GetName(), event.ID(), "the idempotency key")
		b.came[event.Type()] = append(b.came[event.Type()], decision)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, b.answer)
	}))
	t.Cleanup(b.Close)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.Certificate().Raw}), 0o600))
	place := filepath.Join(dir, "secrets", namespace, "board")
	require.NoError(t, os.MkdirAll(place, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(place, "secret"), []byte(secret), 0o600))
	return b, []string{"--outbound-networks=127.0.0.0/8", "--webhook-ca-file=" + ca, "--webhook-secrets=" + filepath.Join(dir, "secrets")}
}

// authentic reads a message with the SDKs of the standards: signed, and a CloudEvent.
func authentic(r *http.Request, verifier *standardwebhooks.Webhook) (*cloudevents.Event, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := verifier.Verify(body, r.Header); err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	event, err := cloudevents.NewEventFromHTTPRequest(r)
	if err != nil {
		return nil, err
	}
	return event, event.Validate()
}

// says has it answer from now on.
func (b *board) says(answer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

// of are the decisions that came in messages of a type.
func (b *board) of(kind string) []*rightsizerv1.Remediation {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.came["dev.rightsizer.remediation."+kind]
}

func (b *board) hook(answer string) []any {
	return []any{map[string]any{"name": "board", "url": b.URL + "/in", "answer": answer, "secretRef": map[string]any{"name": "board"}}}
}

// A policy's webhook approves in a person's place, then vetoes; what it said is in
// the record.
func TestAWebhookDecides(t *testing.T) {
	const namespace = "asked"
	b, flags := callable(t, namespace)
	governed(t, namespace, "approve", map[string]any{"webhooks": b.hook("Decide")})
	b.says(`{"decision":"approve","reason":"change 4711"}`)
	o := serve(t, cluster.KubeconfigPath(), flags...).ready()
	hungry(t, namespace, "welcome", 1, "64Mi", "100", looping)
	r := o.waitState(namespace, "welcome", rightsizerv1.RemediationState_REMEDIATION_STATE_SUCCEEDED)
	assert.Equal(t, "webhook:board", r.GetDecidedBy())
	assert.GreaterOrEqual(t, memoryLimit(&podsOf(t, namespace, "app=welcome")[0]), int64(100))

	b.says(`{"decision":"veto","reason":"a freeze"}`)
	hungry(t, namespace, "unwelcome", 1, "64Mi", "100", looping)
	r = o.waitState(namespace, "unwelcome", rightsizerv1.RemediationState_REMEDIATION_STATE_REJECTED)
	assert.Contains(t, r.GetMessage(), "a freeze")
	assert.EqualValues(t, 64, memoryLimit(&podsOf(t, namespace, "app=unwelcome")[0]))
	assert.NotEmpty(t, b.of("consult"))
	assert.Empty(t, b.wrong)
}

// What Argo CD owns is not changed: the patch is an event, a webhook's message and a
// download. Under persistence Export so is the size of what was cured in place.
func TestWhatGitOpsOwnsIsExported(t *testing.T) {
	const namespace = "gitops"
	b, flags := callable(t, namespace)
	governed(t, namespace, "auto", map[string]any{
		"webhooks": b.hook("Ignore"), "persistence": "Export", "modes": []any{map[string]any{"action": "scale", "mode": "Auto"}},
	})
	o := serve(t, cluster.KubeconfigPath(), flags...).ready()
	h := hear(t.Context(), t, o, "remediation.*")
	hungry(t, namespace, "owned", 1, "64Mi", "100", looping)
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	k := objects{t, client, namespace}
	k.patchDeployment(t.Context(), "owned", `{"metadata":{"annotations":{"argocd.argoproj.io/tracking-id":"owned:apps/Deployment:gitops/owned"}}}`)

	ev := h.waitFor(t, "the size is handed over", func(ev *rightsizerv1.Event) bool {
		return ev.GetType() == "remediation.succeeded" && ev.GetNamespace() == namespace && ev.GetRemediation().GetAction() == "export"
	})
	assert.Contains(t, ev.GetRemediation().GetDiff(), "/spec/template/spec/containers/0/resources/limits/memory")
	out, err := o.cli("remediations", "get", ev.GetObject().GetName(), "-n", namespace, "-o", "patch")
	require.NoError(t, err, out)
	assert.Contains(t, out, "kind: Deployment")
	assert.Contains(t, out, "memory:")
	require.Eventually(t, func() bool { return len(b.of("export")) > 0 }, patience, poll)
	assert.Equal(t, strings.TrimSpace(out), strings.TrimSpace(b.of("export")[0].GetPatch()))
	assert.GreaterOrEqual(t, memoryLimit(&podsOf(t, namespace, "app=owned")[0]), int64(100), "the pod is cured meanwhile")
	d, err := client.AppsV1().Deployments(namespace).Get(t.Context(), "owned", metav1.GetOptions{})
	require.NoError(t, err)
	assert.EqualValues(t, 64<<20, d.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value())

	_, err = o.remediationClient().CreateRemediation(t.Context(), &rightsizerv1.CreateRemediationRequest{
		Namespace: namespace, Kind: "Deployment", Name: "owned", Action: &rightsizerv1.RemediationAction{Kind: "scale", Replicas: 2},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(b.of("export")) > 1 }, patience, poll)
	assert.Contains(t, b.of("export")[len(b.of("export"))-1].GetPatch(), "replicas: 2")
	d, err = client.AppsV1().Deployments(namespace).Get(t.Context(), "owned", metav1.GetOptions{})
	require.NoError(t, err)
	assert.EqualValues(t, 1, *d.Spec.Replicas)

	called, err := o.remediationClient().CreateRemediation(t.Context(), &rightsizerv1.CreateRemediationRequest{
		Namespace: namespace, Kind: "Deployment", Name: "owned",
		Action: &rightsizerv1.RemediationAction{Kind: "webhook", Parameters: map[string]string{"webhook": "board"}},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(b.of("webhook")) > 0 }, patience, poll)
	assert.Equal(t, called.GetRemediation().GetName(), b.of("webhook")[0].GetName())
	assert.Empty(t, b.wrong)
}
