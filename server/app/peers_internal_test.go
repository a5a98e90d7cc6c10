package app

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
)

// pipes is a listener of connections inside a synctest bubble.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p pipes) Close() error {
	close(p)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// A peer of HTTP/2 that has died without a word is found by a ping, and one that
// answers stays; each connection has at most a hundred streams.
func TestADeadPeerIsFoundByPing(t *testing.T) {
	for name, answers := range map[string]bool{"answers": true, "is mute": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
				server.IdleTimeout = 0 // which would end both
				accepted := make(pipes, 1)
				served := make(chan error, 1)
				go func() { served <- server.Serve(accepted) }()
				client, far := net.Pipe()
				accepted <- far

				began := time.Now()
				frames := http2.NewFramer(client, client)
				_, err := io.WriteString(client, http2.ClientPreface)
				require.NoError(t, err)
				require.NoError(t, frames.WriteSettings())
				streams, pings := uint32(0), 0
				for err == nil && pings < 3 {
					var f http2.Frame
					switch f, err = frames.ReadFrame(); f := f.(type) {
					case *http2.SettingsFrame:
						if n, ok := f.Value(http2.SettingMaxConcurrentStreams); ok {
							streams = n
						}
					case *http2.PingFrame:
						if pings++; answers {
							require.NoError(t, frames.WritePing(true, f.Data))
						}
					}
				}
				assert.EqualValues(t, 100, streams)
				if answers {
					require.NoError(t, err)
					assert.Equal(t, 90*time.Second, time.Since(began))
				} else {
					require.Error(t, err, "the connection is closed")
					assert.Equal(t, 1, pings)
					assert.Equal(t, 45*time.Second, time.Since(began))
				}
				_ = client.Close()
				require.NoError(t, server.Close())
				require.ErrorIs(t, <-served, http.ErrServerClosed)
			})
		})
	}
}
