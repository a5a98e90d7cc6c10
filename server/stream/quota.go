package stream

import (
	"cmp"
	"errors"
	"fmt"

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
	return fmt.Sprintf("stream: %d streams are open of one %s, the most it may have", e.Limit, e.Of)
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

// take counts a stream of r, or says which quota it is beyond. Where the API is
// open nobody has a name, and the address alone counts.
func (q quotas) take(r Reader) error {
	peer, who := auth.PeerKey(r.Peer), identityKey(r)
	switch {
	case r.Identity != "" && q.perIdentity > 0 && q.identities[who] >= q.perIdentity:
		return &QuotaError{Of: "identity", Limit: q.perIdentity}
	case q.perPeer > 0 && q.peers[peer] >= q.perPeer:
		return &QuotaError{Of: "peer", Limit: q.perPeer}
	}
	q.identities[who]++
	q.peers[peer]++
	return nil
}

// identityKey tells people of one name apart by who vouches for them.
func identityKey(r Reader) string { return r.Via + " " + r.Identity }

func (q quotas) give(r Reader) {
	for _, count := range []struct {
		of  map[string]int
		key string
	}{{q.identities, identityKey(r)}, {q.peers, auth.PeerKey(r.Peer)}} {
		if count.of[count.key]--; count.of[count.key] <= 0 {
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
