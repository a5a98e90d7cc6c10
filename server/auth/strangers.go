package auth

import "k8s.io/utils/lru"

// How many tokens that are not known an address may offer: each costs the cluster
// a review.
const (
	strangersPerSecond = 50
	strangersBurst     = 200
	// maxVouched bounds the tokens that are known to have been good.
	maxVouched = 8192
)

// strangers hold each address to a pace of tokens that prove nothing. Whoever was
// let in with a token once is asked about again at no cost, so that nobody is
// thrown out by what others of his address send. Safe for concurrent use.
type strangers struct {
	pace    *Buckets
	vouched *lru.Cache // by memoKey
}

func newStrangers() *strangers {
	return &strangers{pace: NewBuckets(strangersPerSecond, strangersBurst), vouched: lru.New(maxVouched)}
}

// admit takes a question about a token from the bucket of an address, before it
// is asked: thousands at a time must not pass an empty bucket.
func (s *strangers) admit(token memoKey, peer string) (stranger bool, err error) {
	if _, ok := s.vouched.Get(token); ok {
		return false, nil
	}
	if wait := s.pace.Take(PeerKey(peer)); wait > 0 {
		return true, &PaceError{Wait: wait}
	}
	return true, nil
}

// judged takes the answer: a good token costs nothing, one that is not any more is
// a stranger's.
func (s *strangers) judged(token memoKey, peer string, r review, err error) {
	if err != nil {
		return
	}
	_, before := s.vouched.Get(token)
	switch {
	case r.id == nil:
		s.vouched.Remove(token)
	case !before:
		s.vouched.Add(token, nil)
		s.pace.Give(PeerKey(peer))
	}
}
