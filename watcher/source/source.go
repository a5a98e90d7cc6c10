package source

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rightsizer/rightsizer/watcher/meter"
)

// Scope says by what a source is asked, so that its load can be spread.
type Scope uint8

const (
	// PerNamespace sources are asked for one namespace at a time, and for all
	// nodes under the empty namespace.
	PerNamespace Scope = iota
	// PerNode sources are asked node by node.
	PerNode
)

// Target is what a source is asked about at once.
type Target struct {
	// Namespace of a PerNamespace source.
	Namespace string
	// Node of a PerNode source, with the address and port of its kubelet, and the
	// path of its resource metrics where the node names another than the usual.
	Node         string
	Host         string
	Port         int32
	ResourcePath string
}

// Name is the namespace or node.
func (t *Target) Name() string {
	if t.Node != "" {
		return t.Node
	}
	if t.Namespace == "" {
		return "nodes"
	}
	return t.Namespace
}

// Source reads usage.
type Source interface {
	// Name is how flags, metrics and health call it.
	Name() string
	// Scope says by what it is asked.
	Scope() Scope
	// Rank orders sources that tell the same: the higher goes first.
	Rank() uint8
	// Read asks about one target and hands over what it says, sample by sample;
	// the sample is used again after take returns.
	Read(ctx context.Context, t *Target, take func(*meter.Sample)) error
}

// ErrTooLarge is wrapped where an answer is beyond its bound.
var ErrTooLarge = errors.New("the answer is too large")

// maxContainers bounds the containers in one answer: a node runs a few hundred,
// a namespace some thousands.
const maxContainers = 20_000

// bounded reads at most n bytes and fails beyond them, where io.LimitReader would
// pretend that the answer ends.
type bounded struct {
	r    io.Reader
	left int64
	most int64
}

func newBounded(r io.Reader, n int64) *bounded { return &bounded{r: r, left: n, most: n} }

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		var one [1]byte
		if n, err := b.r.Read(one[:]); n == 0 {
			return 0, err
		}
		return 0, fmt.Errorf("%w: more than %d MiB", ErrTooLarge, b.most>>20)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}
