package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// wire is how a client reads. The readers know the framing alone, so that they
// leave the cores to the server.
type wire string

const (
	wireTCP        wire = "tcp"
	wireConnect1   wire = "connect/1.1"
	wireConnect2   wire = "connect/2"
	wireGRPC       wire = "grpc"
	wireGRPCWeb    wire = "grpc-web/1.1"
	wireSocket     wire = "websocket"
	wireNATS       wire = "nats"
	wireCentrifuge wire = "centrifuge"
)

const (
	streamPath  = "/rightsizer.v1.EventService/StreamEvents"
	readBuffer  = 16 << 10
	emptyPrefix = "\x00\x00\x00\x00\x00" // an enveloped empty request
)

// messages reads one message after another.
type messages struct {
	body *bufio.Reader
	// header reads up to a message and returns its size; it may answer the server.
	header func(*bufio.Reader) (int, error)
	buf    []byte
}

// next takes one message; its bytes, valid until the next call, only when wanted.
func (m *messages) next(wanted bool) ([]byte, error) {
	n, err := m.header(m.body)
	if err != nil {
		return nil, err
	}
	if !wanted {
		_, err := m.body.Discard(n)
		return nil, err
	}
	if cap(m.buf) < n {
		m.buf = make([]byte, n)
	}
	m.buf = m.buf[:n]
	_, err = io.ReadFull(m.body, m.buf)
	return m.buf, err
}

func (w wire) open(conn net.Conn) (*messages, error) {
	switch w {
	case wireTCP:
		return &messages{body: bufio.NewReaderSize(conn, readBuffer), header: lengthHeader(0)}, nil
	case wireConnect1:
		return openHTTP1(conn, "application/connect+proto")
	case wireGRPCWeb:
		return openHTTP1(conn, "application/grpc-web+proto")
	case wireConnect2, wireGRPC:
		h, err := newHTTP2(conn)
		if err != nil {
			return nil, err
		}
		if err := h.request(w, 1); err != nil {
			return nil, err
		}
		return &messages{body: bufio.NewReaderSize(h, readBuffer), header: lengthHeader(1)}, nil
	case wireSocket:
		r, err := upgrade(conn, "/events")
		return &messages{body: r, header: socketHeader}, err
	case wireNATS:
		return openNATS(conn)
	case wireCentrifuge:
		return openCentrifuge(conn)
	}
	return nil, fmt.Errorf("no wire %q", w)
}

// lengthHeader reads flags bytes and a length of four.
func lengthHeader(flags int) func(*bufio.Reader) (int, error) {
	return func(r *bufio.Reader) (int, error) {
		head, err := r.Peek(flags + 4)
		if err != nil {
			return 0, err
		}
		n := int(binary.BigEndian.Uint32(head[flags:]))
		if flags > 0 && head[0] != 0 {
			return 0, fmt.Errorf("the server ended the stream, flags %d", head[0])
		}
		_, err = r.Discard(flags + 4)
		return n, err
	}
}

func openHTTP1(conn net.Conn, contentType string) (*messages, error) {
	_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: %s\r\nContent-Length: 5\r\n\r\n%s", streamPath, contentType, emptyPrefix)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(conn, readBuffer)
	if err := head(r, "200"); err != nil {
		return nil, err
	}
	return &messages{body: bufio.NewReaderSize(httputil.NewChunkedReader(r), readBuffer), header: lengthHeader(1)}, nil
}

// head skips a response's head, which must have this status.
func head(r *bufio.Reader, status string) error {
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	if !bytes.Contains([]byte(line), []byte(" "+status+" ")) {
		return fmt.Errorf("status %q", line)
	}
	for {
		switch line, err := r.ReadString('\n'); {
		case err != nil:
			return err
		case line == "\r\n":
			return nil
		}
	}
}

func upgrade(conn net.Conn, path string) (*bufio.Reader, error) {
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(conn, readBuffer)
	return r, head(r, "101")
}

// socketHeader reads the head of a server's frame; pings and their kind are skipped.
func socketHeader(r *bufio.Reader) (int, error) {
	for {
		head, err := r.Peek(2)
		if err != nil {
			return 0, err
		}
		opcode, size, length := head[0]&0xf, 2, int(head[1]&0x7f)
		switch length {
		case 126:
			size = 4
		case 127:
			size = 10
		}
		if head, err = r.Peek(size); err != nil {
			return 0, err
		}
		switch size {
		case 4:
			length = int(binary.BigEndian.Uint16(head[2:]))
		case 10:
			length = int(binary.BigEndian.Uint64(head[2:]))
		}
		if _, err := r.Discard(size); err != nil {
			return 0, err
		}
		switch {
		case opcode == 8:
			return 0, errors.New("the server closed")
		case opcode < 8:
			return length, nil
		}
		if _, err := r.Discard(length); err != nil {
			return 0, err
		}
	}
}

