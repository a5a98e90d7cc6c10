package auth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func chain(t *testing.T, methods ...auth.Method) *auth.Chain {
	t.Helper()
	c, err := auth.NewChain(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), methods...)
	require.NoError(t, err)
	return c
}

// body fails the test when somebody reads it.
type body struct{ t *testing.T }

func (b body) Read([]byte) (int, error) {
	b.t.Error("the body was read before its sender was known")
	return 0, errors.New("not yet")
}

// TestIdentityComesBeforeTheBody sends what must be refused in every way a
// credential can be wrong.
func TestIdentityComesBeforeTheBody(t *testing.T) {
	t.Parallel()
	asked := &cluster{tokens: map[string]authenticationv1.TokenReviewStatus{
		"good":     user("alice", "team"),
		"nobody":   user("", "team"),
		"alone":    user("bob"),
		"hollow":   user("carol", "team", ""),
		"loud":     user("dave\n\x1b[31m", "team"),
		"turned":   user("eve\u202e", "team"),
		"others":   {Authenticated: true, Audiences: []string{"https://kubernetes.default.svc"}, User: authenticationv1.UserInfo{Username: "mallory", Groups: []string{"team"}}},
		"anywhere": {Authenticated: true, User: authenticationv1.UserInfo{Username: "mallory", Groups: []string{"team"}}},
	}}
	reached := 0
	handler := auth.Middleware(chain(t, auth.NewKubernetes(asked, "ours")), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id, ok := auth.FromContext(r.Context())
		assert.True(t, ok)
		assert.Equal(t, "alice", id.User)
		assert.Equal(t, "kubernetes", id.Via)
		assert.Equal(t, []string{"team"}, id.Groups)
		assert.NotContains(t, id.Proof, "good")
		reached++
	}), nil)
	protocol := func(token string) string {
		return auth.SubprotocolToken + base64.RawURLEncoding.EncodeToString([]byte(token))
	}
	for name, c := range map[string]struct {
		header http.Header
		query  string
		status int
	}{
		"a good token":             {http.Header{"Authorization": {"Bearer good"}}, "", 200},
		"scheme in any case":       {http.Header{"Authorization": {"bearer good"}}, "", 200},
		"as a subprotocol":         {http.Header{"Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {auth.Subprotocol + ", " + protocol("good")}}, "", 200},
		"beside other parameters":  {http.Header{"Authorization": {"Bearer good"}}, "tokens=3&message=%7B%7D", 200},
		"none":                     {nil, "", 401},
		"empty":                    {http.Header{"Authorization": {"Bearer "}}, "", 401},
		"not known":                {http.Header{"Authorization": {"Bearer guess"}}, "", 401},
		"another scheme":           {http.Header{"Authorization": {"Basic Z29vZDpnb29k"}}, "", 401},
		"two":                      {http.Header{"Authorization": {"Bearer good", "Bearer good"}}, "", 401},
		"two ways":                 {http.Header{"Upgrade": {"websocket"}, "Authorization": {"Bearer good"}, "Sec-Websocket-Protocol": {protocol("good")}}, "", 401},
		"a subprotocol, no socket": {http.Header{"Sec-Websocket-Protocol": {protocol("good")}}, "", 401},
		"a subprotocol not base64": {http.Header{"Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {auth.SubprotocolToken + "***"}}, "", 401},
		"too long":                 {http.Header{"Authorization": {"Bearer " + strings.Repeat("a", 16<<10+1)}}, "", 401},
		"no UTF-8":                 {http.Header{"Authorization": {"Bearer \xff\xfe"}}, "", 401},
		"no user":                  {http.Header{"Authorization": {"Bearer nobody"}}, "", 401},
		"no groups":                {http.Header{"Authorization": {"Bearer alone"}}, "", 401},
		"an empty group":           {http.Header{"Authorization": {"Bearer hollow"}}, "", 401},
		"control characters":       {http.Header{"Authorization": {"Bearer loud"}}, "", 401},
		"text that turns":          {http.Header{"Authorization": {"Bearer turned"}}, "", 401},
		"another audience":         {http.Header{"Authorization": {"Bearer others"}}, "", 401},
		"no audience in answer":    {http.Header{"Authorization": {"Bearer anywhere"}}, "", 401},
		"in the URL":               {nil, "access_token=good", 401},
		"in the URL as well":       {http.Header{"Authorization": {"Bearer good"}}, "a=b&TOKEN=good", 401},
		"in the URL, escaped":      {http.Header{"Authorization": {"Bearer good"}}, "%74oken=good", 401},
		"in the URL, in capitals":  {nil, "accessToken=good", 401},
		"in the URL, with a dash":  {nil, "auth-token=good", 401},
		"in the URL, as a JWT":     {nil, "jwt=good", 401},
		"in the URL, as a key":     {nil, "key=good", 401},
		"in the URL, malformed":    {http.Header{"Authorization": {"Bearer good"}}, "%zz;token=good", 401},
	} {
		reached = 0
		r := httptest.NewRequest(http.MethodPost, "/rightsizer.v1.ClusterService/GetCluster?"+c.query, body{t})
		r.Header = c.header
		if r.Header == nil {
			r.Header = http.Header{}
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		assert.Equal(t, c.status, w.Code, name)
		assert.Equal(t, c.status == 200, reached == 1, name)
		if c.status == 401 {
			assert.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"), name)
			assert.JSONEq(t, `{"code":"unauthenticated","message":"the caller is not known"}`, bare(w.Body.String()), "%s: no detail", name)
		}
	}
}

// bare is an error's JSON without its details.
func bare(text string) string {
	before, _, _ := strings.Cut(text, `,"details"`)
	return strings.TrimSuffix(before, "}") + "}"
}

func TestADownReviewerClosesTheDoor(t *testing.T) {
	t.Parallel()
	asked := &cluster{down: errors.New("connection refused"), tokens: map[string]authenticationv1.TokenReviewStatus{"good": user("alice", "team")}}
	_, err := chain(t, auth.NewKubernetes(asked, "ours")).Authenticate(t.Context(), auth.Credential{Token: "good"})
	assert.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
	assert.Equal(t, auth.ReasonReviewDown, rpcerr.Reason(err))
	assert.NotContains(t, err.Error(), "refused")
	asked.set(func() { asked.down = nil })
	id, err := chain(t, auth.NewKubernetes(asked, "ours")).Authenticate(t.Context(), auth.Credential{Token: "good"})
	require.NoError(t, err)
	assert.Equal(t, "alice", id.User)
}

func TestAFailureIsRememberedForASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := &cluster{down: errors.New("connection refused"), tokens: map[string]authenticationv1.TokenReviewStatus{"good": user("alice", "team")}}
		c := chain(t, auth.NewKubernetes(asked, "ours"))
		for range 100 {
			_, err := c.Authenticate(t.Context(), auth.Credential{Token: "good"})
			require.Equal(t, connect.CodeUnavailable, connect.CodeOf(err))
		}
		tokens, _ := asked.counts()
		assert.Equal(t, 1, tokens, "who is down is not asked a hundred times")
		asked.set(func() { asked.down = nil })
		time.Sleep(time.Second)
		_, err := c.Authenticate(t.Context(), auth.Credential{Token: "good"})
		require.NoError(t, err)
	})
}

func TestWhoAsksLeavesWhenHeMustAndTheQuestionRunsOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := &cluster{tokens: map[string]authenticationv1.TokenReviewStatus{"good": user("alice", "team")}, hold: make(chan struct{})}
		c := chain(t, auth.NewKubernetes(asked, "ours"))
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Authenticate(ctx, auth.Credential{Token: "good"})
		require.Error(t, err)
		assert.Equal(t, time.Second, time.Since(began))
		close(asked.hold)
		synctest.Wait()
		_, err = c.Authenticate(t.Context(), auth.Credential{Token: "good"})
		require.NoError(t, err)
		tokens, _ := asked.counts()
		assert.Equal(t, 1, tokens, "its answer was not thrown away")
	})
}

