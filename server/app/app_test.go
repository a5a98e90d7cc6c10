package app

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

var protocols = map[string][]connect.ClientOption{
	"connect": nil, "connect json": {connect.WithProtoJSON()}, "connect get": {connect.WithHTTPGet()},
	"grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()},
}

func TestEveryProtocolOverEveryTransport(t *testing.T) {
	plain := start(t, loopback())
	cfg := loopback()
	cfg.GRPCAddress, cfg.InsecureNoAuth, cfg.EventsAddress = "0.0.0.0:0", true, config.Off
	secured := start(t, cfg)
	assert.Contains(t, secured.log.String(), "sha256=")
	assert.Contains(t, secured.log.String(), "--insecure-no-auth")
	for name, url := range map[string]string{"clear": plain.url("http", KeyAPI), "TLS": secured.url("https", KeyAPI)} {
		for _, version := range []int{1, 2} {
			for protocol, options := range protocols {
				if protocol == "grpc" && version == 1 {
					continue // gRPC is HTTP/2 alone
				}
				t.Run(fmt.Sprintf("%s HTTP/%d %s", name, version, protocol), func(t *testing.T) {
					cluster := rightsizerv1connect.NewClusterServiceClient(client(t, version), url, options...)
					res, err := cluster.GetCluster(t.Context(), &rightsizerv1.GetClusterRequest{Cluster: "uid-1"})
					require.NoError(t, err)
					assert.Equal(t, "one", res.GetCluster().GetName())
					health, err := cluster.GetHealth(t.Context(), &rightsizerv1.GetHealthRequest{})
					require.NoError(t, err)
					assert.True(t, health.GetOpen())
					_, err = cluster.GetCluster(t.Context(), &rightsizerv1.GetClusterRequest{Cluster: "other"})
					assert.Equal(t, rpcerr.ReasonClusterNotFound, rpcerr.Reason(err))
				})
			}
		}
	}
}

func TestOffLoopbackTheAPIIsClosed(t *testing.T) {
	cfg := loopback()
	cfg.GRPCAddress, cfg.EventsAddress, cfg.InsecurePlaintext = "0.0.0.0:0", "0.0.0.0:0", true
	o := start(t, cfg)
	assert.Contains(t, o.log.String(), "the API is closed")
	for protocol, options := range protocols {
		t.Run(protocol, func(t *testing.T) {
			http2 := client(t, 2)
			_, err := rightsizerv1connect.NewClusterServiceClient(http2, o.url("http", KeyAPI), options...).
				GetHealth(t.Context(), &rightsizerv1.GetHealthRequest{})
			assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err))
			assert.Equal(t, auth.ReasonClosed, rpcerr.Reason(err))
			stream, err := rightsizerv1connect.NewEventServiceClient(http2, o.url("http", KeyAPI), options...).
				StreamEvents(t.Context(), &rightsizerv1.StreamEventsRequest{})
			require.NoError(t, err)
			assert.False(t, stream.Receive())
			assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(stream.Err()))
			_ = stream.Close()
		})
	}
	for _, key := range []string{KeyAPI, KeyEvents} {
		_, status := dial(t, o.url("ws", key), "")
		assert.Equal(t, http.StatusUnauthorized, status)
	}
	status, _ := get(t, o.url("http", KeyAPI)+"/")
	assert.Equal(t, http.StatusOK, status, "the page loads; its calls are refused")
	status, text := get(t, o.url("http", KeyOps)+"/metrics")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, text, `rightsizer_auth_refused_total{reason="API_CLOSED"}`)
}

