// Package page makes the tokens of paged lists. A token holds a cursor, whose
// meaning is its list's own, and is bound to the request it came from: with any
// other field changed it is refused, so that a page never continues another list.
//
// Tokens are opaque, not secret: they hold only what the caller was sent.
package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// defaultSize is the size of a page where the request does not say.
const defaultSize = 100

// Size is the page size asked for, 100 where none was; the schema bounds it.
func Size(asked int32) int {
	if asked <= 0 {
		return defaultSize
	}
	return int(asked)
}

// maxBytes bounds the entries of a page together, encoded: answers that clients are
// slow to take are in memory until they have them.
const maxBytes = 512 << 10

// Room is what there is room for on one page.
type Room struct {
	entries, bytes int
	begun          bool
}

// RoomFor is the room of a page of the size asked for.
func RoomFor(asked int32) *Room { return &Room{entries: Size(asked), bytes: maxBytes} }

// Take takes the room for an entry; false where the page ends before it. The first
// has room whatever its size.
func (r *Room) Take(entry proto.Message) bool {
	r.entries, r.bytes = r.entries-1, r.bytes-proto.Size(entry)
	fits := r.entries >= 0 && (r.bytes >= 0 || !r.begun)
	r.begun = true
	return fits
}

// bindingLen is how many bytes of the request's hash a token carries: enough
// against a mistake, and nothing is protected by it.
const bindingLen = 8

// Token makes the token that continues req at cursor.
func Token(req proto.Message, cursor string) string {
	return base64.RawURLEncoding.EncodeToString(append(binding(req), cursor...))
}

// Cursor returns the cursor in req's page_token, empty where there is no token.
// A token that is not one of ours, or of a request with other fields, is
// invalid_argument naming page_token.
func Cursor(req interface {
	proto.Message
	GetPageToken() string
},
) (string, error) {
	token := req.GetPageToken()
	if token == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) <= bindingLen || len(token) != base64.RawURLEncoding.EncodedLen(len(raw)) { // line breaks are skipped
		return "", invalid("is not one that this API made")
	}
	if !bytes.Equal(raw[:bindingLen], binding(req)) {
		return "", invalid("belongs to a request with other fields; start again without it")
	}
	return string(raw[bindingLen:]), nil
}

// Stale is the error for a cursor that was once good: what it pointed to is gone.
func Stale() error { return invalid("is out of date; start again without it") }

func invalid(description string) error {
	return rpcerr.BadRequest(rpcerr.ReasonPageToken, rpcerr.Violation{Field: "page_token", Description: description})
}

// binding is a hash of the request but for its page_token and page_size, which
// may differ from page to page.
func binding(req proto.Message) []byte {
	bare := proto.Clone(req)
	m := bare.ProtoReflect()
	for _, name := range []protoreflect.Name{"page_token", "page_size"} {
		if fd := m.Descriptor().Fields().ByName(name); fd != nil {
			m.Clear(fd)
		}
	}
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
	if err != nil {
		wire = nil // a request that was just decoded encodes
	}
	sum := sha256.Sum256(append([]byte(m.Descriptor().FullName()), wire...))
	return sum[:bindingLen]
}