func openNATS(conn net.Conn) (*messages, error) {
	if _, err := io.WriteString(conn, "CONNECT {\"verbose\":false}\r\nSUB "+subject+" 1\r\nPING\r\n"); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(conn, readBuffer)
	for { // INFO comes first; PONG says that the subscription stands
		switch line, err := r.ReadString('\n'); {
		case err != nil:
			return nil, err
		case line == "PONG\r\n":
			return &messages{body: r, header: natsHeader(conn)}, nil
		}
	}
}

func natsHeader(w io.Writer) func(*bufio.Reader) (int, error) {
	return func(r *bufio.Reader) (int, error) {
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return 0, err
			}
			line = bytes.TrimRight(line, "\r\n")
			switch {
			case bytes.HasPrefix(line, []byte("MSG ")):
				n, err := strconv.Atoi(string(line[bytes.LastIndexByte(line, ' ')+1:]))
				return n, err
			case bytes.Equal(line, []byte("PING")):
				if _, err := io.WriteString(w, "PONG\r\n"); err != nil {
					return 0, err
				}
			case bytes.HasPrefix(line, []byte("-ERR")):
				return 0, errors.New(string(line))
			default: // the end of a message
			}
		}
	}
}

// openCentrifuge connects in its protobuf protocol: each WebSocket message holds
// replies, each behind its size as a varint.
func openCentrifuge(conn net.Conn) (*messages, error) {
	r, err := upgrade(conn, "/connection/websocket?cf_protocol=protobuf")
	if err != nil {
		return nil, err
	}
	// Command{id: 1, connect: {}} behind its size, masked with zeros, as one binary frame.
	if _, err := conn.Write([]byte{0x82, 0x80 | 5, 0, 0, 0, 0, 4, 0x08, 1, 0x22, 0}); err != nil {
		return nil, err
	}
	left := 0 // bytes of this WebSocket message
	return &messages{body: r, header: func(r *bufio.Reader) (int, error) {
		for {
			for left == 0 {
				n, err := socketHeader(r)
				if err != nil {
					return 0, err
				}
				left = n
			}
			n, err := binary.ReadUvarint(r)
			if err != nil {
				return 0, err
			}
			size := binary.PutUvarint(make([]byte, binary.MaxVarintLen64), n)
			left -= size + int(n)
			if n > 0 { // an empty reply is a ping
				return int(n), nil
			}
		}
	}}, nil
}

// window is what the client lets the server send: the server must not wait for it.
const window = 1 << 30

// http2Client reads the streams of one connection as one sequence of bytes, which
// is right for one stream, and enough for several that are idle.
type http2Client struct {
	framer *http2.Framer
	data   []byte
	taken  int
}

func newHTTP2(conn net.Conn) (*http2Client, error) {
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return nil, err
	}
	h := &http2Client{framer: http2.NewFramer(conn, bufio.NewReaderSize(conn, readBuffer))}
	h.framer.SetReuseFrames()
	if err := h.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}); err != nil {
		return nil, err
	}
	return h, h.framer.WriteWindowUpdate(0, window)
}

func (h *http2Client) request(w wire, id uint32) error {
	contentType := "application/connect+proto"
	if w == wireGRPC {
		contentType = "application/grpc+proto"
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{
		{":method", http.MethodPost},
		{":scheme", "http"},
		{":path", streamPath},
		{":authority", "bench"},
		{"content-type", contentType},
		{"te", "trailers"},
	} {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return err
		}
	}
	if err := h.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		return err
	}
	return h.framer.WriteData(id, true, []byte(emptyPrefix))
}

// Read implements io.Reader over the data of all streams.
func (h *http2Client) Read(p []byte) (int, error) {
	for len(h.data) == 0 {
		frame, err := h.framer.ReadFrame()
		if err != nil {
			return 0, err
		}
		if err := h.take(frame); err != nil {
			return 0, err
		}
	}
	n := copy(p, h.data)
	h.data = h.data[n:]
	return n, nil
}

func (h *http2Client) take(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.DataFrame:
		h.data = f.Data()
		if h.taken += len(h.data); h.taken >= window/2 {
			n := uint32(h.taken)
			h.taken = 0
			if err := h.framer.WriteWindowUpdate(0, n); err != nil {
				return err
			}
			return h.framer.WriteWindowUpdate(f.StreamID, n)
		}
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return h.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return h.framer.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame, *http2.RSTStreamFrame:
		return fmt.Errorf("the server ended: %v", frame)
	}
	return nil
}
