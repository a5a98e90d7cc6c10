package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"
)

const (
	// verdictWithin is how long the end of a stream waits for the word why it ended.
	verdictWithin = time.Second
	// maxVerdict bounds that word, in bytes.
	maxVerdict = 4096
)

// conn is one connection to the pod: a stream of data, and one on which the kubelet
// says what went wrong. It knows no deadlines; Close ends a call that waits.
type conn struct {
	link     httpstream.Connection
	data     httpstream.Stream
	verdicts httpstream.Stream
	target   target
	verdict  chan error // one value, then closed
}

// newConn opens the two streams, numbered so that the kubelet knows that they belong
// together.
func newConn(link httpstream.Connection, to target, number int) (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(int(to.port)))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(number))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	verdicts, err := link.CreateStream(headers)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says what for
	}
	_ = verdicts.Close() // nothing is said on it from here
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := link.CreateStream(headers)
	if err != nil {
		link.RemoveStreams(verdicts)
		return nil, err //nolint:wrapcheck // the caller says what for
	}
	c := &conn{link: link, data: data, verdicts: verdicts, target: to, verdict: make(chan error, 1)}
	go c.listen()
	return c, nil
}

// listen reads what went wrong; it ends with the streams.
func (c *conn) listen() {
	defer close(c.verdict)
	said, _ := io.ReadAll(io.LimitReader(c.verdicts, maxVerdict)) // an end without a word is none
	if text := strings.TrimSpace(string(said)); text != "" {
		c.verdict <- fmt.Errorf("pod %s: %s", c.target.pod, text)
	}
}

// Read implements net.Conn. At the end it says what the kubelet said, if anything.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.data.Read(b)
	if n > 0 || !errors.Is(err, io.EOF) {
		return n, err //nolint:wrapcheck // a transparent wrapper
	}
	timer := time.NewTimer(verdictWithin)
	defer timer.Stop()
	select {
	case said := <-c.verdict:
		if said != nil {
			return 0, said
		}
	case <-timer.C:
	}
	return 0, io.EOF
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	return c.data.Write(b) //nolint:wrapcheck // a transparent wrapper
}

// Close implements net.Conn. It throws away what was not sent.
func (c *conn) Close() error {
	err := errors.Join(c.data.Reset(), c.verdicts.Reset())
	c.link.RemoveStreams(c.data, c.verdicts)
	return err
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return addr("tunnel") }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr {
	return addr(net.JoinHostPort(c.target.pod, strconv.Itoa(int(c.target.port))))
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

type addr string

func (addr) Network() string  { return "kubernetes" }
func (a addr) String() string { return string(a) }
