package app

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/config"
)

// roles are who calls, in the order of the columns below. Each token is the name.
var roles = []string{"nobody", "viewer-a", "viewer", "requester", "approver", "admin"}

// matrix is who may call what. For each method a row of outcomes for each way of
// asking that its request has: `shop` and `bank` name that namespace, `none` names
// none, `allowed` asks for what is allowed. viewer-a has rights in namespace shop
// alone, viewer those to read what is in namespaces and the cluster, requester those
// to ask for remediations as well, approver to decide on them, admin all. An outcome is `ok` where the call
// gets past authorization, whatever its handler then says.
var matrix = map[string]map[string]string{
	"ClusterService.GetCluster":              {"none": "401 403 ok ok ok ok"},
	"ClusterService.GetHealth":               {"none": "401 403 ok ok ok ok"},
	"ClusterService.ListNodes":               {"none": "401 403 ok ok ok ok"},
	"FleetService.ListClusters":              {"none": "401 403 ok ok ok ok"},
	"EventService.StreamEvents":              {"shop": "401 ok ok ok ok ok", "bank": "401 403 ok ok ok ok", "none": "401 403 ok ok ok ok", "allowed": "401 ok ok ok ok ok"},
	"EventService.ListEvents":                {"shop": "401 ok ok ok ok ok", "bank": "401 403 ok ok ok ok", "none": "401 403 ok ok ok ok", "allowed": "401 ok ok ok ok ok"},
	"EventService.ListIncidents":             {"shop": "401 ok ok ok ok ok", "bank": "401 403 ok ok ok ok", "none": "401 403 ok ok ok ok", "allowed": "401 ok ok ok ok ok"},
	"EventService.ListConnections":           {"none": "401 403 403 403 403 ok"},
	"WorkloadService.ListWorkloads":          {"shop": "401 ok ok ok ok ok", "bank": "401 403 ok ok ok ok", "none": "401 403 ok ok ok ok", "allowed": "401 ok ok ok ok ok"},
	"WorkloadService.GetWorkload":            {"shop": "401 ok ok ok ok ok", "bank": "401 403 ok ok ok ok"},
	"WorkloadService.ListRecommendations":    {"shop": "401 ok ok ok ok ok", "bank": "401 403 ok ok ok ok", "none": "401 403 ok ok ok ok", "allowed": "401 ok ok ok ok ok"},
	"WorkloadService.GetRecommendation":      {"shop": "401 ok ok ok ok ok", "bank": "401 403 ok ok ok ok"},
	"WorkloadService.GetSavings":             {"shop": "401 ok ok ok ok ok", "bank": "401 403 ok ok ok ok", "none": "401 403 ok ok ok ok", "allowed": "401 ok ok ok ok ok"},
	"MetricsService.ListMetrics":             {"none": "401 403 ok ok ok ok"},
	"MetricsService.QueryMetrics":            {"shop": "401 ok ok ok ok ok", "bank": "401 403 ok ok ok ok", "none": "401 403 ok ok ok ok", "allowed": "401 ok ok ok ok ok"},
	"RemediationService.CreateRemediation":   {"shop": "401 403 403 ok ok ok", "bank": "401 403 403 ok ok ok"},
	"RemediationService.ApproveRemediation":  {"shop": "401 403 403 403 ok ok", "bank": "401 403 403 403 ok ok"},
	"RemediationService.RejectRemediation":   {"shop": "401 403 403 403 ok ok", "bank": "401 403 403 403 ok ok"},
	"RemediationService.CancelRemediation":   {"shop": "401 403 403 ok ok ok", "bank": "401 403 403 ok ok ok"},
	"RemediationService.RollbackRemediation": {"shop": "401 403 403 403 ok ok", "bank": "401 403 403 403 ok ok"},
	"RemediationService.GetRemediation":      {"shop": "401 ok ok ok ok ok", "bank": "401 403 ok ok ok ok"},
	"RemediationService.ListRemediations":    {"shop": "401 ok ok ok ok ok", "bank": "401 403 ok ok ok ok", "none": "401 403 ok ok ok ok", "allowed": "401 ok ok ok ok ok"},
	"PolicyService.ListPolicies":             {"shop": "401 ok ok ok ok ok", "bank": "401 403 ok ok ok ok", "none": "401 403 ok ok ok ok", "allowed": "401 ok ok ok ok ok"},
	"PolicyService.ExplainPolicy":            {"shop": "401 ok ok ok ok ok", "bank": "401 403 ok ok ok ok"},
	"AuditService.ListAuditRecords":          {"shop": "401 403 403 403 403 ok", "bank": "401 403 403 403 403 ok", "none": "401 403 403 403 403 ok"},
	"AuditService.VerifyAudit":               {"none": "401 403 403 403 403 ok"},
}

