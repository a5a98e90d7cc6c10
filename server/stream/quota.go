package stream

import (
	"cmp"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/auth"
)

// QuotaError refuses a stream beyond what one identity or one peer address may
// have open.
type QuotaError struct {
	// Of is identity or peer.
	Of string
	// Limit is how many streams it may have.
	Limit int
}

// Error implements error.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("stream: %d streams are open of one %s, the most it may have; one with a filter of more than %d KiB counts as several",
		e.Limit, e.Of, filterBytes>>10)
}

// filterBytes is how large the filter of a stream may be that counts as one. It is kept
// as long as the stream, as it was sent and as it is evaluated.
const filterBytes = 16 << 10

// weight is as how many streams one with this filter counts.
func weight(f *rightsizerv1.EventFilter) int { return 1 + proto.Size(f)/filterBytes }

// owner is whose streams are counted together: those of an identity, where it has a
// name, and those of an address.
type owner struct{ identity, peer string }

// ownerOf tells people of one name apart by who vouches for them.
func ownerOf(r Reader) owner {
	o := owner{peer: auth.PeerKey(r.Peer)}
	if r.Identity != "" {
		o.identity = r.Via + " " + r.Identity
	}
	return o
}

// quotas count the open streams by who has them. The hub's mutex guards it.
type quotas struct {
	identities, peers    map[string]int
	perIdentity, perPeer int
}

func newQuotas(o Options) quotas {
	return quotas{
		identities: make(map[string]int), peers: make(map[string]int),
		perIdentity: o.MaxPerIdentity, perPeer: o.MaxPerPeer,
	}
}

// take counts n streams more, or says which quota they are beyond. Where the API is open
// nobody has a name, and the address alone counts.
func (q quotas) take(o owner, n int) error {
	switch {
	case o.identity != "" && q.perIdentity > 0 && q.identities[o.identity]+n > q.perIdentity:
		return &QuotaError{Of: "identity", Limit: q.perIdentity}
	case q.perPeer > 0 && q.peers[o.peer]+n > q.perPeer:
		return &QuotaError{Of: "peer", Limit: q.perPeer}
	}
	q.identities[o.identity] += n
	q.peers[o.peer] += n
	return nil
}

func (q quotas) give(o owner, n int) {
	for _, count := range []struct {
		of  map[string]int
		key string
	}{{q.identities, o.identity}, {q.peers, o.peer}} {
		if count.of[count.key] -= n; count.of[count.key] <= 0 {
			delete(count.of, count.key)
		}
	}
}

// refusalOf names why Open failed, for the metric.
func refusalOf(err error) string {
	if quota, ok := errors.AsType[*QuotaError](err); ok {
		return quota.Of
	}
	return "full"
}

// withQuotas fills in what one of many may have: a quarter of the streams for an
// identity, half for an address, since a proxy or a node's NAT stands for many.
func (o Options) withQuotas() Options {
	o.MaxPerIdentity = cmp.Or(o.MaxPerIdentity, max(1, o.MaxSessions/4))
	o.MaxPerPeer = cmp.Or(o.MaxPerPeer, max(1, o.MaxSessions/2))
	return o
}
