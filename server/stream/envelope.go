package stream

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/codec"
)

// envelopeHeader is what Connect, gRPC and gRPC-Web put before each message of a
// stream: a byte of flags, 0 for an uncompressed message, and its length as a
// big-endian uint32.
const envelopeHeader = 5

// encoder makes one format of a message, its framing included.
type encoder struct {
	format bus.Format
	encode func(*rightsizerv1.StreamEventsResponse) ([]byte, error)
}

var (
	protoEncoder = encoder{bus.FormatProto, encodeProto}
	jsonEncoder  = encoder{bus.FormatJSON, encodeJSON}
)

func encodeProto(msg *rightsizerv1.StreamEventsResponse) ([]byte, error) {
	buf := make([]byte, envelopeHeader, envelopeHeader+proto.Size(msg))
	buf, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(buf, msg)
	if err != nil {
		return nil, err
	}
	return seal(buf), nil
}

func encodeJSON(msg *rightsizerv1.StreamEventsResponse) ([]byte, error) {
	buf, err := codec.AppendJSON(make([]byte, envelopeHeader, 1024), msg)
	if err != nil {
		return nil, err
	}
	return seal(buf), nil
}

// seal writes the length into the header. Messages are bounded by their schema,
// far below what the header can say.
func seal(buf []byte) []byte {
	n := min(len(buf)-envelopeHeader, math.MaxUint32)
	binary.BigEndian.PutUint32(buf[1:envelopeHeader], uint32(n))
	return buf
}
