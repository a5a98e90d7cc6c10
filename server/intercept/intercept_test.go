package intercept_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/intercept"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// service does what the test tells it to.
type service struct {
	rightsizerv1connect.UnimplementedEventServiceHandler
	do func(ctx context.Context) error
}

func (s *service) ListEvents(ctx context.Context, _ *rightsizerv1.ListEventsRequest) (*rightsizerv1.ListEventsResponse, error) {
	return &rightsizerv1.ListEventsResponse{}, s.do(ctx)
}

func (s *service) StreamEvents(ctx context.Context, _ *rightsizerv1.StreamEventsRequest, out *connect.ServerStream[rightsizerv1.StreamEventsResponse]) error {
	if err := out.Send(&rightsizerv1.StreamEventsResponse{Position: "first"}); err != nil {
		return err
	}
	return s.do(ctx)
}

type authorizer func(*auth.Identity, *rightsizerv1.Permission, proto.Message) error

func (a authorizer) Authorize(_ context.Context, id *auth.Identity, p *rightsizerv1.Permission, m proto.Message) (auth.Grant, error) {
	return auth.Everything(), a(id, p, m)
}

type fixture struct {
	*service
	url      string
	http     *http.Client
	registry *prometheus.Registry
	log      *bytes.Buffer
}

func start(t *testing.T, a intercept.Authorizer) *fixture {
	t.Helper()
	return startTraced(t, a, nil)
}

func startTraced(t *testing.T, a intercept.Authorizer, tracing trace.TracerProvider) *fixture {
	t.Helper()
	f := &fixture{service: &service{do: func(context.Context) error { return nil }}, registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	metrics, err := intercept.NewMetrics(f.registry)
	require.NoError(t, err)
	option, err := intercept.Options{
		Logger:     slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics:    metrics,
		Authorizer: a,
		Tracing:    tracing,
	}.HandlerOption()
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle(rightsizerv1connect.NewEventServiceHandler(f.service, option))
	server := httptest.NewUnstartedServer(auth.Middleware(auth.Open{}, mux, nil))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	f.url, f.http = server.URL, server.Client()
	return f
}

// protocols runs a test over each of them, in both encodings.
func protocols(t *testing.T, f *fixture, run func(t *testing.T, client rightsizerv1connect.EventServiceClient)) {
	t.Helper()
	for name, options := range map[string][]connect.ClientOption{
		"connect":      nil,
		"connect+json": {connect.WithProtoJSON()},
		"connect get":  {connect.WithProtoJSON(), connect.WithHTTPGet()},
		"grpc":         {connect.WithGRPC()},
		"grpc+json":    {connect.WithGRPC(), connect.WithProtoJSON()},
		"grpc-web":     {connect.WithGRPCWeb()},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, rightsizerv1connect.NewEventServiceClient(f.http, f.url, options...))
		})
	}
}

// both makes the call as unary and as stream and returns the errors.
func both(t *testing.T, client rightsizerv1connect.EventServiceClient, filter *rightsizerv1.EventFilter) (unary, stream error) {
	t.Helper()
	_, unary = client.ListEvents(t.Context(), &rightsizerv1.ListEventsRequest{Filter: filter})
	out, err := client.StreamEvents(t.Context(), &rightsizerv1.StreamEventsRequest{Filter: filter})
	require.NoError(t, err)
	defer func() { _ = out.Close() }()
	for out.Receive() {
		assert.Equal(t, "first", out.Msg().GetPosition())
	}
	return unary, out.Err()
}

func TestCallsPass(t *testing.T) {
	f := start(t, intercept.AllowAll{})
	protocols(t, f, func(t *testing.T, client rightsizerv1connect.EventServiceClient) {
		t.Helper()
		unary, stream := both(t, client, &rightsizerv1.EventFilter{Namespaces: []string{"a"}})
		require.NoError(t, unary)
		require.NoError(t, stream)
	})
	assert.Equal(t, 6, series(t, f.registry, "rightsizer_rpc_calls_total"), "two methods by three protocols")
	assert.Contains(t, f.log.String(), "procedure=/rightsizer.v1.EventService/StreamEvents protocol=grpcweb")
}

