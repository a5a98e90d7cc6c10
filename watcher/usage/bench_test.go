package usage_test

import (
	"testing"

	"github.com/rightsizer/rightsizer/watcher/usage"
)

func BenchmarkObserve(b *testing.B) {
	var s usage.Sketch
	b.ReportAllocs()
	at, x := start, 0.0
	for b.Loop() {
		at += 15
		if x += 1.7; x > 3000 {
			x = 0
		}
		s.Observe(usage.Sample{Time: at, CPUMillis: x, MemoryBytes: 1e9 + x*1e4, Age: usage.Unknown})
	}
}

func BenchmarkBookObserve(b *testing.B) {
	book, err := usage.NewBook(usage.BookOptions{})
	if err != nil {
		b.Fatal(err)
	}
	k := usage.Key{Namespace: "shop", Kind: "Deployment", Name: "web", Container: "app"}
	b.ReportAllocs()
	at := start
	for b.Loop() {
		at += 15
		book.Observe(k, usage.Sample{Time: at, CPUMillis: 250, MemoryBytes: 1 << 30, Age: usage.Unknown})
	}
}
