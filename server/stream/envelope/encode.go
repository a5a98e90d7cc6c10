package envelope

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"math"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/bus"
	"github.com/rightsizer/rightsizer/server/codec"
)

// headerSize is what stands before each message of a stream: a byte of flags and
// the length as a big-endian uint32.
const headerSize = 5

// flagCompressed says that the message is compressed as the response's headers
// announced. Each message says so for itself.
const flagCompressed = 1

// minCompressed is the size in bytes below which a message is sent as it is, which
// the protocols allow in a compressed stream: heartbeats and the like only grow.
const minCompressed = 256

// Encoder makes one format of a message, its header included.
type Encoder struct {
	// Format names the encoding where it is cached.
	Format bus.Format
	encode func(proto.Message) ([]byte, error)
}

// Encode frames one message.
func (e Encoder) Encode(msg proto.Message) ([]byte, error) { return e.encode(msg) }

// NewEncoder returns the encoder for what was negotiated: the response's content
// type, and its compression, of which gzip is known. Under any other name messages
// go out uncompressed, which every client must take.
func NewEncoder(contentType, compression string) Encoder {
	media, _, _ := strings.Cut(contentType, ";")
	json := strings.HasSuffix(strings.TrimSpace(media), "+json")
	switch zip := compression == "gzip"; {
	case json && zip:
		return Encoder{bus.FormatJSONGzip, compressed(encodeJSON)}
	case json:
		return Encoder{bus.FormatJSON, encodeJSON}
	case zip:
		return Encoder{bus.FormatProtoGzip, compressed(encodeProto)}
	default:
		return Encoder{bus.FormatProto, encodeProto}
	}
}

func encodeProto(msg proto.Message) ([]byte, error) {
	buf := make([]byte, headerSize, headerSize+proto.Size(msg))
	buf, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(buf, msg)
	if err != nil {
		return nil, err
	}
	return seal(buf), nil
}

func encodeJSON(msg proto.Message) ([]byte, error) {
	buf, err := codec.AppendJSON(make([]byte, headerSize, 1024), msg)
	if err != nil {
		return nil, err
	}
	return seal(buf), nil
}

// compressors hold half a megabyte of tables each; there are as many as encode at
// one moment.
var compressors = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// compressed compresses what encode makes, unless it is small or would grow.
func compressed(encode func(proto.Message) ([]byte, error)) func(proto.Message) ([]byte, error) {
	return func(msg proto.Message) ([]byte, error) {
		plain, err := encode(msg)
		if err != nil || len(plain) < headerSize+minCompressed {
			return plain, err
		}
		out := bytes.NewBuffer(make([]byte, headerSize, len(plain)))
		zip := compressors.Get().(*gzip.Writer) //nolint:forcetypeassert // the pool holds nothing else
		defer compressors.Put(zip)
		zip.Reset(out)
		if _, err := zip.Write(plain[headerSize:]); err != nil {
			return nil, err
		}
		if err := zip.Close(); err != nil {
			return nil, err
		}
		if out.Len() >= len(plain) {
			return plain, nil
		}
		frame := out.Bytes()
		frame[0] = flagCompressed
		return seal(frame), nil
	}
}

// seal writes the length into the header. Messages are bounded by their schema,
// far below what the header can say.
func seal(buf []byte) []byte {
	n := min(len(buf)-headerSize, math.MaxUint32)
	binary.BigEndian.PutUint32(buf[1:headerSize], uint32(n))
	return buf
}
