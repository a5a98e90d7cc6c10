package ws

import (
	"bytes"
	"compress/flate"
	"net/http"
	"sync"
)

// minDeflated is the size in bytes below which a message is sent as it is, which
// RFC 7692 allows: heartbeats and the like only grow.
const minDeflated = 256

// deflateTail ends what a flush writes; RFC 7692, section 7.2.1, has it cut off, and
// the receiver put it there again.
var deflateTail = []byte{0, 0, 0xff, 0xff}

// compressors hold half a megabyte of tables each; there are as many as encode at
// one moment.
var compressors = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// deflated compresses the payload of one message by itself: without a window over
// the messages before it, which each client would have of its own, it is the same
// bytes for all of them.
func deflated(payload []byte) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 0, len(payload)))
	w := compressors.Get().(*flate.Writer) //nolint:forcetypeassert // the pool holds nothing else
	defer compressors.Put(w)
	w.Reset(out)
	if _, err := w.Write(payload); err != nil {
		return nil, err
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), deflateTail), nil
}

// deflates says whether the answer to a handshake agreed on permessage-deflate, the
// only extension there is.
func deflates(answer http.Header) bool { return answer.Get("Sec-WebSocket-Extensions") != "" }
