package intercept

import (
	"compress/gzip"
	"errors"
	"io"

	"connectrpc.com/connect"
)

// unpacking is gzip that stops one byte beyond what a message may have. connect reads
// what is over its limit to the end, to say how much it was: a bomb of some hundred
// KiB would cost a core for as long as it takes to unpack it.
func unpacking(limit int64) connect.HandlerOption {
	return connect.WithCompression("gzip",
		func() connect.Decompressor { return &unpacker{limit: limit} },
		func() connect.Compressor { return gzip.NewWriter(io.Discard) },
	)
}

var errUnpacked = connect.NewError(connect.CodeResourceExhausted, errors.New("the message unpacks to more than it may have"))

// unpacker is a decompressor for one message after the other.
type unpacker struct {
	gzip.Reader

	limit, left int64
}

// Reset implements connect.Decompressor.
func (u *unpacker) Reset(from io.Reader) error {
	u.left = u.limit + 1
	return u.Reader.Reset(from) //nolint:wrapcheck // connect words it
}

// Read implements io.Reader.
func (u *unpacker) Read(p []byte) (int, error) {
	if u.left == 0 {
		return 0, errUnpacked
	}
	n, err := u.Reader.Read(p[:min(int64(len(p)), u.left)])
	u.left -= int64(n)
	return n, err //nolint:wrapcheck // io.EOF must stay itself
}