func TestReadiness(t *testing.T) {
	o := start(t, loopback())
	o.cluster.set(errors.New("waiting for pods"))
	status, text := get(t, o.url("http", KeyOps)+"/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, text, "waiting for pods")
	status, _ = get(t, o.url("http", KeyOps)+"/healthz")
	assert.Equal(t, http.StatusOK, status, "not ready is not dead")

	url := o.url("http", KeyAPI)
	cluster := rightsizerv1connect.NewClusterServiceClient(client(t, 2), url)
	_, err := cluster.GetCluster(t.Context(), &rightsizerv1.GetClusterRequest{})
	assert.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
	health, err := cluster.GetHealth(t.Context(), &rightsizerv1.GetHealthRequest{})
	require.NoError(t, err)
	assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_STARTING, health.GetState())
	assert.Contains(t, probeOf(t, url, ""), "NOT_SERVING")

	o.cluster.set(nil)
	status, _ = get(t, o.url("http", KeyOps)+"/readyz")
	assert.Equal(t, http.StatusOK, status)
	assert.NotContains(t, probeOf(t, url, "rightsizer.v1.EventService"), "NOT_SERVING")
	assert.Contains(t, probeOf(t, url, "nobody"), "not_found")

	o.stopping.Store(true)
	status, text = get(t, o.url("http", KeyOps)+"/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, text, "stopping")
}

func TestShutdownEndsOpenStreamsWithTheirPosition(t *testing.T) {
	o := start(t, loopback())
	events := rightsizerv1connect.NewEventServiceClient(client(t, 2), o.url("http", KeyAPI), connect.WithGRPC())
	stream, err := events.StreamEvents(t.Context(), &rightsizerv1.StreamEventsRequest{})
	require.NoError(t, err)
	defer func() { _ = stream.Close() }()
	for stream.Receive() && stream.Msg().GetSynced() == nil {
		continue
	}
	socket, _ := dial(t, o.url("ws", KeyEvents), "")
	defer func() { _ = socket.CloseNow() }()
	require.NoError(t, socket.Write(t.Context(), websocket.MessageText, []byte(`{}`)))
	readUntil(t, socket, `"synced"`)

	o.cluster.publisher.Publish(&rightsizerv1.Event{
		Id: strings.Repeat("a", 32), Type: "pod.oom_killed", Severity: rightsizerv1.Severity_SEVERITY_ERROR, OccurredTime: timestamppb.Now(),
	})
	require.True(t, stream.Receive())
	assert.Equal(t, "pod.oom_killed", stream.Msg().GetEvent().GetType())
	position := stream.Msg().GetPosition()
	readUntil(t, socket, `"severity":"error"`)

	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- o.stop() }()
	require.True(t, stream.Receive(), "%v", stream.Err())
	assert.Equal(t, "Shutdown", stream.Msg().GetClosing().GetReason())
	assert.Equal(t, position, stream.Msg().GetClosing().GetPosition())
	assert.False(t, stream.Receive())
	readUntil(t, socket, `"closing"`)
	require.NoError(t, <-stopped)
	assert.Less(t, time.Since(began), 5*time.Second)
}

func TestEnableGRPCFalseLeavesTheEventsListener(t *testing.T) {
	cfg := loopback()
	cfg.EnableGRPC = false
	o := start(t, cfg)
	assert.Nil(t, o.Addr(KeyAPI))
	socket, status := dial(t, o.url("ws", KeyEvents), "")
	assert.Equal(t, http.StatusSwitchingProtocols, status)
	_ = socket.CloseNow()
	status, _ = get(t, o.url("http", KeyEvents)+"/")
	assert.Equal(t, http.StatusNotFound, status, "no dashboard there")
}

func TestAFailureToBindNamesTheFlag(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	for key, set := range map[string]func(*config.Config, string){
		KeyAPI:    func(c *config.Config, a string) { c.GRPCAddress = a },
		KeyEvents: func(c *config.Config, a string) { c.EventsAddress = a },
		KeyOps:    func(c *config.Config, a string) { c.MetricsAddress = a },
	} {
		cfg := loopback()
		set(&cfg, taken.Addr().String())
		o := &operator{log: &log{}}
		o.App = newApp(t, cfg)
		err := o.Run(t.Context())
		require.ErrorContains(t, err, "--"+key)
	}
}

