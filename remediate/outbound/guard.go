package outbound

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Guard judges addresses. The zero value allows what is public.
type Guard struct {
	allowed []netip.Prefix // beyond what is public
	within  [][]netip.Prefix
}

// maxNetworks bounds one list of networks.
const maxNetworks = 64

// NewGuard makes a guard that allows public addresses, and these networks
// besides, such as 10.0.0.0/8. It is the operator's own list. Loopback is allowed
// by a network within loopback alone; the addresses of doc.go never are.
func NewGuard(networks ...string) (*Guard, error) {
	prefixes, err := parseNetworks(networks)
	if err != nil {
		return nil, err
	}
	return &Guard{allowed: prefixes}, nil
}

// Narrowed returns a guard that allows what this one does and what lies within one
// of these networks; with none it is this one.
func (g *Guard) Narrowed(networks ...string) (*Guard, error) {
	prefixes, err := parseNetworks(networks)
	if err != nil {
		return nil, err
	}
	narrowed := &Guard{allowed: g.allowed, within: slices.Clone(g.within)}
	if len(prefixes) > 0 {
		narrowed.within = append(narrowed.within, prefixes)
	}
	return narrowed, nil
}

func parseNetworks(networks []string) ([]netip.Prefix, error) {
	if len(networks) > maxNetworks {
		return nil, fmt.Errorf("%d networks, at most %d are allowed", len(networks), maxNetworks)
	}
	prefixes := make([]netip.Prefix, 0, len(networks))
	for _, text := range networks {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%q is no network; wants one such as 10.0.0.0/8 or fd00:1234::/32", text)
		}
		if prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("%q is IPv4 written as IPv6; wants the IPv4 network", text)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

// RefusedError says that an address may not be called.
type RefusedError struct {
	// Address is the address, or what could not be one.
	Address string
	// Why says what is wrong with it.
	Why string
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s may not be called: %s", e.Address, e.Why)
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

func contains(list []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// never are ranges that nothing allows, with the reason.
var never = []struct {
	why      string
	prefixes []netip.Prefix
}{
	{"it is unspecified or of this network", prefixes("0.0.0.0/8", "::/128")},
	{"it is link-local, where metadata services are", prefixes("169.254.0.0/16", "fe80::/10")},
	// Metadata services that are not link-local: AWS, GCP, Alibaba, Oracle, Azure.
	{"it is a metadata service", prefixes("fd00:ec2::/32", "fd20:ce::254/128", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32")},
	{"it is multicast", prefixes("224.0.0.0/4", "ff00::/8")},
	{"it is reserved", prefixes("192.0.0.0/24", "240.0.0.0/4", "100::/64", "5f00::/16")},
	// Tunnels that would end at an IPv4 address of the sender's choice.
	{"it is a tunnel to IPv4", prefixes("2002::/16", "2001::/32", "::/96", "::ffff:0:0:0/96")},
}

var (
	loopback = prefixes("127.0.0.0/8", "::1/128")
	// private are ranges that are not public (RFC 1918, 4193, 6598, 2544, 3879).
	private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7", "fec0::/10")
	nat64   = prefixes("64:ff9b::/96")
	// localNAT64 is translated to IPv4 in ways of the network's own (RFC 8215).
	localNAT64 = prefixes("64:ff9b:1::/48")
)

// Check is nil for an address that may be called, else a [RefusedError].
func (g *Guard) Check(addr netip.Addr) error {
	shown := addr.String()
	refuse := func(why string) error { return &RefusedError{Address: shown, Why: why} }
	if !addr.IsValid() {
		return refuse("it is no address")
	}
	if addr.Zone() != "" {
		return refuse("it has a zone, as link-local addresses have")
	}
	addr = addr.Unmap()
	if contains(nat64, addr) {
		raw := addr.As16()
		addr = netip.AddrFrom4([4]byte(raw[12:]))
	}
	if contains(localNAT64, addr) {
		if err := g.translated(addr, refuse); err != nil {
			return err
		}
	}
	if contains(loopback, addr) {
		if !slices.ContainsFunc(g.allowed, func(p netip.Prefix) bool { return contains(loopback, p.Addr()) && p.Bits() >= 8 && p.Contains(addr) }) {
			return refuse("it is loopback")
		}
		return g.narrow(addr, refuse)
	}
	for _, n := range never {
		if contains(n.prefixes, addr) {
			return refuse(n.why)
		}
	}
	if contains(private, addr) && !contains(g.allowed, addr) {
		return refuse("it is private, and the operator's list of networks does not have it")
	}
	return g.narrow(addr, refuse)
}

// translated judges an address of a local NAT64, which is private: it must be
// listed, and neither of the IPv4 addresses that it may stand for (RFC 6052, of a
// /48 and of a /96) be one that nothing allows.
func (g *Guard) translated(addr netip.Addr, refuse func(string) error) error {
	if !contains(g.allowed, addr) {
		return refuse("it is a local translation to IPv4, and the operator's list of networks does not have it")
	}
	raw := addr.As16()
	for _, v4 := range []netip.Addr{
		netip.AddrFrom4([4]byte{raw[6], raw[7], raw[9], raw[10]}), netip.AddrFrom4([4]byte(raw[12:])),
	} {
		if v4.IsUnspecified() {
			continue // the place of the other form's suffix
		}
		if contains(loopback, v4) {
			return refuse("it may be loopback")
		}
		for _, n := range never {
			if contains(n.prefixes, v4) {
				return refuse(n.why)
			}
		}
	}
	return nil
}

func (g *Guard) narrow(addr netip.Addr, refuse func(string) error) error {
	for _, list := range g.within {
		if !contains(list, addr) {
			return refuse("the policy's list of networks does not have it")
		}
	}
	return nil
}