func TestAnswersAreRememberedForTenSecondsAndAskedForOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := &cluster{tokens: map[string]authenticationv1.TokenReviewStatus{"good": user("alice", "team")}, hold: make(chan struct{})}
		c := chain(t, auth.NewKubernetes(asked, "ours"))
		answers := make(chan error, 100)
		for range 100 {
			go func() {
				_, err := c.Authenticate(t.Context(), auth.Credential{Token: "good"})
				answers <- err
			}()
		}
		synctest.Wait()
		close(asked.hold)
		for range 100 {
			require.NoError(t, <-answers)
		}
		tokens, _ := asked.counts()
		assert.Equal(t, 1, tokens, "a hundred at once, one question")
		for _, step := range []struct {
			after time.Duration
			known bool
		}{{9 * time.Second, true}, {2 * time.Second, false}} {
			asked.set(func() { asked.tokens = nil }) // revoked
			time.Sleep(step.after)
			_, err := c.Authenticate(t.Context(), auth.Credential{Token: "good"})
			assert.Equal(t, step.known, err == nil, "a revoked token works 10 s at most")
		}
		tokens, _ = asked.counts()
		for range 50 {
			_, err := c.Authenticate(t.Context(), auth.Credential{Token: "good"})
			require.Error(t, err)
		}
		again, _ := asked.counts()
		assert.Equal(t, tokens, again, "a refusal is remembered too")
	})
}

