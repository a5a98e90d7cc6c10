package ws_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// framed is a client that sees the frames: what comes, and whether it was compressed.
type framed struct {
	t *testing.T
	net.Conn

	in *bufio.Reader
}

// offering opens a WebSocket that offers these extensions, and returns what was
// agreed on.
func offering(t *testing.T, url, extensions string) (*framed, string) {
	t.Helper()
	conn, resp := upgraded(t, url, "Sec-WebSocket-Extensions: "+extensions+"\r\n")
	return &framed{t, conn, bufio.NewReader(conn)}, resp.Header.Get("Sec-WebSocket-Extensions")
}

// next is the next text message, whether it was compressed, and its size as sent.
func (f *framed) next() (msg map[string]any, compressed bool, size int) {
	f.t.Helper()
	for {
		first, payload := f.frame()
		if first&0x0f != 1 {
			continue // a ping
		}
		require.Zero(f.t, first&0x30, "reserved")
		size = len(payload)
		if compressed = first&0x40 != 0; compressed {
			var err error
			payload, err = io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
			require.NoError(f.t, err)
		}
		require.NoError(f.t, json.Unmarshal(payload, &msg))
		return msg, compressed, size
	}
}

func (f *framed) frame() (first byte, payload []byte) {
	f.t.Helper()
	var head [2]byte
	_, err := io.ReadFull(f.in, head[:])
	require.NoError(f.t, err)
	n := int(head[1])
	if n == 126 {
		var long [2]byte
		_, err = io.ReadFull(f.in, long[:])
		require.NoError(f.t, err)
		n = int(binary.BigEndian.Uint16(long[:]))
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(f.in, payload)
	require.NoError(f.t, err)
	return head[0], payload
}

// deflate is how a client compresses a message.
func deflate(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	require.NoError(t, err)
	_, err = io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Flush())
	return bytes.TrimSuffix(out.Bytes(), []byte{0, 0, 0xff, 0xff})
}

func TestMessagesAreCompressedForWhoOffersIt(t *testing.T) {
	t.Parallel()
	for offer, agreed := range map[string]bool{
		"permessage-deflate":                                                     true,
		"permessage-deflate; client_max_window_bits":                             true, // browsers
		"permessage-deflate; server_no_context_takeover; client_max_window_bits": true,
		"permessage-deflate; server_max_window_bits=9":                           false, // which Go's compressor cannot keep to
		"permessage-deflate; server_max_window_bits=9, permessage-deflate":       true,
		"x-webkit-deflate-frame":                                                 false,
	} {
		t.Run(offer, func(t *testing.T) {
			t.Parallel()
			b, url := start(t, time.Hour)
			c, answer := offering(t, url, offer)
			if agreed {
				assert.Equal(t, "permessage-deflate; client_no_context_takeover; server_no_context_takeover", answer)
				_, err := c.Write(masked(0xc1, deflate(t, `{"namespaces":["a"]}`)))
				require.NoError(t, err)
			} else {
				assert.Empty(t, answer)
				_, err := c.Write(masked(0x81, []byte(`{"namespaces":["a"]}`)))
				require.NoError(t, err)
			}
			for _, kind := range []string{"opened", "synced"} {
				msg, compressed, _ := c.next()
				assert.Contains(t, msg, kind)
				assert.False(t, compressed, "too small")
			}
			for n := range 3 {
				b.Publish(event("pod.oom_killed", "b", errored))
				ev := event("pod.oom_killed", "a", errored)
				ev.Message = fmt.Sprintf("%d %s", n, strings.Repeat("killed ", 100))
				b.Publish(ev)
				msg, compressed, size := c.next()
				assert.Equal(t, ev.GetMessage(), msg["event"].(map[string]any)["message"])
				assert.Equal(t, agreed, compressed)
				if agreed {
					assert.Less(t, size, 500)
				}
			}
		})
	}
}

// What a filter is unpacked is bounded, however small it came.
func TestACompressedFilterIsBoundedUnpacked(t *testing.T) {
	t.Parallel()
	_, url := start(t, time.Hour)
	for name, size := range map[string]int{"somewhat too big": 65 << 10, "a bomb": 64 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := dialWith(t, url, &websocket.DialOptions{CompressionMode: websocket.CompressionNoContextTakeover})
			require.NoError(t, s.conn.Write(s.ctx, websocket.MessageText, []byte(`{"nodes":["`+strings.Repeat("a", size)+`"]}`)))
			assert.Equal(t, websocket.StatusMessageTooBig, s.closed().Code)
		})
	}
}

// A client that breaks the compression is closed, and its session with it.
func TestACompressedFilterThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	b, url := start(t, time.Hour)
	c, _ := offering(t, url, "permessage-deflate")
	_, err := c.Write(masked(0xc1, []byte("hello")))
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, c)
	require.NoError(t, err)
	assert.Zero(t, b.Stats().Subscriptions)
}

// Real clients of the library beside: one that compresses reads what one that does
// not reads.
func TestCompressedAndPlainClientsReadTheSame(t *testing.T) {
	t.Parallel()
	b, url := start(t, time.Hour)
	plain := dial(t, url)
	packed := dialWith(t, url, &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
	for _, s := range []socket{plain, packed} {
		s.send(`{}`)
		s.next()
		s.next()
	}
	for n := range 200 {
		ev := event("pod.oom_killed", "a", errored)
		ev.Message = strings.Repeat(fmt.Sprint(n, " "), n)
		b.Publish(ev)
		assert.Equal(t, plain.next(), packed.next())
	}
}
