package bus_test

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

var readerCounts = []int{0, 1, 10, 100, 1000, 10000}

// events are made ahead, so that making them is not measured.
func events(n int) []*rightsizerv1.Event {
	source := bustest.NewSource(bustest.Options{})
	made := make([]*rightsizerv1.Event, n)
	for i := range made {
		made[i] = source.Event()
	}
	return made
}

// BenchmarkPublish is what a publisher pays while S readers read everything. The
// readers' own work is beside it on the other cores.
func BenchmarkPublish(b *testing.B) {
	for _, readers := range readerCounts {
		b.Run(fmt.Sprintf("S=%d", readers), func(b *testing.B) {
			ring, stop := withReaders(b, readers, everything())
			defer stop()
			held := events(256)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				ring.Publish(held[i%len(held)])
			}
		})
	}
}

// BenchmarkDeliver is the CPU of the whole process per delivery, publisher and
// notifier included, in bursts that all readers finish before the next.
func BenchmarkDeliver(b *testing.B) {
	for _, readers := range readerCounts[1:] {
		b.Run(fmt.Sprintf("S=%d", readers), func(b *testing.B) {
			ring := bustest.Start(b, bus.Options{})
			held := events(1024)
			var all, burst sync.WaitGroup
			for range readers {
				s := ring.Subscribe(everything(), "")
				all.Go(func() {
					defer s.Close()
					room := make([]*bus.Entry, 0, 128)
					ctx, cancel := context.WithCancel(b.Context()) // a stream has one of its own
					defer cancel()
					for got, left := 0, len(held); got < b.N*len(held); {
						batch, err := s.Next(ctx, time.Hour, room)
						if err != nil || batch.Lost != nil {
							b.Errorf("lost %v, %v", batch.Lost, err)
							return
						}
						for range batch.Entries {
							got++
							if left--; left == 0 {
								left = len(held)
								burst.Done()
							}
						}
					}
				})
			}
			before := cpu(b)
			for range b.N {
				burst.Add(readers)
				for _, ev := range held {
					ring.Publish(ev)
				}
				burst.Wait()
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N*len(held)*readers), "cpu-ns/delivery")
			all.Wait()
		})
	}
}

// BenchmarkMatches is one evaluation of a filter.
func BenchmarkMatches(b *testing.B) {
	held := events(256)
	for name, f := range map[string]*bus.Filter{"everything": everything(), "every field": busiest(), "type": only("pod.oom_killed")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f.MatchesEvent(held[i%len(held)])
			}
		})
	}
}

// withReaders starts a bus with readers who read until stop.
func withReaders(tb testing.TB, readers int, f *bus.Filter) (*bus.Bus, func()) {
	tb.Helper()
	ring := bustest.Start(tb, bus.Options{})
	ctx, cancel := context.WithCancel(tb.Context())
	var all sync.WaitGroup
	for range readers {
		s := ring.Subscribe(f, "")
		all.Go(func() {
			defer s.Close()
			room := make([]*bus.Entry, 0, 128)
			for {
				if _, err := s.Next(ctx, time.Hour, room); err != nil {
					return
				}
			}
		})
	}
	return ring, func() {
		cancel()
		all.Wait()
	}
}

// cpu is what this process has used, in ns.
func cpu(tb testing.TB) int64 {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
