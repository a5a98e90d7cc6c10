package bus

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// canonical is what equal filters share, so that readers with equal filters are judged
// once: the hash of a text, since a filter may have 170 KiB of names, and is kept as long
// as its reader. Fields are joined by bytes that names cannot contain.
func (c *Filter) canonical() string {
	var b strings.Builder
	list := func(label byte, items []string) {
		b.WriteByte(label)
		for _, item := range items {
			b.WriteString(strconv.Itoa(len(item)))
			b.WriteByte(':')
			b.WriteString(item)
		}
	}
	list('t', slices.Sorted(maps.Keys(c.types)))
	list('p', slices.Sorted(slices.Values(c.prefixes)))
	if !c.anywhere {
		list('n', slices.Sorted(maps.Keys(c.namespaces)))
	}
	b.WriteByte('s')
	b.WriteByte(c.severities)
	if c.secrets {
		b.WriteByte('c')
	}
	if !c.whole && c.severities != allSeverities {
		list('v', slices.Sorted(maps.Keys(c.scope))) // see severityOf
	}
	pairs := make([]string, 0, len(c.tags))
	for _, t := range c.tags {
		pairs = append(pairs, strconv.Itoa(len(t.key))+":"+t.key+t.value)
	}
	list('g', slices.Sorted(slices.Values(pairs)))
	names := make([]string, 0, len(c.workloads))
	for _, w := range c.workloads {
		names = append(names, w.kind+"/"+w.name)
	}
	list('w', slices.Sorted(slices.Values(names)))
	list('o', slices.Sorted(maps.Keys(c.nodes)))
	sum := sha256.Sum256([]byte(b.String()))
	return string(sum[:])
}
