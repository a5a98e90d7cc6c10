package main

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// account is what became of what was published, for one subscriber.
type account struct{ delivered, filtered, lost int64 }

// exact publishes bursts to s subscribers, of which every second one has a filter that
// leaves out half and the last one reads nothing before the end, and checks that for each
// of them delivered + filtered + lost is what was published. It returns what became of
// it for one with a filter and for the last.
func exact(s, bursts int) (some, overtaken account, err error) {
	b, err := bus.New(bus.DefaultOptions())
	if err != nil {
		return some, overtaken, fmt.Errorf("make the bus: %w", err)
	}
	all, half := bus.Compile(nil, bus.AllNamespaces()), bus.Compile(&rightsizerv1.EventFilter{Namespaces: []string{"even"}}, bus.AllNamespaces())
	subs, accounts := make([]*bus.Subscription, s), make([]account, s)
	for i := range subs {
		filter := all
		if i%2 == 1 && i < s-1 {
			filter = half
		}
		subs[i] = b.Subscribe(filter, "")
		defer subs[i].Close()
	}
	room := make([]*bus.Entry, 128)
	read := func(i int) {
		for {
			batch := subs[i].Ready(room)
			accounts[i].lost += batch.Lost.GetCount()
			accounts[i].delivered += int64(len(batch.Entries))
			if batch.Idle() {
				return
			}
		}
	}
	published := int64(0)
	for range bursts {
		for n := range burst(s) {
			ev := proto.CloneOf(events[n])
			ev.Namespace = [2]string{"even", "odd"}[n%2]
			b.Publish(ev)
			published++
		}
		for i := range s - 1 {
			read(i)
		}
	}
	read(s - 1)
	for i := range accounts {
		a := &accounts[i]
		if i%2 == 1 && i < s-1 {
			a.filtered = published / 2 // by what was published, not by what came
		}
		if a.delivered+a.filtered+a.lost != published {
			return some, overtaken, fmt.Errorf("subscriber %d of %d: %d delivered, %d filtered, %d lost of %d", i, s, a.delivered, a.filtered, a.lost, published)
		}
	}
	return accounts[1], accounts[s-1], nil
}
