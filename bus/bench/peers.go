package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	"github.com/cskr/pubsub/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/bus/bustest"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// buffer is what peers with buffers are given, in events per subscriber.
const buffer = 256

const (
	thisBus  = "this bus"
	channels = "a Go channel per subscriber"
)

// peer is one way to give every event to every subscriber.
type peer struct {
	name string
	most int // subscribers that it can serve within the run
	// open starts a subscriber per tally and returns what publishes event i of
	// the burst, and what ends and joins all.
	open func([]tally) (publish func(i int), stop func(), err error)
}

var peers = []peer{
	{thisBus, 10000, openBus},
	{channels, 10000, openChannels},
	{"cskr/pubsub v2", 10000, openPubsub},
	{"apimachinery watch.Broadcaster", 10000, openBroadcaster},
	{"watermill gochannel", 1000, openWatermill},
	{"NATS in process", 1000, openNATS},
}

// events are the same for every peer and burst; the number of each is its
// attempt. Peers that carry bytes get them marshalled, behind the number.
var events, payloads = func() (evs []*rightsizerv1.Event, raw [][]byte) {
	source := bustest.NewSource(bustest.Options{Seed: 1})
	for i := range burst(1) {
		evs = append(evs, source.Event())
		encoded, err := proto.Marshal(evs[i])
		if err != nil {
			panic(err)
		}
		raw = append(raw, append(binary.BigEndian.AppendUint32(nil, uint32(i)), encoded...))
	}
	return evs, raw
}()

func number(payload []byte) int32 { return int32(binary.BigEndian.Uint32(payload)) }

func openBus(tallies []tally) (func(int), func(), error) {
	b, err := bus.New(bus.Options{})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = b.Run(ctx) })
	everything := bus.Compile(nil, bus.AllNamespaces())
	for i := range tallies {
		s := b.Subscribe(everything, "")
		all.Go(func() {
			defer s.Close()
			ctx, cancel := context.WithCancel(ctx) // a stream has one of its own
			defer cancel()
			room := make([]*bus.Entry, 0, 128) // as server/stream has it
			for {
				batch, err := s.Next(ctx, time.Hour, room)
				if err != nil {
					return
				}
				if batch.Lost != nil {
					panic(fmt.Sprint("lost ", batch.Lost.GetCount()))
				}
				for _, e := range batch.Entries {
					tallies[i].got(e.Message().GetEvent().GetOomKilled().GetAttempt())
				}
				s.Ack(batch)
			}
		})
	}
	return func(i int) { b.Publish(events[i]) }, func() { cancel(); all.Wait() }, nil
}

func openChannels(tallies []tally) (func(int), func(), error) {
	subscribers := make([]chan *rightsizerv1.Event, len(tallies))
	var all sync.WaitGroup
	for i := range tallies {
		subscribers[i] = make(chan *rightsizerv1.Event, buffer)
		all.Go(func() {
			for ev := range subscribers[i] {
				tallies[i].got(ev.GetOomKilled().GetAttempt())
			}
		})
	}
	publish := func(i int) {
		for _, s := range subscribers {
			s <- events[i]
		}
	}
	return publish, func() {
		for _, s := range subscribers {
			close(s)
		}
		all.Wait()
	}, nil
}

func openPubsub(tallies []tally) (func(int), func(), error) {
	const topic = "events"
	ps := pubsub.New[string, *rightsizerv1.Event](buffer)
	var all sync.WaitGroup
	for i := range tallies {
		ch := ps.Sub(topic)
		all.Go(func() {
			for ev := range ch {
				tallies[i].got(ev.GetOomKilled().GetAttempt())
			}
		})
	}
	return func(i int) { ps.Pub(events[i], topic) }, func() { ps.Shutdown(); all.Wait() }, nil
}

// object makes an event what the Broadcaster carries.
type object struct{ *rightsizerv1.Event }

func (object) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }
func (o object) DeepCopyObject() runtime.Object { return o }

func openBroadcaster(tallies []tally) (func(int), func(), error) {
	b := watch.NewBroadcaster(buffer, watch.WaitIfChannelFull)
	var all sync.WaitGroup
	for i := range tallies {
		w, err := b.Watch()
		if err != nil {
			return nil, nil, err
		}
		all.Go(func() {
			for ev := range w.ResultChan() {
				tallies[i].got(ev.Object.(object).GetOomKilled().GetAttempt()) //nolint:forcetypeassert // nothing else is broadcast
			}
		})
	}
	objects := make([]object, len(events))
	for i := range objects {
		objects[i] = object{events[i]}
	}
	return func(i int) { _ = b.Action(watch.Added, objects[i]) }, func() { b.Shutdown(); all.Wait() }, nil
}

func openWatermill(tallies []tally) (func(int), func(), error) {
	const topic = "events"
	ps := gochannel.NewGoChannel(gochannel.Config{OutputChannelBuffer: buffer}, watermill.NopLogger{})
	var all sync.WaitGroup
	for i := range tallies {
		ch, err := ps.Subscribe(context.Background(), topic)
		if err != nil {
			return nil, nil, err
		}
		all.Go(func() {
			for msg := range ch {
				msg.Ack()
				tallies[i].got(number(msg.Payload))
			}
		})
	}
	publish := func(i int) { _ = ps.Publish(topic, message.NewMessage("", payloads[i])) }
	return publish, func() { _ = ps.Close(); all.Wait() }, nil
}

// openNATS has one connection for the publisher and one that all subscriptions
// share, which is the least that NATS can be asked to do.
func openNATS(tallies []tally) (func(int), func(), error) {
	const subject = "events"
	s, err := server.NewServer(&server.Options{DontListen: true, NoLog: true, NoSigs: true, MaxPending: 1 << 30})
	if err != nil {
		return nil, nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, nil, errors.New("not ready")
	}
	var connections []*nats.Conn
	for range 2 {
		c, err := nats.Connect("", nats.InProcessServer(s))
		if err != nil {
			return nil, nil, err
		}
		connections = append(connections, c)
	}
	for i := range tallies {
		sub, err := connections[1].Subscribe(subject, func(m *nats.Msg) { tallies[i].got(number(m.Data)) })
		if err != nil {
			return nil, nil, err
		}
		if err := sub.SetPendingLimits(-1, -1); err != nil {
			return nil, nil, err
		}
	}
	if err := connections[1].Flush(); err != nil {
		return nil, nil, err
	}
	publish := func(i int) { _ = connections[0].Publish(subject, payloads[i]) }
	return publish, func() {
		for _, c := range connections {
			c.Close()
		}
		s.Shutdown()
		s.WaitForShutdown()
	}, nil
}
