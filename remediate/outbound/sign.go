package outbound

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of Standard Webhooks.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// maxSecrets bounds the secrets that are valid at a time; two are enough to change
// one.
const maxSecrets = 4

// signer signs with each of its secrets.
type signer [][]byte

// newSigner reads secrets, separated by white space: each is whsec_ and 24 to 64
// bytes in base64, the prefix being optional. None signs nothing. Its errors never
// quote a secret.
func newSigner(secrets string) (signer, error) {
	var s signer
	for text := range strings.FieldsSeq(secrets) {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
		if err != nil || len(key) < 24 || len(key) > 64 {
			return nil, errors.New("the secret wants the form whsec_… with 24 to 64 bytes in base64, as `echo whsec_$(openssl rand -base64 32)` makes")
		}
		s = append(s, key)
	}
	if len(s) > maxSecrets {
		return nil, fmt.Errorf("%d secrets, at most %d are allowed", len(s), maxSecrets)
	}
	return s, nil
}

// sign sets the three headers; without a secret, those that are no signature.
func (s signer) sign(header http.Header, id string, at time.Time, body []byte) {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	header.Set(HeaderID, id)
	header.Set(HeaderTimestamp, timestamp)
	signatures := make([]string, 0, len(s))
	for _, key := range s {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write([]byte(id + "." + timestamp + "."))
		_, _ = mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	if len(signatures) > 0 {
		header.Set(HeaderSignature, strings.Join(signatures, " "))
	}
}
