package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/config"
)

// call runs the program and returns its exit code and output.
func call(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"rightsizer"}, args...), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestExitCodes(t *testing.T) {
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for line, want := range map[string]struct {
		code   int
		out    string
		errOut string
	}{
		"version":                            {0, "dev", ""},
		"config check":                       {0, "the configuration is good", ""},
		"config print --log-level=warn":      {0, `log-level: "warn"`, ""},
		"config check --log-level=loud":      {2, "", "log-level (flag --log-level) is \"loud\"; wants one of debug, info, warn, error"},
		"config":                             {2, "", "check or print"},
		"config check surplus":               {2, "", "takes no arguments"},
		"evnts":                              {2, "", "did you mean events?"},
		"anomalies list":                     {2, "", "unknown command"},
		"--no-such-flag":                     {2, "", "unknown flag"},
		"serve":                              {1, "", "no cluster to watch"},
		"serve --kubeconfig=/nope":           {2, "", "kubeconfig (flag --kubeconfig) is \"/nope\"; cannot be used: "},
		"record - --kubeconfig=/nope":        {2, "", "kubeconfig: stat /nope: no such file"},
		"serve --ring-entries=1000":          {2, "", "ring-entries (flag --ring-entries) is \"1000\"; wants a power of two"},
		"--enable-grpc=true":                 {1, "", "no cluster to watch"},
		"events --output=xml":                {2, "", "wants table, json or yaml"},
		"events --severity=loud --tag=x":     {2, "", "--tag: wants key=value"},
		"events --min-severity=loud":         {2, "", "info, warning, error, critical"},
		"events --server=nowhere":            {2, "", "wants a URL"},
		"events --after=p":                   {2, "", "--after goes with -f"},
		"events --server-fingerprint=abc":    {2, "", "64 hexadecimal digits"},
		"events --server=http://127.0.0.1:1": {1, "", "connection refused"},
		"completion bash":                    {0, "rightsizer", ""},
	} {
		code, out, errOut := call(t, strings.Fields(line)...)
		assert.Equal(t, want.code, code, "%s: %s", line, errOut)
		assert.Contains(t, out, want.out, line)
		assert.Contains(t, errOut, want.errOut, line)
	}
}

func TestTheHomeFoldersKubeconfigIsNotUsed(t *testing.T) {
	home := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(home, ".kube"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(home, ".kube", "config"), []byte("apiVersion: v1\nkind: Config\n"), 0o600))
	t.Setenv("HOME", home)
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	code, _, errOut := call(t, "serve")
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "the one in the home folder is not used")
}

func TestABadKubeconfigNamesItsVariable(t *testing.T) {
	for variable, other := range map[string]string{"KUBECONFIG": "RIGHTSIZER_KUBECONFIG", "RIGHTSIZER_KUBECONFIG": "KUBECONFIG"} {
		t.Setenv(other, "")
		t.Setenv(variable, "/nope")
		code, _, errOut := call(t, "serve")
		assert.Equal(t, exitUsage, code)
		assert.Contains(t, errOut, "kubeconfig (environment "+variable+`) is "/nope"`)
		assert.Contains(t, errOut, "no such file")
	}
}

// client-go speaks at levels below info through whatever logger it finds in its
// context, the watcher's too.
func TestClientGoIsQuietBelowInfo(t *testing.T) {
	var out bytes.Buffer
	logger := newLogger(&out, config.Config{LogFormat: "json"}, slog.LevelDebug).With(slog.String("component", "watcher"))
	ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), logr.FromSlogHandler(logger.Handler())))
	logger.DebugContext(ctx, "ours")
	source := &cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			cancel()
			return nil, errors.New("no list today")
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			cancel()
			return nil, errors.New("no watch today")
		},
	}
	cache.NewReflector(source, &corev1.Pod{}, cache.NewStore(cache.MetaNamespaceKeyFunc), 0).RunWithContext(ctx)
	assert.Contains(t, out.String(), `"msg":"ours"`)
	assert.NotContains(t, out.String(), "DEBUG+")
	assert.Equal(t, 1, strings.Count(out.String(), `"level":"DEBUG`), out.String())
}

// What client-go has to say keeps its keys apart from the operator's.
func TestKeysOfClientGoAreInAGroup(t *testing.T) {
	var out bytes.Buffer
	logger := newLogger(&out, config.Config{LogFormat: "json"}, slog.LevelInfo).With(slog.String("component", "watcher"))
	ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), logr.FromSlogHandler(logger.Handler())))
	lists := 0
	source := &cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			if lists++; lists > 1 {
				cancel()
			}
			return nil, errors.New("no list today")
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			return nil, apierrors.NewMethodNotSupported(corev1.Resource("pods"), "watch")
		},
	}
	cache.NewReflector(source, &corev1.Pod{}, cache.NewStore(cache.MetaNamespaceKeyFunc), 0).RunWithContext(ctx)
	assert.Contains(t, out.String(), "no list today")
	for line := range strings.Lines(out.String()) {
		var keys map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &keys))
		assert.NotEmpty(t, keys["client_go"], line)
		assert.ElementsMatch(t, []string{"time", "level", "msg", "component", "client_go"}, slices.Collect(maps.Keys(keys)), line)
	}
}

