package auth

import (
	"net"
	"net/netip"
	"sync"
)

// PeerKey is by what the senders of an address, with or without its port, are
// counted together: an IPv4 address, or the /64 of an IPv6 one, all of which its
// holder has. What is no address is taken as it is.
func PeerKey(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	const network = 64 // RFC 4291, section 2.5.4: what one holder is given at least
	prefix, _ := ip.Prefix(network)
	return prefix.String()
}

// Slots are places of which each address may have a part, so that none takes those
// of all. Safe for concurrent use.
type Slots struct {
	most, perPeer int

	mu    sync.Mutex
	taken int
	peers map[string]int // by PeerKey; at most as many as are taken
}

// NewSlots makes so many, of which an address may have half.
func NewSlots(most int) *Slots { return NewSlotsEach(most, max(1, most/2)) }

// NewSlotsEach makes so many, of which an address may have perPeer.
func NewSlotsEach(most, perPeer int) *Slots {
	return &Slots{most: most, perPeer: perPeer, peers: make(map[string]int)}
}

// PerPeer is how many an address may have.
func (s *Slots) PerPeer() int { return s.perPeer }

// Take takes a place for an address; leave, which is called once, gives it back.
// It is nil where there is none.
func (s *Slots) Take(address string) (leave func()) {
	peer := PeerKey(address)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most || s.peers[peer] >= s.perPeer {
		return nil
	}
	s.taken++
	s.peers[peer]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.taken--
		if s.peers[peer]--; s.peers[peer] == 0 {
			delete(s.peers, peer)
		}
	}
}
