package intercept

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func packed(t *testing.T, size int) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, err := zip.Write(make([]byte, size))
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	return &out
}

// A bomb is unpacked as far as a message may reach and no further, however often
// anybody reads on; and the next message is read as any other.
func TestABombIsNotUnpacked(t *testing.T) {
	t.Parallel()
	const limit = 1000
	u := &unpacker{limit: limit}
	for _, size := range []int{0, limit, limit + 1, 64 << 20, limit} {
		bomb := packed(t, size)
		length := bomb.Len()
		require.NoError(t, u.Reset(bomb))
		n, err := io.Copy(io.Discard, u)
		assert.EqualValues(t, min(size, limit+1), n)
		if size <= limit+1 { // who reads it sees by its length what it is
			require.NoError(t, err, size)
			continue
		}
		assert.Equal(t, connect.CodeResourceExhausted, connect.CodeOf(err))
		_, err = io.Copy(io.Discard, u)
		require.ErrorIs(t, err, errUnpacked)
		assert.Less(t, length-bomb.Len(), 16<<10, "of %d bytes", length)
	}
}
