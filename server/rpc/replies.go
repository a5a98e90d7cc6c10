package rpc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// Bounds of the replies that are remembered.
const (
	maxReplies = 1024
	repliesFor = 10 * time.Minute
)

// keyed is a request with a key of its own.
type keyed interface {
	proto.Message
	GetRequestId() string
}

// replies remember what was answered to a request's key, for ten minutes and for
// this replica: the same body gets the same answer, another body is refused. What
// is forgotten (the oldest first, beyond 1,024) is asked of the remediation itself,
// of which the same decision once more changes nothing.
type replies struct {
	now func() time.Time

	mu    sync.Mutex
	known map[string]*reply
	order []*reply // those of known, the oldest first
}

type reply struct {
	key  string
	hash string
	at   time.Time
	done chan struct{} // closed once the answer is there
	r    *rightsizerv1.Remediation
	err  error
}

func newReplies(now func() time.Time) *replies { return &replies{now: now, known: map[string]*reply{}} }

// once answers a request, or gives the answer that it got before. An error is not
// remembered. Who waits for another's answer leaves with his context.
func (s *replies) once(ctx context.Context, caller, verb string, req keyed, do func() (*rightsizerv1.Remediation, error)) (*rightsizerv1.Remediation, error) {
	if req.GetRequestId() == "" {
		return do()
	}
	key, hash := caller+"\x00"+verb+"\x00"+req.GetRequestId(), hashOf(req)
	for {
		mine, theirs := s.claim(key, hash)
		if theirs == nil {
			return s.answer(mine, do)
		}
		if theirs.hash != hash {
			return nil, rpcerr.New(connect.CodeAborted, ReasonRequestReused, "request_id: another request had this key within the last minutes; choose another one")
		}
		select {
		case <-theirs.done:
		case <-ctx.Done():
			return nil, connect.NewError(connect.CodeCanceled, context.Cause(ctx))
		}
		if theirs.err == nil {
			return proto.CloneOf(theirs.r), nil
		}
	}
}

// errPanicked is the answer where there was none.
var errPanicked = errors.New("the answer panicked")

// answer fills the caller's own entry, for those too who wait for it.
func (s *replies) answer(mine *reply, do func() (*rightsizerv1.Remediation, error)) (*rightsizerv1.Remediation, error) {
	mine.err = errPanicked
	defer func() {
		if mine.err != nil {
			s.forget(mine)
		}
		close(mine.done)
	}()
	mine.r, mine.err = do()
	return mine.r, mine.err
}

// claim makes an entry of the caller's own, or returns the one that is there.
func (s *replies) claim(key, hash string) (mine, theirs *reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.known[key]; r != nil {
		if s.now().Sub(r.at) < repliesFor {
			return nil, r
		}
		s.drop(r)
	}
	mine = &reply{key: key, hash: hash, at: s.now(), done: make(chan struct{})}
	s.known[key] = mine
	s.order = append(s.order, mine)
	if len(s.order) > maxReplies {
		s.drop(s.order[0])
	}
	return mine, nil
}

func (s *replies) forget(r *reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(r)
}

// drop takes an entry out that may be out already; under the lock.
func (s *replies) drop(r *reply) {
	if s.known[r.key] == r {
		delete(s.known, r.key)
		s.order = slices.DeleteFunc(s.order, func(other *reply) bool { return other == r })
	}
}

// hashOf is the hash of a request's body, in hexadecimal.
func hashOf(req proto.Message) string {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return "" // what was decoded a moment ago encodes
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
