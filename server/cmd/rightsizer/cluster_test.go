package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/tunnel/tunneltest"
)

// plugin runs the program as kubectl does.
func plugin(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"/usr/local/bin/kubectl-rightsizer"}, args...), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// inCluster is an operator in a pod: behind TLS of its own, and closed to who shows
// neither a token nor a certificate, unless open.
type inCluster struct {
	repairs repairServer
	open    bool

	mu     sync.Mutex
	tokens []string
}

func (o *inCluster) serve(t *testing.T) *tunneltest.Cluster {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(rightsizerv1connect.NewRemediationServiceHandler(&o.repairs))
	backend := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("Authorization")
		o.mu.Lock()
		o.tokens = append(o.tokens, token)
		o.mu.Unlock()
		if token == "" && !o.open {
			_ = connect.NewErrorWriter().Write(w, r, connect.NewError(connect.CodeUnauthenticated, nil))
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(backend.Close)
	return tunneltest.New(t, backend.Listener.Addr().String())
}

func TestThePluginReachesTheOperatorByItself(t *testing.T) {
	o := &inCluster{}
	c := o.serve(t)
	c.User = "system:serviceaccount:ci:deployer"
	t.Setenv("KUBECONFIG", c.Kubeconfig("shop"))

	code, out, errOut := plugin(t, "remediations", "list", "--context=test")
	require.Zero(t, code, errOut)
	assert.Contains(t, out, "r-1")
	assert.Equal(t, []string{"shop"}, o.repairs.listed[0].GetNamespaces(), "the namespace of the context")
	assert.Equal(t, "Bearer ci/deployer-1", o.tokens[0])

	code, _, errOut = plugin(t, "remediations", "list", "--context=test", "-A")
	require.Zero(t, code, errOut)
	assert.Empty(t, o.repairs.listed[len(o.repairs.listed)-1].GetNamespaces())
	code, _, errOut = plugin(t, "remediations", "list", "--context=test", "-n", "other")
	require.Zero(t, code, errOut)
	assert.Equal(t, []string{"other"}, o.repairs.listed[len(o.repairs.listed)-1].GetNamespaces())

	code, out, errOut = plugin(t, "remediations", "approve", "r-7", "--context=test", "--service-account=shop/approver")
	require.Zero(t, code, errOut)
	assert.Contains(t, out, "shop/r-7")
	assert.Regexp(t, `^Bearer shop/approver-`, o.tokens[len(o.tokens)-1])

	// rightsizer itself goes there where a flag speaks of a cluster.
	code, out, errOut = call(t, "remediations", "get", "r-8", "--context=test")
	require.Zero(t, code, errOut)
	assert.Contains(t, out, "shop/r-8")
}

func TestWithoutATokenTheWayToOneIsSaid(t *testing.T) {
	o := &inCluster{}
	c := o.serve(t)
	t.Setenv("KUBECONFIG", c.Kubeconfig("shop"))
	code, _, errOut := plugin(t, "remediations", "list", "--context=test")
	assert.Equal(t, exitFailure, code)
	assert.Contains(t, errOut, "unauthenticated")
	assert.Contains(t, errOut, "--service-account")
	assert.Equal(t, []string{""}, o.tokens, "the kubeconfig's own token goes to nobody else")

	o.open = true
	code, _, errOut = plugin(t, "remediations", "list", "--context=test")
	assert.Zero(t, code, errOut)
}

func TestTheWayThroughTheClusterWhereItFails(t *testing.T) {
	o := &inCluster{open: true}
	c := o.serve(t)
	t.Setenv("KUBECONFIG", c.Kubeconfig("shop"))
	for line, want := range map[string]struct {
		code   int
		errOut string
	}{
		"remediations list --context=absent":                             {exitUsage, "kubeconfig: context \"absent\" does not exist"},
		"remediations list":                                              {exitFailure, "connection refused"}, // the current context
		"remediations list --context=test --operator-namespace=other":    {exitFailure, "no operator is ready in namespace \"other\""},
		"remediations list --context=test --server=http://x":             {exitUsage, "give one of them"},
		"remediations list --context=test -A -n shop":                    {exitUsage, "--all-namespaces: contradicts --namespace"},
		"remediations list --context=test --service-account=x":           {exitUsage, "wants NAMESPACE/NAME"},
		"remediations list --context=test --token-file=/nope":            {exitFailure, "--token-file: "},
		"remediations list --context=test --server-ca-file=/nope":        {exitUsage, "--server-ca-file: "},
		"remediations list --context=test --server-fingerprint=" + zeros: {exitFailure, "another fingerprint"},
		"remediations list --kubeconfig=/nope":                           {exitUsage, "/nope"},
	} {
		code, _, errOut := plugin(t, strings.Fields(line)...)
		assert.Equal(t, want.code, code, "%s: %s", line, errOut)
		assert.Contains(t, errOut, want.errOut, line)
	}
}

var zeros = strings.Repeat("0", 64)

func TestCompletion(t *testing.T) {
	o := &inCluster{open: true}
	c := o.serve(t)
	t.Setenv("KUBECONFIG", c.Kubeconfig("shop"))
	for line, want := range map[string]string{
		"remediations approve --context=test r-": "r-1\tweb resize_in_place pending_approval\n",
		"events --context=":                      "nowhere\ntest\n:4\n",
		"remediations list --state=pend":         "proposed\npending_approval\n",
		"events --server=http://127.0.0.1:1 -n ": ":4\n", // nobody to ask
	} {
		args := strings.Split(line, " ")
		code, out, _ := plugin(t, append([]string{"__complete"}, args...)...)
		require.Zero(t, code, line)
		assert.Contains(t, out, want, line)
	}
	assert.Equal(t, waiting, o.repairs.listed[0].GetStates(), "what can be approved")
}

func TestVersionAndConfigInEachForm(t *testing.T) {
	for line, want := range map[string]string{
		"version -o json":                        `{"version":"dev","goVersion":"go`,
		"version -o yaml":                        "version: dev\n",
		"config check -o json":                   `{"valid":true,"problems":[],"warnings":[]}`,
		"config check -o yaml --log-level=loud":  "problems:\n- key: log-level\n  place: flag --log-level\n  value: loud\n  want: wants one of debug, info, warn, error\nvalid: false\n",
		"config print -o table --log-level=warn": "log-level                     warn            flag --log-level\n",
		"config print -o json --log-level=warn":  `{"key":"log-level","value":"warn","place":"flag --log-level"}`,
	} {
		_, out, _ := call(t, strings.Fields(line)...)
		assert.Contains(t, strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(want), " "), line)
	}
	code, _, _ := call(t, "config", "check", "-o", "json", "--log-level=loud")
	assert.Equal(t, exitUsage, code)
	for _, line := range []string{"version -o xml", "config check -o xml", "config print -o xml"} {
		code, _, errOut := call(t, strings.Fields(line)...)
		assert.Equal(t, exitUsage, code, line)
		assert.Contains(t, errOut, "table, json or yaml")
	}
}