func TestValidationNamesFields(t *testing.T) {
	f := start(t, intercept.AllowAll{})
	protocols(t, f, func(t *testing.T, client rightsizerv1connect.EventServiceClient) {
		t.Helper()
		unary, stream := both(t, client, &rightsizerv1.EventFilter{Namespaces: []string{"ok", "Not OK"}, Tags: map[string]string{"": "x"}})
		for _, err := range []error{unary, stream} {
			assert.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
			assert.Equal(t, rpcerr.ReasonInvalidArgument, rpcerr.Reason(err))
			var fields []string
			for _, v := range detail[*errdetails.BadRequest](t, err).GetFieldViolations() {
				fields = append(fields, v.GetField())
			}
			assert.Contains(t, fields, "filter.namespaces[1]")
			assert.Contains(t, fields, `filter.tags[""]`)
		}
	})
}

func TestPanicsStayInTheirCall(t *testing.T) {
	f := start(t, intercept.AllowAll{})
	f.do = func(context.Context) error { panic("secret of the house") }
	protocols(t, f, func(t *testing.T, client rightsizerv1connect.EventServiceClient) {
		t.Helper()
		unary, stream := both(t, client, nil)
		for _, err := range []error{unary, stream} {
			assert.Equal(t, connect.CodeInternal, connect.CodeOf(err))
			assert.Equal(t, rpcerr.ReasonInternal, rpcerr.Reason(err))
			assert.NotContains(t, err.Error(), "secret")
		}
	})
	assert.Contains(t, f.log.String(), "secret of the house")
	assert.Equal(t, 2, series(t, f.registry, "rightsizer_rpc_panics_total"))
}

func TestErrorsWithoutACodeStayInside(t *testing.T) {
	f := start(t, intercept.AllowAll{})
	f.do = func(context.Context) error { return errors.New("dsn=postgres://secret") }
	protocols(t, f, func(t *testing.T, client rightsizerv1connect.EventServiceClient) {
		t.Helper()
		unary, stream := both(t, client, nil)
		for _, err := range []error{unary, stream} {
			assert.Equal(t, connect.CodeInternal, connect.CodeOf(err))
			assert.NotContains(t, err.Error(), "secret")
			assert.Equal(t, rpcerr.Domain, rpcerr.Info(err).GetDomain())
		}
	})
	f.do = func(context.Context) error { return connect.NewError(connect.CodeAborted, errors.New("changed")) }
	protocols(t, f, func(t *testing.T, client rightsizerv1connect.EventServiceClient) {
		t.Helper()
		unary, stream := both(t, client, nil)
		for _, err := range []error{unary, stream} {
			assert.Equal(t, "ABORTED", rpcerr.Reason(err))
		}
	})
}

func TestAuthorizationSeesPermissionAndRequest(t *testing.T) {
	f := start(t, authorizer(func(id *auth.Identity, p *rightsizerv1.Permission, m proto.Message) error {
		type filtered interface {
			GetFilter() *rightsizerv1.EventFilter
		}
		if id == nil || p.GetResource() != "events" || len(m.(filtered).GetFilter().GetNamespaces()) == 0 {
			return rpcerr.New(connect.CodePermissionDenied, rpcerr.ReasonPermissionDenied, "no", "verb", p.GetVerb())
		}
		return nil
	}))
	reached := false
	f.do = func(context.Context) error { reached = true; return nil }
	protocols(t, f, func(t *testing.T, client rightsizerv1connect.EventServiceClient) {
		t.Helper()
		unary, stream := both(t, client, nil)
		assert.Equal(t, "list", rpcerr.Info(unary).GetMetadata()["verb"])
		assert.Equal(t, "watch", rpcerr.Info(stream).GetMetadata()["verb"])
		assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(stream))
	})
	assert.False(t, reached, "the handler is not called")
}