func TestALossIsWordedAsWhatIsKnown(t *testing.T) {
	for want, bound := range map[string]rightsizerv1.LossBound{
		"7 events":          rightsizerv1.LossBound_LOSS_BOUND_EXACT,
		"at least 7 events": rightsizerv1.LossBound_LOSS_BOUND_AT_LEAST,
		"at most 7 events":  rightsizerv1.LossBound_LOSS_BOUND_AT_MOST,
		"about 7 events":    rightsizerv1.LossBound_LOSS_BOUND_ESTIMATE,
	} {
		assert.Equal(t, want, lostText(&rightsizerv1.StreamLost{Count: 7, Bound: bound}))
	}
	assert.Equal(t, "1 event", lostText(&rightsizerv1.StreamLost{Count: 1, Exact: true, Bound: rightsizerv1.LossBound_LOSS_BOUND_EXACT}))
}

func TestKubectlPluginName(t *testing.T) {
	var out bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"/bin/kubectl-rightsizer", "events", "--help"}, &out, &out))
	assert.Contains(t, out.String(), "kubectl rightsizer events")

	// Alone it says what there is, and is no operator.
	out.Reset()
	require.Zero(t, run(t.Context(), []string{"/bin/kubectl-rightsizer"}, &out, io.Discard))
	assert.Contains(t, out.String(), "kubectl rightsizer [command]")
	assert.NotContains(t, out.String(), "Without a verb")

	// kubectl asks another program how the plugin's words go on.
	out.Reset()
	require.Zero(t, run(t.Context(), []string{"/bin/kubectl_complete-rightsizer", "remediations", "app"}, &out, io.Discard))
	assert.Regexp(t, `(?m)^approve\t.*\n:\d+$`, out.String())
}

// A token is for the server that was named, wherever that one points.
func TestATokenGoesNowhereElse(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for _, code := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
		named := httptest.NewServer(http.RedirectHandler(other.URL+"/login", code))
		file := filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(file, []byte("secret"), 0o600))
		var out bytes.Buffer
		assert.NotZero(t, run(t.Context(), []string{"rightsizer", "events", "--server=" + named.URL, "--token-file=" + file}, &out, &out))
		named.Close()
	}
	assert.Zero(t, elsewhere.Load())
}

// server plays an operator: each call of StreamEvents gets the next script.
type server struct {
	rightsizerv1connect.UnimplementedEventServiceHandler

	mu      sync.Mutex
	scripts [][]*rightsizerv1.StreamEventsResponse
	final   error
	afters  []string
	filters []*rightsizerv1.EventFilter
	pages   [][]*rightsizerv1.Event
}

func (s *server) StreamEvents(_ context.Context, req *rightsizerv1.StreamEventsRequest, out *connect.ServerStream[rightsizerv1.StreamEventsResponse]) error {
	s.mu.Lock()
	s.afters, s.filters = append(s.afters, req.GetAfter()), append(s.filters, req.GetFilter())
	if len(s.scripts) == 0 {
		defer s.mu.Unlock()
		return s.final
	}
	script := s.scripts[0]
	s.scripts = s.scripts[1:]
	s.mu.Unlock()
	for _, message := range script {
		if err := out.Send(message); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) ListEvents(_ context.Context, req *rightsizerv1.ListEventsRequest) (*rightsizerv1.ListEventsResponse, error) {
	s.filters = append(s.filters, req.GetFilter())
	res := &rightsizerv1.ListEventsResponse{Events: s.pages[0]}
	if s.pages = s.pages[1:]; len(s.pages) > 0 {
		res.NextPageToken = "more"
	}
	return res, nil
}

func serveEvents(t *testing.T, s *server) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(rightsizerv1connect.NewEventServiceHandler(s))
	h := httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return h.URL
}

func event(id, message string) *rightsizerv1.Event {
	return &rightsizerv1.Event{
		Id: id, Type: "pod.oom_killed", Severity: rightsizerv1.Severity_SEVERITY_ERROR, Namespace: "shop",
		Workload: &rightsizerv1.WorkloadRef{Kind: "Deployment", Name: "web"}, Container: "app", Message: message,
		OccurredTime: timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
	}
}

func message(position string, e *rightsizerv1.Event) *rightsizerv1.StreamEventsResponse {
	return &rightsizerv1.StreamEventsResponse{Position: position, Message: &rightsizerv1.StreamEventsResponse_Event{Event: e}}
}