func TestBrowsersFromElsewhereAreRefused(t *testing.T) {
	o := start(t, loopback())
	url := o.url("http", KeyAPI)
	for name, c := range map[string]struct {
		header, value, reason string
	}{
		"cross-site":             {"Sec-Fetch-Site", "cross-site", "CROSS_ORIGIN"},
		"a foreign origin":       {"Origin", "https://evil.test", "CROSS_ORIGIN"},
		"a host name rebound":    {"Host", "evil.test", "FOREIGN_HOST"},
		"a suffix of a good one": {"Host", "localhost.evil.test:9090", "FOREIGN_HOST"},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/rightsizer.v1.ClusterService/GetHealth", strings.NewReader("{}"))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set(c.header, c.value)
			if c.header == "Host" {
				req.Host = c.value
			}
			status, text := do(t, req)
			assert.Equal(t, http.StatusForbidden, status)
			assert.Contains(t, text, c.reason)
		})
	}
	_, status := dial(t, o.url("ws", KeyAPI), "https://evil.test")
	assert.Equal(t, http.StatusForbidden, status)
	for name, c := range map[string]struct {
		site, mode, dest string
		status           int
	}{
		"a picture of another site":   {"cross-site", "no-cors", "image", http.StatusForbidden},
		"a script of the same site":   {"same-site", "no-cors", "script", http.StatusForbidden},
		"a frame of another site":     {"cross-site", "navigate", "iframe", http.StatusForbidden},
		"a link":                      {"cross-site", "navigate", "document", http.StatusOK},
		"an address that was typed":   {"none", "navigate", "document", http.StatusOK},
		"the page itself":             {"same-origin", "cors", "empty", http.StatusOK},
		"a program that says nothing": {"", "", "", http.StatusOK},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			url+"/rightsizer.v1.ClusterService/GetHealth?connect=v1&encoding=json&message=%7B%7D", http.NoBody)
		require.NoError(t, err)
		for header, value := range map[string]string{"Sec-Fetch-Site": c.site, "Sec-Fetch-Mode": c.mode, "Sec-Fetch-Dest": c.dest} {
			if value != "" {
				req.Header.Set(header, value)
			}
		}
		status, text := do(t, req)
		assert.Equal(t, c.status, status, "%s: %s", name, text)
	}
}

// Whose connections do nothing, or whose requests come one after the other, leaves places
// for the kubelet's probe.
func TestIdleConnectionsTakeNoProbesPlace(t *testing.T) {
	o := start(t, loopback())
	address := o.Addr(KeyOps).String()
	for _, from := range []string{"127.0.2.1", "127.0.2.2"} {
		for range 64 {
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
			c, err := dialer.DialContext(t.Context(), "tcp", address)
			require.NoError(t, err)
			t.Cleanup(func() { _ = c.Close() })
		}
	}
	status, _ := get(t, "http://"+address+"/healthz")
	assert.Equal(t, http.StatusOK, status)
	one, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer func() { _ = one.Close() }()
	_, err = io.WriteString(one, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, one.SetReadDeadline(time.Now().Add(10*time.Second)))
	answer, err := io.ReadAll(one)
	require.NoError(t, err, "it ends with its request")
	assert.Contains(t, string(answer), "200 OK")
}

