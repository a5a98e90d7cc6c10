package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// maxLine bounds one line, read or written.
const maxLine = 128 << 10

// hashLen is the length of a hash in hexadecimal digits.
const hashLen = 2 * sha256.Size

// genesis is the previous hash of the first record.
var genesis = strings.Repeat("0", hashLen)

// head is the end of a chain: the number of its last record, 0 where there is
// none, and its hash.
type head struct {
	sequence int64
	hash     string
}

// proto is the head as the API has it, nil for that of an empty chain.
func (h head) proto() *rightsizerv1.AuditHead {
	if h.sequence == 0 {
		return nil
	}
	return &rightsizerv1.AuditHead{Sequence: h.sequence, Hash: h.hash}
}

// line is a record in its stored form, without the end of the line.
type line struct {
	head

	text string
}

// chain makes the line of the record that follows after. It sets the record's
// sequence, previous_hash and hash.
func chain(after head, record *rightsizerv1.AuditRecord) (line, error) {
	record.Sequence, record.PreviousHash, record.Hash = after.sequence+1, after.hash, ""
	if after.sequence == 0 {
		record.PreviousHash = genesis
	}
	raw, err := protojson.Marshal(record)
	if err != nil {
		return line{}, fmt.Errorf("encode: %w", err)
	}
	var body bytes.Buffer
	if err := json.Compact(&body, raw); err != nil {
		return line{}, fmt.Errorf("encode: %w", err)
	}
	if body.Len()+hashLen+1 > maxLine {
		return line{}, fmt.Errorf("the record has %d bytes, at most %d are allowed", body.Len(), maxLine-hashLen-1)
	}
	record.Hash = digest(body.Bytes())
	return line{head: head{record.GetSequence(), record.GetHash()}, text: record.GetHash() + " " + body.String()}, nil
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// errHash says that a line's digits are not those of its record.
var errHash = errors.New("the hash is not that of the record")

// parse reads a line. Where the error is errHash, the record is what the line
// says nevertheless. Fields of later versions are left out; the hash covers them.
func parse(text string) (*rightsizerv1.AuditRecord, error) {
	if len(text) > maxLine {
		return nil, fmt.Errorf("the line has %d bytes, at most %d are allowed", len(text), maxLine)
	}
	hash, body, ok := strings.Cut(text, " ")
	if !ok || !isHash(hash) {
		return nil, errors.New("the line does not begin with the 64 hexadecimal digits of a hash and a space")
	}
	record := &rightsizerv1.AuditRecord{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(body), record); err != nil {
		return nil, errors.New("the record is not the JSON of an audit record")
	}
	if record.GetSequence() < 1 || !isHash(record.GetPreviousHash()) {
		return nil, errors.New("the record has no number or no previous hash")
	}
	record.Hash = hash
	if digest([]byte(body)) != hash {
		return record, errHash
	}
	return record, nil
}

// isHash says whether s is a hash as this package writes it.
func isHash(s string) bool {
	if len(s) != hashLen {
		return false
	}
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return true
}

// copyOf is a record that the caller may go on changing.
func copyOf(record *rightsizerv1.AuditRecord) *rightsizerv1.AuditRecord {
	return proto.CloneOf(record)
}
