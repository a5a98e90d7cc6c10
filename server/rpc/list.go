package rpc

import (
	"cmp"
	"encoding/binary"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/server/rpc/page"
)

// pageRequest is what every List request has.
type pageRequest interface {
	proto.Message
	GetPageSize() int32
	GetPageToken() string
}

// order is the place of an entry in a list: by rank, the largest first, then by
// key, which is unique.
type order struct {
	rank int64
	key  string
}

func compare(a, b order) int {
	return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.key, b.key))
}

// list sorts entries by place and returns those that request asks for, with the
// token of the next page. The cursor is the place of the last entry, not an
// index, so that entries which come and go meanwhile neither repeat nor hide
// others. (Where the rank of an entry changes between two pages, that entry may
// do either.)
func list[T proto.Message](request pageRequest, entries []T, place func(T) order) ([]T, string, error) {
	slices.SortFunc(entries, func(a, b T) int { return compare(place(a), place(b)) })
	raw, err := page.Cursor(request)
	if err != nil {
		return nil, "", err
	}
	start := 0
	if raw != "" {
		if start, err = resume(raw, entries, place); err != nil {
			return nil, "", err
		}
	}
	end := start
	for room := page.RoomFor(request.GetPageSize()); end < len(entries) && room.Take(entries[end]); {
		end++
	}
	if end == len(entries) {
		return entries[start:end], "", nil
	}
	return entries[start:end], page.Token(request, cursor(place(entries[end-1]), end)), nil
}

// Kinds of cursor, its first byte.
const (
	byPlace  = 'p' // rank as a varint, then the key
	byOffset = 'o' // offset as a varint
)

// maxCursor is what fits into the 512 characters that the schema gives a token.
const maxCursor = 512/4*3 - 8

// cursor writes where the next page begins. A key too long for a token (a name,
// namespace and kind all near their limits) falls back on the offset.
func cursor(at order, offset int) string {
	out := append(binary.AppendVarint([]byte{byPlace}, at.rank), at.key...)
	if len(out) > maxCursor {
		out = binary.AppendUvarint([]byte{byOffset}, uint64(offset))
	}
	return string(out)
}

// resume returns the index of the first entry after the cursor.
func resume[T any](text string, entries []T, place func(T) order) (int, error) {
	if raw := []byte(text); len(raw) > 1 {
		switch raw[0] {
		case byPlace:
			if rank, n := binary.Varint(raw[1:]); n > 0 {
				after := order{rank: rank, key: string(raw[1+n:])}
				at, found := slices.BinarySearchFunc(entries, after, func(e T, o order) int { return compare(place(e), o) })
				if found {
					at++
				}
				return at, nil
			}
		case byOffset:
			if offset, n := binary.Uvarint(raw[1:]); n > 0 && n == len(raw)-1 {
				return int(min(offset, uint64(len(entries)))), nil
			}
		}
	}
	return 0, page.Stale()
}