func TestBadInputIsAnswered(t *testing.T) {
	o := start(t, loopback())
	url := o.url("http", KeyAPI) + "/rightsizer.v1.ClusterService/GetHealth"
	post := func(contentType, encoding string, body []byte) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", contentType)
		if encoding != "" {
			req.Header.Set("Content-Encoding", encoding)
		}
		return do(t, req)
	}
	status, _ := post("text/plain", "", []byte("{}"))
	assert.Equal(t, http.StatusUnsupportedMediaType, status)
	raw, err := net.Dial("tcp", o.Addr(KeyAPI).String())
	require.NoError(t, err)
	defer func() { _ = raw.Close() }()
	_, err = fmt.Fprintf(raw, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: %s\r\n", strings.Repeat("x", maxHeaderBytes+8192))
	require.NoError(t, err)
	head, err := bufio.NewReader(raw).ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, head, "431")
	status, text := post("application/json", "", bytes.Repeat([]byte(" "), maxBodyBytes+1))
	assert.Equal(t, http.StatusTooManyRequests, status)
	assert.Contains(t, text, "resource_exhausted")

	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	_, err = zip.Write(make([]byte, 64<<20))
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	status, text = post("application/json", "gzip", bomb.Bytes())
	assert.Equal(t, http.StatusTooManyRequests, status)
	assert.Contains(t, text, "resource_exhausted")

	status, _ = get(t, o.url("http", KeyAPI)+"/rightsizer.v1.Nobody/Call")
	assert.Equal(t, http.StatusNotFound, status)
}

func TestConnectionsAreCappedAndNoAddressTakesThemAll(t *testing.T) {
	cfg := loopback()
	cfg.MaxConnections = 4
	o := start(t, cfg)
	for _, key := range []string{KeyAPI, KeyEvents} {
		address := o.Addr(key).String()
		var open []net.Conn
		from := func(local string) net.Conn {
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
			conn, err := dialer.DialContext(t.Context(), "tcp", address)
			require.NoError(t, err)
			open = append(open, conn)
			return conn
		}
		counted := func(n int) {
			require.Eventually(t, func() bool {
				_, text := get(t, o.url("http", KeyOps)+"/metrics")
				return strings.Contains(text, fmt.Sprintf("rightsizer_http_connections{listener=%q} %d", key, n))
			}, 5*time.Second, 10*time.Millisecond)
		}
		closed := func(conn net.Conn) {
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
			_, err := conn.Read(make([]byte, 1))
			require.Error(t, err)
			require.NotErrorIs(t, err, errTimeout, "it was closed, not left waiting")
		}
		from("127.0.0.1")
		from("127.0.0.1")
		counted(2)
		closed(from("127.0.0.1"))
		other := from("127.0.0.2")
		_, err := other.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
		require.NoError(t, err)
		require.NoError(t, other.SetReadDeadline(time.Now().Add(5*time.Second)))
		_, err = other.Read(make([]byte, 1))
		require.NoError(t, err, "another address is served")
		from("127.0.0.2")
		counted(4)
		closed(from("127.0.0.3"))
		elsewhere := map[string]string{KeyAPI: KeyEvents, KeyEvents: KeyAPI}[key]
		address = o.Addr(elsewhere).String()
		closed(from("127.0.0.3")) // the listeners share them
		for _, conn := range open {
			_ = conn.Close()
		}
		counted(0)
	}
	status, _ := get(t, o.url("http", KeyOps)+"/healthz")
	assert.Equal(t, http.StatusOK, status, "health still answers")
}

func TestReflection(t *testing.T) {
	o := start(t, loopback())
	reflector := grpcreflect.NewClient(client(t, 2), o.url("http", KeyAPI), connect.WithGRPC())
	stream := reflector.NewStream(t.Context())
	defer func() { _, _ = stream.Close() }()
	names, err := stream.ListServices()
	require.NoError(t, err)
	assert.Len(t, names, len(services)+1)
	files, err := stream.FileContainingSymbol("rightsizer.v1.EventService")
	require.NoError(t, err)
	assert.NotEmpty(t, files)
}

func TestMethodsOfLaterVersionsAreUnimplemented(t *testing.T) {
	o := start(t, loopback())
	_, err := rightsizerv1connect.NewAuditServiceClient(client(t, 2), o.url("http", KeyAPI)).
		VerifyAudit(t.Context(), &rightsizerv1.VerifyAuditRequest{})
	assert.Equal(t, connect.CodeUnimplemented, connect.CodeOf(err))
	assert.Equal(t, rpcerr.ReasonUnimplemented, rpcerr.Reason(err))
}