// allows is what the roles may do, in the place of RBAC.
func allows(user string, a *authorizationv1.ResourceAttributes) bool {
	if a.Group != auth.Group {
		return user == "admin"
	}
	read := a.Verb == "get" || a.Verb == "list" || a.Verb == "watch"
	common := a.Resource != "connections" && a.Resource != "audit"
	switch user {
	case "admin":
		return true
	case "requester":
		return common && (read || a.Resource == "remediations" && a.Subresource == "")
	case "approver":
		return common && (read || a.Resource == "remediations")
	case "viewer":
		return common && read
	case "viewer-a":
		return common && read && a.Namespace == "shop"
	}
	return false
}

// roleReviews answer as a cluster with these roles would.
type roleReviews struct {
	mu      sync.Mutex
	revoked map[string]bool // users
	down    error
	forged  []string // reviews that named nobody
}

func (r *roleReviews) set(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
}

func (r *roleReviews) ReviewToken(_ context.Context, spec authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := spec.Token != "nobody" && slices.Contains(roles, spec.Token)
	return authenticationv1.TokenReviewStatus{
		Authenticated: known, Audiences: spec.Audiences, User: authenticationv1.UserInfo{Username: spec.Token, Groups: []string{"people"}},
	}, r.down
}

func (r *roleReviews) ReviewAccess(_ context.Context, spec authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if spec.User == "" || len(spec.Groups) == 0 {
		r.forged = append(r.forged, spec.String())
	}
	return authorizationv1.SubjectAccessReviewStatus{Allowed: !r.revoked[spec.User] && allows(spec.User, spec.ResourceAttributes)}, r.down
}

// guarded is an operator on loopback whose callers must say who they are.
func guarded(t *testing.T, reviews auth.Reviews, change ...func(*config.Config)) *operator {
	t.Helper()
	cfg := loopback()
	cfg.StaticTokenFile = filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(cfg.StaticTokenFile, []byte("# none yet\n"), 0o600))
	cfg.RequestsPerSecond, cfg.RequestBurst = 100_000, 100_000
	for _, f := range change {
		f(&cfg)
	}
	return startWith(t, cfg, reviews)
}

func TestWhoMayCallWhat(t *testing.T) {
	reviews := &roleReviews{}
	o := guarded(t, reviews)
	h2, h1 := client(t, 2), client(t, 1)
	protocols := map[string]struct {
		http    *http.Client
		options []connect.ClientOption
	}{
		"connect":      {h1, nil},
		"connect-json": {h1, []connect.ClientOption{connect.WithProtoJSON()}},
		"grpc":         {h2, []connect.ClientOption{connect.WithGRPC()}},
		"grpc-web":     {h1, []connect.ClientOption{connect.WithGRPCWeb()}},
	}
	seen := map[string]bool{}
	for _, method := range allMethods(t) {
		name := string(method.Parent().Name()) + "." + string(method.Name())
		seen[name] = true
		rows := matrix[name]
		if !assert.NotNilf(t, rows, "%s has no row in the matrix: who may call it?", name) {
			continue
		}
		ways := waysOf(method.Input())
		for way := range rows {
			assert.Containsf(t, ways, way, "%s cannot be asked like that", name)
		}
		for _, way := range ways {
			want := strings.Fields(rows[way])
			if !assert.Lenf(t, want, len(roles), "%s has no row for %q", name, way) {
				continue
			}
			for protocol, with := range protocols {
				for i, role := range roles {
					got := outcome(t, with.http, o.url("http", KeyAPI), method, requestOf(method.Input(), way), role, with.options)
					assert.Equalf(t, want[i], got, "%s by %s asking for %s over %s", name, role, way, protocol)
				}
			}
		}
	}
	for name := range matrix {
		assert.Truef(t, seen[name], "%s is gone: its row holds nothing", name)
	}
	assert.Empty(t, reviews.forged, "a right was asked for of nobody")
}

