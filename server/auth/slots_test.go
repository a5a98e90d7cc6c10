package auth_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/server/auth"
)

func TestPeersAreCountedByWhatOneHolderHas(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"10.0.0.1:443": "10.0.0.1", "10.0.0.1": "10.0.0.1", "[::ffff:10.0.0.1]:443": "10.0.0.1",
		"[2001:db8:1:2:3:4:5:6]:443": "2001:db8:1:2::/64", "2001:db8:1:2::7": "2001:db8:1:2::/64", "2001:db8:1:3::7": "2001:db8:1:3::/64",
		"fe80::1%eth0": "fe80::/64", "@": "@", "": "",
	} {
		assert.Equal(t, want, auth.PeerKey(address), address)
	}
}

func TestNoAddressTakesTheSlotsOfAll(t *testing.T) {
	t.Parallel()
	s := auth.NewSlots(8)
	var leave []func()
	for i := range 4 {
		l := s.Take("[2001:db8::" + strconv.Itoa(i+1) + "]:1")
		require.NotNil(t, l)
		leave = append(leave, l)
	}
	assert.Nil(t, s.Take("[2001:db8::9]:1"))
	for range 4 {
		require.NotNil(t, s.Take("10.0.0.1:1"))
	}
	assert.Nil(t, s.Take("10.0.0.2:1"), "all are taken")
	leave[0]()
	assert.NotNil(t, s.Take("10.0.0.2:1"))
}
