package usage

import (
	"cmp"
	"container/list"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"slices"
	"strings"
)

// A snapshot of one shard: the magic text, the number of entries, each as five
// texts and an encoded sketch with their lengths before them, and a CRC-32C of
// all that. Entries are in the order of their keys, so that equal contents give
// equal bytes.
const snapshotMagic = "rsu1"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Shard returns which of n shards a key belongs to; the same in every process.
func (k Key) Shard(n int) int {
	h := fnv.New32a()
	for _, text := range k.texts() {
		_, _ = h.Write([]byte(*text))
		_, _ = h.Write([]byte{0})
	}
	return int(h.Sum32() % uint32(max(n, 1)))
}

func (k *Key) texts() [5]*string {
	return [5]*string{&k.Namespace, &k.Kind, &k.Name, &k.Container, &k.Group}
}

func (k Key) compare(other Key) int {
	theirs := other.texts()
	for i, text := range k.texts() {
		if c := strings.Compare(*text, *theirs[i]); c != 0 {
			return c
		}
	}
	return 0
}

// Snapshot encodes the entries of one of n shards. At most MaxEncodedBytes and
// the text of its key an entry.
func (b *Book) Snapshot(shard, n int) []byte {
	var held []entry
	b.Range(func(k Key, s *Sketch) bool {
		if k.Shard(n) == shard {
			held = append(held, entry{key: k, sketch: *s})
		}
		return true
	})
	slices.SortFunc(held, func(x, y entry) int { return x.key.compare(y.key) })
	out := binary.AppendUvarint([]byte(snapshotMagic), uint64(len(held)))
	var encoded []byte
	for i := range held {
		for _, text := range held[i].key.texts() {
			out = appendText(out, []byte(*text))
		}
		encoded, _ = held[i].sketch.AppendBinary(encoded[:0])
		out = appendText(out, encoded)
	}
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli))
}

func appendText(b, text []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// Restore merges the entries of a snapshot into the Book and returns how many
// there were. A snapshot that is damaged anywhere changes nothing. Of several that do
// not fit together the ones observed last are held, whichever came first.
func (b *Book) Restore(snapshot []byte) (int, error) {
	held, err := parseSnapshot(snapshot)
	if err != nil {
		return 0, err
	}
	// The newest first, so that what follows the first one without room has none.
	slices.SortStableFunc(held, func(x, y entry) int { return cmp.Compare(y.sketch.Last(), x.sketch.Last()) })
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range held {
		b.restore(&held[i])
	}
	b.sort()
	return len(held), nil
}

// restore merges an entry, unless all that are held and leave it no room are newer;
// under the lock, the coldest entry last.
func (b *Book) restore(e *entry) {
	if held, known := b.entries[e.key]; known {
		of(held).sketch.Merge(&e.sketch)
		return
	}
	if b.full(e.key) && of(b.order.Back()).sketch.Last() >= e.sketch.Last() {
		b.forgotten++
		return
	}
	b.insert(&entry{key: e.key, sketch: e.sketch})
}

// sort brings the entries in the order of their newest samples; under the lock.
func (b *Book) sort() {
	all := make([]*list.Element, 0, b.order.Len())
	for e := b.order.Front(); e != nil; e = e.Next() {
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(x, y *list.Element) int { return cmp.Compare(of(y).sketch.Last(), of(x).sketch.Last()) })
	for _, e := range all {
		b.order.MoveToBack(e)
	}
}

func parseSnapshot(b []byte) ([]entry, error) {
	const sum = 4
	if len(b) < len(snapshotMagic)+1+sum || string(b[:len(snapshotMagic)]) != snapshotMagic {
		return nil, fmt.Errorf("%w: a snapshot begins with %q", ErrEncoding, snapshotMagic)
	}
	body, tail := b[:len(b)-sum], b[len(b)-sum:]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(tail) {
		return nil, fmt.Errorf("%w: the checksum of the snapshot differs", ErrEncoding)
	}
	body = body[len(snapshotMagic):]
	count, n := binary.Uvarint(body)
	if n <= 0 || count > uint64(len(body)) {
		return nil, fmt.Errorf("%w: %d entries in %d bytes", ErrEncoding, count, len(body))
	}
	body = body[n:]
	var out []entry
	for range count {
		var e entry
		for _, text := range e.key.texts() {
			raw, rest, err := cutText(body)
			if err != nil {
				return nil, err
			}
			*text, body = string(raw), rest
		}
		raw, rest, err := cutText(body)
		if err != nil {
			return nil, err
		}
		body = rest
		if err := e.sketch.UnmarshalBinary(raw); err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(out)+1, err)
		}
		if err := e.key.check(); err != nil {
			return nil, fmt.Errorf("entry %d: %w: %w", len(out)+1, ErrEncoding, err)
		}
		out = append(out, e)
	}
	if len(body) != 0 {
		return nil, fmt.Errorf("%w: %d bytes after the last entry", ErrEncoding, len(body))
	}
	return out, nil
}

func cutText(b []byte) (text, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, fmt.Errorf("%w: a text is cut off", ErrEncoding)
	}
	return b[n : n+int(size)], b[n+int(size):], nil
}