func allMethods(t *testing.T) []protoreflect.MethodDescriptor {
	t.Helper()
	var all []protoreflect.MethodDescriptor
	for _, service := range services {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
		require.NoError(t, err)
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			all = append(all, methods.Get(i))
		}
	}
	return all
}

// waysOf lists how a request can ask, by its fields.
func waysOf(input protoreflect.MessageDescriptor) []string {
	fields := input.Fields()
	if filter := fields.ByName("filter"); filter != nil {
		if filter.IsMap() && fields.ByName("allowed_only") == nil {
			return []string{"shop", "bank", "none"}
		}
		return []string{"shop", "bank", "none", "allowed"}
	}
	switch {
	case fields.ByName("namespace") != nil:
		return []string{"shop", "bank"}
	case fields.ByName("allowed_only") != nil:
		return []string{"shop", "bank", "none", "allowed"}
	case fields.ByName("namespaces") != nil:
		return []string{"shop", "bank", "none"}
	}
	return []string{"none"}
}

// requestOf makes a valid request that asks in a way.
func requestOf(input protoreflect.MessageDescriptor, way string) proto.Message {
	m := dynamicpb.NewMessage(input)
	for name, value := range map[string]string{"kind": "Deployment", "name": "web", "container": "app", "metric": "container_memory_usage"} {
		if fd := input.Fields().ByName(protoreflect.Name(name)); fd != nil {
			m.Set(fd, protoreflect.ValueOfString(value))
		}
	}
	if fd := input.Fields().ByName("action"); fd != nil && fd.Message() != nil {
		action := m.Mutable(fd).Message()
		action.Set(fd.Message().Fields().ByName("kind"), protoreflect.ValueOfString("restart"))
	}
	ask(m, way)
	return m
}

func ask(m protoreflect.Message, way string) {
	fields := m.Descriptor().Fields()
	if fd := fields.ByName("filter"); fd != nil {
		switch {
		case !fd.IsMap():
			ask(m.Mutable(fd).Message(), way)
		case way == "allowed":
			m.Set(fields.ByName("allowed_only"), protoreflect.ValueOfBool(true))
		case way != "none":
			m.Mutable(fd).Map().Set(protoreflect.ValueOfString("namespace").MapKey(), protoreflect.ValueOfString(way))
		}
		return
	}
	switch way {
	case "none":
	case "allowed":
		m.Set(fields.ByName("allowed_only"), protoreflect.ValueOfBool(true))
	default:
		if fd := fields.ByName("namespace"); fd != nil {
			m.Set(fd, protoreflect.ValueOfString(way))
		} else {
			m.Mutable(fields.ByName("namespaces")).List().Append(protoreflect.ValueOfString(way))
		}
	}
}