func TestListAlignsAndEscapes(t *testing.T) {
	s := &server{pages: [][]*rightsizerv1.Event{{event("1", "killed\n\x1b[31mred\u202egnp")}, {event("2", "second")}}}
	s.pages[1][0].Namespace = "a-much-longer-namespace"
	code, out, errOut := call(t, "events", "--server", serveEvents(t, s), "--type", "pod.*", "--severity=warning,error", "--tag", "a=b=c", "-n", "shop")
	require.Zero(t, code, errOut)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 3)
	assert.True(t, strings.HasPrefix(lines[0], "TIME"))
	assert.Contains(t, lines[1], `killed\n\x1b[31mred\u202egnp`)
	assert.Equal(t, strings.Index(lines[0], "OBJECT"), strings.Index(lines[1], "Deployment/web"))
	assert.Equal(t, strings.Index(lines[0], "OBJECT"), strings.Index(lines[2], "Deployment/web"))
	assert.NotContains(t, out, "\x1b", "no colours but on a terminal")
	filter := s.filters[0]
	assert.Equal(t, []string{"pod.*"}, filter.GetEventTypes())
	assert.Len(t, filter.GetSeverities(), 2)
	assert.Equal(t, map[string]string{"a": "b=c"}, filter.GetTags())
}

func TestListAsJSONAndYAML(t *testing.T) {
	s := &server{pages: [][]*rightsizerv1.Event{{event("1", "x\u202ey\x7f\U000e0001")}, {event("2", "second")}}}
	code, out, _ := call(t, "events", "--server", serveEvents(t, s), "-o", "json")
	require.Zero(t, code)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 2)
	assert.NotContains(t, out, "\u202e")
	assert.NotContains(t, out, "\U000e0001")
	var back rightsizerv1.StreamEventsResponse
	require.NoError(t, codec.UnmarshalJSON([]byte(lines[0]), &back))
	assert.Equal(t, "x\u202ey\x7f\U000e0001", back.GetEvent().GetMessage(), "escaped, not changed")
	assert.Contains(t, lines[0], `"severity":"error"`)

	s.pages = [][]*rightsizerv1.Event{{event("1", "x")}}
	code, out, _ = call(t, "events", "--server", serveEvents(t, s), "-o", "yaml")
	require.Zero(t, code)
	assert.Contains(t, out, "---\nevent:\n")

	s.pages = [][]*rightsizerv1.Event{{}}
	code, out, errOut := call(t, "events", "--server", serveEvents(t, s))
	require.Zero(t, code)
	assert.Empty(t, out)
	assert.Contains(t, errOut, "no event is held that fits")
}

func TestFollowReconnectsWithItsPosition(t *testing.T) {
	s := &server{
		scripts: [][]*rightsizerv1.StreamEventsResponse{
			{
				{Message: &rightsizerv1.StreamEventsResponse_Opened{Opened: &rightsizerv1.StreamOpened{Start: &rightsizerv1.StreamOpened_Reset_{Reset_: &rightsizerv1.StreamReset{Reason: "no position"}}}}},
				message("p1", event("a", "first")),
				{Position: "p2", Message: &rightsizerv1.StreamEventsResponse_Closing{Closing: &rightsizerv1.StreamClosing{Reason: "Shutdown", Position: "p2"}}},
			},
			{
				{Message: &rightsizerv1.StreamEventsResponse_Opened{Opened: &rightsizerv1.StreamOpened{Start: &rightsizerv1.StreamOpened_Reset_{Reset_: &rightsizerv1.StreamReset{Reason: "another epoch"}}}}},
				message("p3", event("a", "first")), // once more, the same id
				{Position: "p4", Message: &rightsizerv1.StreamEventsResponse_Lost{Lost: &rightsizerv1.StreamLost{Count: 7, Exact: true, Bound: rightsizerv1.LossBound_LOSS_BOUND_EXACT}}},
				message("p5", event("b", "second")),
			},
		},
		final: connect.NewError(connect.CodePermissionDenied, nil),
	}
	url := serveEvents(t, s)
	var out, notes bytes.Buffer
	printer, err := newPrinter("table", &out, true)
	require.NoError(t, err)
	f := &follower{client: rightsizerv1connect.NewEventServiceClient(http.DefaultClient, url), filter: &rightsizerv1.EventFilter{}, out: printer, notes: &notes, wait: func(context.Context, time.Duration) {}}
	require.ErrorContains(t, f.run(t.Context()), "permission_denied")
	assert.Equal(t, []string{"", "p2", "p5"}, s.afters)
	assert.Equal(t, 1, strings.Count(out.String(), "first"), "printed once")
	assert.Equal(t, 1, strings.Count(out.String(), "second"))
	for _, want := range []string{"lost 7 events", "the operator ends the stream: Shutdown", "the position is gone (another epoch)", "trying again"} {
		assert.Contains(t, notes.String(), want)
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	client := rightsizerv1connect.NewEventServiceClient(http.DefaultClient, "http://127.0.0.1:1")
	printer, err := newPrinter("json", &bytes.Buffer{}, true)
	require.NoError(t, err)
	f := &follower{client: client, out: printer, notes: &bytes.Buffer{}, wait: pause}
	require.NoError(t, f.run(ctx))
}
