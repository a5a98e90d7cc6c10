package bus

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// positions turns sequence numbers into opaque strings and back. One AES block
// holds the epoch and the sequence under a key of this process, so that a
// position can be neither read nor made up, and one of another epoch does not
// parse. Deterministic, so that all readers share an entry's encoding.
type positions struct {
	cipher cipher.Block
	epoch  uint64
}

// positionLen is the length of a position's string form: 16 bytes in base64url.
const positionLen = 22

func newPositions() (positions, error) {
	var seed [24]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return positions{}, fmt.Errorf("draw the epoch: %w", err)
	}
	keyed, err := aes.NewCipher(seed[:16])
	if err != nil {
		return positions{}, fmt.Errorf("key the positions: %w", err)
	}
	return positions{cipher: keyed, epoch: binary.BigEndian.Uint64(seed[16:])}, nil
}

// block is where a position is made.
type block [aes.BlockSize]byte

func (p positions) format(seq uint64) string { return p.into(new(block), seq) }

// into is format with room that the caller lends.
func (p positions) into(raw *block, seq uint64) string {
	binary.BigEndian.PutUint64(raw[:8], p.epoch)
	binary.BigEndian.PutUint64(raw[8:], seq)
	p.cipher.Encrypt(raw[:], raw[:])
	var text [positionLen]byte
	base64.RawURLEncoding.Encode(text[:], raw[:])
	return string(text[:])
}

// parse returns the sequence, and false for anything that format of this epoch
// did not make.
func (p positions) parse(s string) (uint64, bool) {
	if len(s) != positionLen {
		return 0, false
	}
	var raw [aes.BlockSize + 2]byte
	n, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(s))
	if err != nil || n != aes.BlockSize {
		return 0, false
	}
	p.cipher.Decrypt(raw[:aes.BlockSize], raw[:aes.BlockSize])
	if binary.BigEndian.Uint64(raw[:8]) != p.epoch {
		return 0, false
	}
	return binary.BigEndian.Uint64(raw[8:]), true
}
