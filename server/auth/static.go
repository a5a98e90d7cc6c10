package auth

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/rightsizer/rightsizer/server/follow"
)

// Bounds of a file of tokens.
const (
	maxStaticBytes  = 1 << 20
	maxStaticTokens = 4096
)

// StaticTokens are hashes of tokens with whom they stand for.
type StaticTokens map[[sha256.Size]byte]*Identity

// ParseStaticTokens reads a file of tokens: a line each of
//
//	name:group,group:sha256
//
// where sha256 is the token's SHA-256 in 64 hexadecimal digits (printf %s TOKEN |
// sha256sum). Empty lines, and those that begin with #, are left out. The token
// itself is nowhere. Its errors name the line, never what is in it.
func ParseStaticTokens(data []byte) (StaticTokens, error) {
	if len(data) > maxStaticBytes {
		return nil, fmt.Errorf("wants at most %d bytes", maxStaticBytes)
	}
	tokens := StaticTokens{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		hash, id, err := parseStaticToken(line)
		if err == nil && tokens[hash] != nil {
			err = errors.New("repeats the token of an earlier line")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if tokens[hash] = id; len(tokens) > maxStaticTokens {
			return nil, fmt.Errorf("line %d: wants at most %d tokens", number, maxStaticTokens)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("a line is too long: %w", err)
	}
	return tokens, nil
}

func parseStaticToken(line string) (hash [sha256.Size]byte, _ *Identity, _ error) {
	// From the end: names of users may hold colons.
	last := strings.LastIndexByte(line, ':')
	if last < 0 {
		return hash, nil, errors.New("wants name:groups:sha256")
	}
	middle := strings.LastIndexByte(line[:last], ':')
	if middle < 0 {
		return hash, nil, errors.New("wants name:groups:sha256")
	}
	digits := line[last+1:]
	sum, err := hex.DecodeString(digits)
	if err != nil || copy(hash[:], sum) != len(hash) || len(sum) != len(hash) {
		return hash, nil, errors.New("wants the token's SHA-256 at the end, 64 hexadecimal digits; never the token itself")
	}
	id := &Identity{User: line[:middle], Groups: strings.Split(line[middle+1:last], ",")}
	if err := fit(id); err != nil {
		return hash, nil, errors.New("wants a name and at least one group, none of them empty, in plain text, and no name that begins with " + hookPrefix)
	}
	if err := foreign(id); err != nil {
		return hash, nil, errors.New("has a name that begins with " + systemPrefix + ", which only the cluster gives out")
	}
	return hash, id, nil
}

// Static identifies machines by tokens of a file.
type Static struct{ tokens func() StaticTokens }

// NewStatic makes the method; tokens returns those in force now.
func NewStatic(tokens func() StaticTokens) *Static { return &Static{tokens: tokens} }

// Name implements Method.
func (*Static) Name() string { return "static" }

// Identify implements Method. It looks up a hash, so that how long it takes says
// nothing about how close a guess is.
func (m *Static) Identify(_ context.Context, c Credential) (*Identity, error) {
	if c.Token == "" {
		return nil, nil //nolint:nilnil // none of its kind
	}
	return m.tokens()[sha256.Sum256([]byte(c.Token))], nil
}

// StaticTokensFrom reads a file of tokens, which must be usable now, and follows
// it once it is run.
func StaticTokensFrom(file string, logger *slog.Logger) (*follow.Files[StaticTokens], error) {
	files, err := follow.New(follow.Options[StaticTokens]{
		Paths: []string{file}, What: "static tokens", Logger: logger,
		Parse: func(contents [][]byte) (StaticTokens, error) {
			tokens, err := ParseStaticTokens(contents[0])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			return tokens, nil
		},
		Changed: func(now StaticTokens, err error) {
			if err == nil {
				logger.Info("the new static tokens are in force", slog.Int("tokens", len(now)))
			}
		},
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	return files, nil
}
