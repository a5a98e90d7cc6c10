package stream_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/stream"
)

// tallying counts the events and incidents that it encodes, in bytes of a size.
type tallying struct {
	nowhere

	format  bus.Format
	size    int
	encoded *atomic.Int64
	written *atomic.Int64
}

func (c tallying) Format() bus.Format { return c.format }

func (c tallying) Encode(m *rightsizerv1.StreamEventsResponse) ([]byte, error) {
	if m.GetEvent() == nil && m.GetIncident() == nil {
		return nil, nil
	}
	c.encoded.Add(1)
	return make([]byte, c.size), nil
}

func (c tallying) Write(frames []byte, _ time.Duration) error {
	c.written.Add(int64(len(frames)))
	return nil
}

// beginning opens streams one after another, each with the snapshot of the problems,
// and returns how many events were encoded and how many bytes written for them.
func beginning(t *testing.T, h *stream.Hub, readers, size int, format bus.Format) (encoded, written int64) {
	t.Helper()
	sink := tallying{format: format, size: size, encoded: &atomic.Int64{}, written: &atomic.Int64{}}
	for range readers {
		session, err := h.Open(t.Context(), stream.Reader{Scope: bus.AllNamespaces()}, sink)
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() { ended <- session.Run() }()
		synctest.Wait()
		session.End(errEndless)
		require.NoError(t, <-ended)
	}
	return sink.encoded.Load(), sink.written.Load()
}

// What is wrong now is encoded once for all who begin within some seconds, once a
// format; then again, and nothing is kept.
func TestSnapshotsAreEncodedOnceForThoseWhoBeginTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const problems, size = 102, 500
		wrong := &server{}
		for n := range problems - 2 {
			wrong.problems = append(wrong.problems, event("shop", n))
		}
		joined := incidents{incident(1, critical, isOpen, "shop"), incident(2, critical, isOpen, slices.Repeat([]string{"shop"}, 256)...)}
		b, err := bus.New(bus.Options{})
		require.NoError(t, err)
		h, err := stream.NewHub(stream.Options{Bus: b, Problems: wrong, Incidents: joined, Cluster: func() string { return "c1" }})
		require.NoError(t, err)
		encoded, written := beginning(t, h, 20, size, bus.FormatProto)
		assert.EqualValues(t, problems, encoded)
		assert.EqualValues(t, 20*problems*size, written)
		encoded, _ = beginning(t, h, 20, size, bus.FormatJSON)
		assert.EqualValues(t, problems, encoded)
		wrong.problems[0] = event("shop", 0)
		encoded, _ = beginning(t, h, 20, size, bus.FormatProto)
		assert.EqualValues(t, 1, encoded, "what changed")
		time.Sleep(time.Minute)
		encoded, _ = beginning(t, h, 1, size, bus.FormatProto)
		assert.EqualValues(t, problems, encoded, "they were let go")
		time.Sleep(time.Minute)
	})
}

// However large, what is kept of snapshots is bounded, and everybody is told all.
func TestSnapshotsThatAreTooLargeAreNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const problems, size = 100, 100 << 10
		wrong := &server{}
		for n := range problems {
			wrong.problems = append(wrong.problems, event("shop", n))
		}
		b, err := bus.New(bus.Options{})
		require.NoError(t, err)
		h, err := stream.NewHub(stream.Options{Bus: b, Problems: wrong, Cluster: func() string { return "c1" }})
		require.NoError(t, err)
		encoded, written := beginning(t, h, 2, size, bus.FormatProto)
		assert.Greater(t, encoded, int64(problems+problems/2), "4 MiB of 10 MB")
		assert.EqualValues(t, 2*problems*size, written)
		time.Sleep(time.Minute)
	})
}