func TestGuessesCostTheClusterLittle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := &cluster{tokens: map[string]authenticationv1.TokenReviewStatus{"good": user("alice", "team")}}
		c := chain(t, auth.NewKubernetes(asked, "ours"))
		_, err := c.Authenticate(t.Context(), auth.Credential{Token: "good", Peer: "10.0.0.1"})
		require.NoError(t, err)
		refused := 0
		for i := range 5000 {
			_, err := c.Authenticate(t.Context(), auth.Credential{Token: string(rune('a'+i%26)) + time.Duration(i).String(), Peer: "10.0.0.1"})
			if connect.CodeOf(err) == connect.CodeResourceExhausted {
				refused++
			}
		}
		tokens, _ := asked.counts()
		assert.LessOrEqual(t, tokens, 201)
		assert.Equal(t, 5001-tokens, refused)
		_, err = c.Authenticate(t.Context(), auth.Credential{Token: "good", Peer: "10.0.0.1"})
		require.NoError(t, err, "who is known there is not held up")
		time.Sleep(11 * time.Second) // past what is remembered of any answer
		flood := func(call string) {
			for i := range 5000 {
				_, _ = c.Authenticate(t.Context(), auth.Credential{Token: call + strconv.Itoa(i), Peer: "10.0.0.1"})
			}
		}
		flood("again")
		_, err = c.Authenticate(t.Context(), auth.Credential{Token: "good", Peer: "10.0.0.1"})
		require.NoError(t, err, "nor when his answer is asked for again")
		_, err = c.Authenticate(t.Context(), auth.Credential{Token: "guess", Peer: "10.0.0.2"})
		assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err), "nor is another address")
		asked.set(func() { asked.tokens = nil }) // revoked
		time.Sleep(11 * time.Second)
		_, err = c.Authenticate(t.Context(), auth.Credential{Token: "good", Peer: "10.0.0.1"})
		assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err))
		time.Sleep(11 * time.Second)
		flood("once more")
		_, err = c.Authenticate(t.Context(), auth.Credential{Token: "good", Peer: "10.0.0.1"})
		assert.Equal(t, connect.CodeResourceExhausted, connect.CodeOf(err), "who was let in once is a stranger when he is not any more")
	})
}

// While the cluster answers nothing, tokens that prove nothing wait for one another,
// from however many addresses, and not before those who were let in once.
func TestGuessesHoldUpNobodyWhoIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := &cluster{tokens: map[string]authenticationv1.TokenReviewStatus{"good": user("alice", "team")}}
		c := chain(t, auth.NewKubernetes(asked, "ours"))
		_, err := c.Authenticate(t.Context(), auth.Credential{Token: "good", Peer: "10.0.0.1"})
		require.NoError(t, err)
		time.Sleep(11 * time.Second) // past what is remembered
		hold := make(chan struct{})
		asked.set(func() { asked.hold = hold })
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				_, _ = c.Authenticate(t.Context(), auth.Credential{Token: "guess" + strconv.Itoa(i), Peer: "10.0.1." + strconv.Itoa(i)})
			})
		}
		synctest.Wait()
		tokens, _ := asked.counts()
		assert.Equal(t, 1+16, tokens, "half of the questions at a time are theirs")
		asked.set(func() { asked.hold = nil })
		_, err = c.Authenticate(t.Context(), auth.Credential{Token: "good", Peer: "10.0.0.1"})
		assert.NoError(t, err, "who is known is asked about at once")
		close(hold)
		all.Wait()
	})
}

func TestGoodTokensCostAnAddressNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := &cluster{tokens: map[string]authenticationv1.TokenReviewStatus{}}
		for i := range 1000 {
			asked.tokens["good"+strconv.Itoa(i)] = user("alice", "team")
		}
		c := chain(t, auth.NewKubernetes(asked, "ours"))
		for i := range 1000 {
			_, err := c.Authenticate(t.Context(), auth.Credential{Token: "good" + strconv.Itoa(i), Peer: "10.0.0.1"})
			require.NoError(t, err, "a gateway stands for many")
		}
		for i := range 300 {
			_, err := c.Authenticate(t.Context(), auth.Credential{Token: "bad" + strconv.Itoa(i), Peer: "10.0.0.1"})
			if i < 200 {
				require.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err), i)
				continue
			}
			require.Equal(t, connect.CodeResourceExhausted, connect.CodeOf(err), "no more than before: %d", i)
		}
	})
}

func TestATokenOfTheClusterSaysWhenItRunsOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":`+unix(time.Now().Add(4*time.Second))+`}`)) + ".x"
		asked := &cluster{tokens: map[string]authenticationv1.TokenReviewStatus{token: user("alice", "team")}}
		c := chain(t, auth.NewKubernetes(asked, "ours"))
		id, err := c.Authenticate(t.Context(), auth.Credential{Token: token})
		require.NoError(t, err)
		assert.WithinDuration(t, time.Now().Add(4*time.Second), id.Expires, time.Second)
		time.Sleep(5 * time.Second)
		_, err = c.Authenticate(t.Context(), auth.Credential{Token: token})
		assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err), "sooner than any answer is forgotten")
	})
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func TestOpenAndClosed(t *testing.T) {
	t.Parallel()
	id, err := auth.Open{}.Authenticate(t.Context(), auth.Credential{})
	require.NoError(t, err)
	assert.True(t, id.Open())
	_, err = auth.Closed{}.Authenticate(t.Context(), auth.Credential{Token: "any"})
	assert.Equal(t, auth.ReasonClosed, rpcerr.Reason(err))
	assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err))
	_, err = chain(t).Authenticate(t.Context(), auth.Credential{Token: "any"})
	assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err), "no method, no caller")
	_, err = auth.Recheck(context.Background())
	assert.Equal(t, connect.CodeUnauthenticated, connect.CodeOf(err))
}
