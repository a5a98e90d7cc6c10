package e2e_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// floods are what clients send who want the operator to fall over, all at once and
// each from an address that others do not have. What they cost together is measured.
func floods(t *testing.T, o *operator, viewer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	before := o.peakSince(t)
	var all sync.WaitGroup
	for name, attack := range map[string]func(context.Context, *flooder){
		"127.0.1.1": takeNothing, "127.0.1.2": resetAtOnce, "127.0.1.3": announceFrames, "127.0.1.4": askWithoutListening, "127.0.1.5": sendHeadersSlowly,
		"127.0.1.6": func(ctx context.Context, f *flooder) { f.subscribeAndNeverRead(ctx, viewer) },
	} {
		f := &flooder{t: t, address: strings.TrimPrefix(o.url, "http://"), from: net.ParseIP(name)}
		defer f.close()
		all.Go(func() { attack(ctx, f) })
	}
	all.Wait()
	o.metric(`rightsizer_http_calls_refused_total{of="requests"}`)
	o.metric(`rightsizer_stream_ended_total{protocol="grpc",reason="slow"}`)
	peak, file := o.memory(t, "VmHWM"), o.memory(t, "RssFile")
	t.Logf("the floods: from %d MiB to %d at the peak, %d of it pages of files", before>>10, peak>>10, file>>10)
	// The heap goes up to GOMEMLIMIT where it may; pages of files are there for as long
	// as nobody needs them.
	assert.Less(t, peak-file, 104<<10, "KiB that the kernel cannot take back, of 128 MiB that the deployment gives it")
}

// flooder opens connections from one address.
type flooder struct {
	t       *testing.T
	address string
	from    net.IP
	open    []net.Conn
}

func (f *flooder) close() {
	for _, c := range f.open {
		_ = c.Close()
	}
}

// dial returns nil where the operator takes no more.
func (f *flooder) dial() net.Conn {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: f.from}, Timeout: 5 * time.Second}
	c, err := dialer.DialContext(f.t.Context(), "tcp", f.address)
	if err != nil {
		return nil
	}
	_ = c.SetDeadline(time.Now().Add(40 * time.Second))
	f.open = append(f.open, c)
	return c
}

// h2wire speaks HTTP/2 in frames, with a window of nothing.
type h2wire struct {
	*http2.Framer

	host string
	head bytes.Buffer
	enc  *hpack.Encoder
	next uint32
}

func (f *flooder) http2() *h2wire {
	c := f.dial()
	if c == nil {
		return nil
	}
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		return nil
	}
	w := &h2wire{Framer: http2.NewFramer(c, c), host: f.address, next: 1}
	w.enc = hpack.NewEncoder(&w.head)
	if w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}) != nil {
		return nil
	}
	return w
}

func (w *h2wire) post(path string, body []byte, header ...string) error {
	w.head.Reset()
	all := append([]string{":method", "POST", ":scheme", "http", ":authority", w.host, ":path", path}, header...)
	for i := 0; i < len(all); i += 2 {
		if err := w.enc.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1], Sensitive: true}); err != nil {
			return err
		}
	}
	id := w.next
	w.next += 2
	if err := w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.head.Bytes(), EndHeaders: true}); err != nil {
		return err
	}
	return w.WriteData(id, true, body)
}

// takeNothing asks a hundred times on each of many connections, without a name and
// with long headers, and takes no answer.
func takeNothing(ctx context.Context, f *flooder) {
	for range 150 {
		w := f.http2()
		for i := 0; w != nil && i < 100 && ctx.Err() == nil; i++ {
			if w.post([]string{listEvents, "/"}[i%2], make([]byte, 600), "content-type", "application/json", "x-long", strings.Repeat("x", 8<<10)) != nil {
				break
			}
		}
	}
}

// resetAtOnce takes back each request as soon as it is sent (CVE-2023-44487).
func resetAtOnce(ctx context.Context, f *flooder) {
	for range 4 {
		w := f.http2()
		for i := 0; w != nil && i < 20_000 && ctx.Err() == nil; i++ {
			id := w.next
			if w.post(listEvents, []byte("{}"), "content-type", "application/json") != nil || w.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
				break
			}
		}
	}
}

// announceFrames says that a MiB follows, and sends none of it.
func announceFrames(_ context.Context, f *flooder) {
	for range 60 {
		if w := f.http2(); w != nil {
			_, _ = f.open[len(f.open)-1].Write([]byte{0x0f, 0xff, 0xff, 0, 0, 0, 0, 0, 1})
		}
	}
}

// askWithoutListening sends settings and pings, which are answered, and reads nothing.
func askWithoutListening(_ context.Context, f *flooder) {
	for range 8 {
		w := f.http2()
		if w == nil {
			continue
		}
		_ = f.open[len(f.open)-1].SetWriteDeadline(time.Now().Add(time.Second))
		for w.WriteSettings() == nil && w.WritePing(false, [8]byte{}) == nil {
		}
	}
}

// sendHeadersSlowly begins requests and does not end their headers; it is cut off.
func sendHeadersSlowly(_ context.Context, f *flooder) {
	for range 60 {
		if c := f.dial(); c != nil {
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
		}
	}
	begin := time.Now()
	for _, c := range f.open {
		_, err := io.Copy(io.Discard, c)
		assert.NotErrorIs(f.t, err, os.ErrDeadlineExceeded, "closed, not left waiting")
	}
	assert.Less(f.t, time.Since(begin), 20*time.Second)
}

// subscribeAndNeverRead opens streams as somebody who may, and more than he may, and
// takes nothing of them.
func (f *flooder) subscribeAndNeverRead(_ context.Context, token string) {
	request, err := proto.Marshal(&rightsizerv1.StreamEventsRequest{Filter: &rightsizerv1.EventFilter{Namespaces: []string{ours}}})
	assert.NoError(f.t, err)
	framed := append([]byte{0, 0, 0, 0, byte(len(request))}, request...)
	for range 3 {
		w := f.http2()
		for i := 0; w != nil && i < 90; i++ {
			if w.post("/rightsizer.v1.EventService/StreamEvents", framed, "content-type", "application/grpc", "te", "trailers", "authorization", "Bearer "+token) != nil {
				break
			}
		}
	}
}

// metric waits until a counter has counted.
func (o *operator) metric(name string) {
	o.t.Helper()
	require.Eventually(o.t, func() bool {
		res, err := http.Get(o.metrics + "/metrics")
		if err != nil {
			return false
		}
		defer res.Body.Close() //nolint:errcheck // read to its end
		text, err := io.ReadAll(res.Body)
		return err == nil && strings.Contains(string(text), "\n"+name+" ") && !strings.Contains(string(text), "\n"+name+" 0\n")
	}, patience, poll, "%s", name)
}