// outcome calls and says how that was judged.
func outcome(t *testing.T, h *http.Client, url string, method protoreflect.MethodDescriptor, request proto.Message, token string, options []connect.ClientOption) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	procedure := fmt.Sprintf("%s/%s/%s", url, method.Parent().FullName(), method.Name())
	options = append(slices.Clone(options), connect.WithSchema(method), connect.WithResponseInitializer(func(_ connect.Spec, m any) error {
		if d, ok := m.(*dynamicpb.Message); ok {
			*d = *dynamicpb.NewMessage(method.Output())
		}
		return nil
	}))
	c := connect.NewClient[dynamicpb.Message, dynamicpb.Message](h, procedure, options...)
	req := connect.NewRequest(request.(*dynamicpb.Message))
	req.Header().Set("Authorization", "Bearer "+token)
	var err error
	if method.IsStreamingServer() {
		var stream *connect.ServerStreamForClient[dynamicpb.Message]
		if stream, err = c.CallServerStream(ctx, req); err == nil {
			stream.Receive()
			err = stream.Err()
			cancel()
			_ = stream.Close()
		}
	} else {
		_, err = c.CallUnary(ctx, req)
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnauthenticated:
		return "401"
	case connect.CodePermissionDenied:
		if token == "viewer-a" {
			assert.NotContains(t, err.Error(), "vault", "a denial names what there is")
		}
		return "403"
	case connect.CodeInvalidArgument:
		t.Errorf("%s: the test's request is not valid: %v", method.FullName(), err)
		return "400"
	default:
		return "ok"
	}
}

// TestWhoMayWatchByWebSocket is the matrix's row for the bridge.
func TestWhoMayWatchByWebSocket(t *testing.T) {
	o := guarded(t, &roleReviews{})
	for filter, want := range map[string]string{
		`{"namespaces":["shop"]}`: "401 ok ok ok ok ok",
		`{"namespaces":["bank"]}`: "401 403 ok ok ok ok",
		`{}`:                      "401 403 ok ok ok ok",
		`{"allowedOnly":true}`:    "401 ok ok ok ok ok",
	} {
		for _, key := range []string{KeyAPI, KeyEvents} {
			for i, role := range roles {
				assert.Equalf(t, strings.Fields(want)[i], watchAs(t, o.url("ws", key), filter, role), "%s by %s on %s", filter, role, key)
			}
		}
	}
}

func watchAs(t *testing.T, url, filter, token string) string {
	t.Helper()
	socket, res, err := websocket.Dial(t.Context(), url+"/events", &websocket.DialOptions{
		HTTPClient: client(t, 1),
		Subprotocols: []string{
			auth.Subprotocol, auth.SubprotocolToken + base64.RawURLEncoding.EncodeToString([]byte(token)),
		},
	})
	if err != nil {
		require.NotNil(t, res, "%v", err)
		_ = res.Body.Close()
		assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
		return "401"
	}
	defer func() { _ = socket.CloseNow() }()
	assert.Equal(t, auth.Subprotocol, socket.Subprotocol(), "the answer names a protocol, and not the token's")
	require.NoError(t, socket.Write(t.Context(), websocket.MessageText, []byte(filter)))
	for {
		_, frame, err := socket.Read(t.Context())
		switch {
		case websocket.CloseStatus(err) == websocket.StatusPolicyViolation:
			return "403"
		case err != nil:
			return err.Error()
		case strings.Contains(string(frame), `"opened"`):
			return "ok"
		}
	}
}

// TestTheReviewerDownIsAClosedDoor holds that nobody new gets in, over every
// protocol, while nobody can be asked.
func TestTheReviewerDownIsAClosedDoor(t *testing.T) {
	reviews := &roleReviews{}
	o := guarded(t, reviews)
	reviews.set(func() { reviews.down = os.ErrDeadlineExceeded })
	for _, path := range []string{"/rightsizer.v1.ClusterService/GetCluster", "/rightsizer.v1.EventService/ListEvents"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.url("http", KeyAPI)+path, strings.NewReader("{}"))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer admin")
		status, text := do(t, req)
		assert.Equal(t, http.StatusServiceUnavailable, status, path)
		assert.Contains(t, text, auth.ReasonReviewDown)
		assert.NotContains(t, text, "deadline")
	}
}
