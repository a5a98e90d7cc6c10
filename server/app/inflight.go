package app

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rightsizer/rightsizer/server/auth"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// Bounds of the requests that are being answered. A client of HTTP/2 that takes no
// data (a window of 0) holds each of its requests open, its headers and its answer
// in our memory, a hundred to a connection; whoever he is.
const (
	// requestsAtATime are those of all listeners of the API, of which one address
	// may have half. Streams that are open have bounds of their own and do not count.
	requestsAtATime = 256
	// requestsOfIdentity are those of one identity.
	requestsOfIdentity = 16
	// answerWithin is how long a request that is no stream may take, with what its
	// client takes to send it and to take the answer.
	answerWithin = 30 * time.Second
	// endWithin is how long a client may take the end of an answer.
	endWithin = 10 * time.Second
	// refuseWithin is how long a client may take a refusal.
	refuseWithin = 2 * time.Second
)

// inflight bounds the requests that are being answered. Safe for concurrent use.
type inflight struct {
	requests, refusals *auth.Slots
	refused            prometheus.Counter
	within             time.Duration // answerWithin
	body               time.Duration // bodyTimeout

	mu         sync.Mutex
	identities map[string]int
}

func newInflight(refused prometheus.Counter) *inflight {
	return &inflight{
		requests: auth.NewSlots(requestsAtATime), refusals: auth.NewSlots(requestsAtATime),
		refused: refused, within: answerWithin, body: bodyTimeout, identities: make(map[string]int),
	}
}

// place is one of the requests that are being answered.
type place struct {
	control *http.ResponseController

	mu     sync.Mutex
	leaves []func()
}

type placeKey struct{}

// hold has leave called when the place is left.
func (p *place) hold(leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaves = append(p.leaves, leave)
}

func (p *place) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, leave := range p.leaves {
		leave()
	}
	p.leaves = nil
}

// lasts says that the request of ctx is a stream that others bound from now on, in
// number and each of its writes in time.
func lasts(ctx context.Context) {
	if p, ok := ctx.Value(placeKey{}).(*place); ok {
		p.leave()
		_ = p.control.SetWriteDeadline(time.Time{})
	}
}

// lasting is a handler of streams of which there may be so many already.
func lasting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lasts(r.Context())
		next.ServeHTTP(w, r)
	})
}

// bound lets requests through while there are places. Those beyond are told so, and
// beyond as many again they are broken off, for to tell them takes a place as well.
func (f *inflight) bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Err() != nil {
			return // taken back before its turn came
		}
		leave := f.requests.Take(r.RemoteAddr)
		if leave == nil {
			f.refuse(w, r)
			return
		}
		p := &place{control: http.NewResponseController(w)}
		p.hold(leave)
		defer p.leave()
		defer forget(p.control, r)
		_ = p.control.SetWriteDeadline(time.Now().Add(f.within)) // a recorder in a test has none
		// A copy: net/http goes by the body of its own whether a connection is of use.
		own := r.WithContext(context.WithValue(r.Context(), placeKey{}, p))
		if awaitBody(p.control, r, f.body) {
			own.Body = &liftingBody{ReadCloser: r.Body, lift: func() { _ = p.control.SetReadDeadline(time.Time{}) }}
		}
		next.ServeHTTP(w, own)
		end(p.control, r, min(f.within, endWithin))
	})
}

// awaitBody bounds how long the body of a request of HTTP/1 may take, whether or not
// anybody reads it: before net/http answers it waits for what the client has
// announced, for good where nothing says for how long. False where there is none.
func awaitBody(control *http.ResponseController, r *http.Request, within time.Duration) bool {
	return r.ProtoMajor < 2 && r.ContentLength != 0 && control.SetReadDeadline(time.Now().Add(within)) == nil
}

// liftingBody lifts the deadline once the body is read: it is the connection's, and
// would later end an answer that is only written.
type liftingBody struct {
	io.ReadCloser
	lift func()
}

// Read implements io.Reader.
func (b *liftingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.lift()
	}
	return n, err //nolint:wrapcheck // io.EOF must stay itself
}

// end sends what is left of an answer while its place is held: HTTP/2 would do it
// after the handler has returned. A connection of HTTP/1 has one request at a time,
// and may be a WebSocket's by now.
func end(control *http.ResponseController, r *http.Request, within time.Duration) {
	if r.ProtoMajor < 2 {
		return
	}
	_ = control.SetWriteDeadline(time.Now().Add(within))
	_ = control.Flush() // the client may be gone
}

// forget lifts the deadlines of a stream of HTTP/2 that is over before its handler is.
// net/http stops those that were set before; what is set later keeps the stream, its
// headers and its body until it comes, and streams can be taken back by the thousand.
func forget(control *http.ResponseController, r *http.Request) {
	if r.ProtoMajor < 2 || r.Context().Err() == nil {
		return
	}
	_, _ = control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})
}

func (f *inflight) refuse(w http.ResponseWriter, r *http.Request) {
	f.refused.Inc()
	leave := f.refusals.Take(r.RemoteAddr)
	if leave == nil {
		panic(http.ErrAbortHandler)
	}
	defer leave()
	control := http.NewResponseController(w)
	defer forget(control, r)
	_ = control.SetWriteDeadline(time.Now().Add(refuseWithin))
	awaitBody(control, r, min(f.body, refuseWithin))
	// The client may be gone.
	_ = connect.NewErrorWriter().Write(w, r, rpcerr.Retry(connect.CodeResourceExhausted, reasonBusy,
		"too many requests are being answered already: at most "+strconv.Itoa(requestsAtATime)+", of one address "+strconv.Itoa(f.requests.PerPeer()), time.Second))
	end(control, r, refuseWithin)
}

func tooManyOfIdentity() error {
	return rpcerr.Retry(connect.CodeResourceExhausted, reasonBusy,
		"too many of your requests are being answered already: at most "+strconv.Itoa(requestsOfIdentity), time.Second)
}

// admit takes a place for an identity in the request of ctx; false where it has as
// many as it may. Where the API is open nobody has a name.
func (f *inflight) admit(ctx context.Context, id *auth.Identity) bool {
	p, ok := ctx.Value(placeKey{}).(*place)
	if !ok || id.Open() {
		return true
	}
	key := identityKey(id)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.identities[key] >= requestsOfIdentity {
		return false
	}
	f.identities[key]++
	p.hold(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.identities[key]--; f.identities[key] == 0 {
			delete(f.identities, key)
		}
	})
	return true
}