func TestStrictJSONOnEveryProtocol(t *testing.T) {
	f := start(t, intercept.AllowAll{})
	const body = `{"filter":{"sevrities":["warning"]}}`
	framed := "\x00\x00\x00\x00" + string(rune(len(body))) + body
	cases := map[string]struct{ method, contentType, body string }{
		"connect":         {"ListEvents", "application/json", body},
		"connect charset": {"ListEvents", "application/json; charset=utf-8", body},
		"connect stream":  {"StreamEvents", "application/connect+json", framed},
		"grpc":            {"ListEvents", "application/grpc+json", framed},
		"grpc stream":     {"StreamEvents", "application/grpc+json", framed},
		"grpc-web":        {"ListEvents", "application/grpc-web+json", framed},
		"connect get":     {"ListEvents?encoding=json&message=%7B%22filter%22%3A%7B%22sevrities%22%3A%5B%5D%7D%7D", "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			method := http.MethodPost
			if c.body == "" {
				method = http.MethodGet
			}
			req, err := http.NewRequestWithContext(t.Context(), method, f.url+"/rightsizer.v1.EventService/"+c.method, strings.NewReader(c.body))
			require.NoError(t, err)
			if c.contentType != "" {
				req.Header.Set("Content-Type", c.contentType)
			}
			res, err := f.http.Do(req)
			require.NoError(t, err)
			defer func() { _ = res.Body.Close() }()
			text, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			all := string(text) + res.Header.Get("Grpc-Message") + res.Trailer.Get("Grpc-Message")
			assert.Contains(t, all, "filter.sevrities")
			assert.Contains(t, all, "severities", "the nearest known field is named")
			if strings.HasPrefix(name, "connect") {
				assert.Contains(t, all, rpcerr.ReasonUnknownField)
				assert.Contains(t, all, "google.rpc.BadRequest")
			}
		})
	}
	assert.Zero(t, series(t, f.registry, "rightsizer_rpc_panics_total"))
}

func TestLowerCaseSeveritiesAreAccepted(t *testing.T) {
	f := start(t, intercept.AllowAll{})
	for _, body := range []string{`{"filter":{"severities":["warning"]}}`, `{"filter":{"severities":["SEVERITY_WARNING"]}}`} {
		res, err := f.http.Post(f.url+"/rightsizer.v1.EventService/ListEvents", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		_ = res.Body.Close()
		assert.Equal(t, http.StatusOK, res.StatusCode)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	f := start(t, intercept.AllowAll{})
	huge := strings.Repeat(" ", intercept.DefaultReadMaxBytes) + "{}"
	res, err := f.http.Post(f.url+"/rightsizer.v1.EventService/ListEvents", "application/json", strings.NewReader(huge))
	require.NoError(t, err)
	_ = res.Body.Close()
	assert.Equal(t, http.StatusTooManyRequests, res.StatusCode, "resource_exhausted")
}

func TestEveryMethodDeclaresAPermission(t *testing.T) {
	methods := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("rightsizer.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				methods++
				permission, err := intercept.PermissionOf(connect.Spec{Schema: method, Procedure: string(method.FullName())})
				require.NoError(t, err)
				assert.Regexp(t, `^[a-z]+(/[a-z]+)?$`, permission.GetResource(), method.FullName())
				assert.Contains(t, []string{"get", "list", "watch", "create", "update", "delete"}, permission.GetVerb(), method.FullName())
			}
		}
		return true
	})
	assert.GreaterOrEqual(t, methods, 20)
	_, err := intercept.PermissionOf(connect.Spec{Procedure: "/x/Y"})
	require.Error(t, err)
}

func TestOptionsMustBeComplete(t *testing.T) {
	_, err := intercept.Options{}.HandlerOption()
	require.Error(t, err)
	_, err = intercept.Options{}.ForeignHandlerOption()
	require.Error(t, err)
}

// detail returns the error's detail of type T.
func detail[T proto.Message](t *testing.T, err error) T {
	t.Helper()
	var coded *connect.Error
	require.ErrorAs(t, err, &coded)
	for _, d := range coded.Details() {
		value, err := d.Value()
		require.NoError(t, err)
		if typed, ok := value.(T); ok {
			return typed
		}
	}
	require.Fail(t, "the error lacks a detail", "%v", err)
	panic("unreachable")
}

// series counts the label sets of a metric.
func series(t *testing.T, registry *prometheus.Registry, name string) int {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return len(family.GetMetric())
		}
	}
	return 0
}
