package outbound_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/remediate/outbound"
)

func guard(t *testing.T, networks ...string) *outbound.Guard {
	t.Helper()
	g, err := outbound.NewGuard(networks...)
	require.NoError(t, err)
	return g
}

func TestWhatMayBeCalled(t *testing.T) {
	t.Parallel()
	public := guard(t)
	private := guard(t, "10.0.0.0/8", "fd00:1234::/32", "0.0.0.0/0", "::/0")
	for address, allowed := range map[string]struct{ public, private bool }{
		"93.184.216.34":         {true, true},
		"2606:4700::1111":       {true, true},
		"::ffff:93.184.216.34":  {true, true},
		"10.1.2.3":              {false, true},
		"192.168.1.1":           {false, true}, // 0.0.0.0/0 names it, if clumsily
		"100.64.0.1":            {false, true},
		"fd00:1234::1":          {false, true},
		"64:ff9b::a01:203":      {false, true}, // NAT64 of 10.1.2.3
		"64:ff9b:1::a01:203":    {false, true}, // a local NAT64, as a /96
		"64:ff9b:1:a01:2:300::": {false, true}, // as a /48
		// Never, whatever the list says.
		"64:ff9b:1::7f00:1": {}, "64:ff9b:1:a9fe:a9:fe00::": {}, "64:ff9b:1::a9fe:a9fe": {}, "64:ff9b:1:7f00:0:100::": {},
		"127.0.0.1": {}, "127.9.9.9": {}, "::1": {}, "::ffff:127.0.0.1": {}, "64:ff9b::7f00:1": {},
		"169.254.169.254": {}, "::ffff:169.254.169.254": {}, "64:ff9b::a9fe:a9fe": {}, "fe80::1": {}, "fe80::1%eth0": {},
		"fd00:ec2::254": {}, "fd00:ec2::23": {}, "fd20:ce::254": {}, "100.100.100.200": {}, "192.0.0.192": {}, "168.63.129.16": {},
		"0.0.0.0": {}, "0.1.2.3": {}, "::": {}, "224.0.0.1": {}, "ff02::1": {}, "255.255.255.255": {}, "240.0.0.1": {},
		"2002:7f00:1::": {}, "2001:0:1::1": {}, "::7f00:1": {}, "::ffff:0:127.0.0.1": {}, "::ffff:0:a9fe:a9fe": {},
	} {
		addr := netip.MustParseAddr(address)
		assert.Equal(t, allowed.public, public.Check(addr) == nil, "%s, public: %v", address, public.Check(addr))
		assert.Equal(t, allowed.private, private.Check(addr) == nil, "%s, private: %v", address, private.Check(addr))
	}
	require.Error(t, public.Check(netip.Addr{}))
	var refused *outbound.RefusedError
	require.ErrorAs(t, public.Check(netip.MustParseAddr("169.254.169.254")), &refused)
	assert.Equal(t, "169.254.169.254", refused.Address)
}

func TestLoopbackOnlyByItsOwnNetwork(t *testing.T) {
	t.Parallel()
	local := netip.MustParseAddr("127.0.0.1")
	require.NoError(t, guard(t, "127.0.0.0/8").Check(local))
	require.NoError(t, guard(t, "::1/128").Check(netip.MustParseAddr("::1")))
	require.Error(t, guard(t, "126.0.0.0/7").Check(local), "a wider network does not mean it")
	require.Error(t, guard(t, "127.0.0.2/32").Check(local))
}

func TestAPolicyNarrowsAndNeverWidens(t *testing.T) {
	t.Parallel()
	operator := guard(t, "10.0.0.0/8")
	policy, err := operator.Narrowed("10.1.0.0/16", "192.168.0.0/16")
	require.NoError(t, err)
	require.NoError(t, policy.Check(netip.MustParseAddr("10.1.2.3")))
	require.Error(t, policy.Check(netip.MustParseAddr("10.2.2.3")))
	require.Error(t, policy.Check(netip.MustParseAddr("93.184.216.34")))
	require.Error(t, policy.Check(netip.MustParseAddr("192.168.1.1")), "the operator's list does not have it")
	again, err := policy.Narrowed("10.0.0.0/8")
	require.NoError(t, err)
	require.Error(t, again.Check(netip.MustParseAddr("10.2.2.3")))
	local, err := guard(t).Narrowed("127.0.0.0/8")
	require.NoError(t, err)
	require.Error(t, local.Check(netip.MustParseAddr("127.0.0.1")))
	same, err := operator.Narrowed()
	require.NoError(t, err)
	require.NoError(t, same.Check(netip.MustParseAddr("10.2.2.3")))
}

func TestNetworksThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "10.0.0.0", "10.0.0.0/33", "::ffff:10.0.0.0/104", "example.test"} {
		_, err := outbound.NewGuard(text)
		require.Error(t, err, text)
		_, err = guard(t).Narrowed(text)
		require.Error(t, err, text)
	}
	_, err := outbound.NewGuard(make([]string, 65)...)
	require.Error(t, err)
}

// Whatever bytes an address has, in whatever form: one that ends at loopback,
// link-local or nowhere is refused by a guard that lists everything.
func FuzzGuard(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add([]byte{169, 254, 169, 254})
	f.Add(netip.MustParseAddr("64:ff9b::a9fe:a9fe").AsSlice())
	f.Fuzz(func(t *testing.T, raw []byte) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		if guard(t, "0.0.0.0/0", "::/0").Check(addr) != nil {
			return
		}
		plain := addr.Unmap()
		require.False(t, plain.IsLoopback() || plain.IsLinkLocalUnicast() || plain.IsMulticast() || plain.IsUnspecified(), addr)
	})
}
