package ws

import (
	"errors"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// EncodeJSON is how the bridge writes a message.
var EncodeJSON = encodeJSON

// ParseFilter opens the decoder of clients' bytes to fuzzing.
func ParseFilter(data []byte) (*rightsizerv1.EventFilter, error) {
	filter, bad := parseFilter(data)
	if bad != nil {
		return nil, errors.New(bad.Message)
	}
	return filter, nil
}
