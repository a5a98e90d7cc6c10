// Package tlsconf makes the TLS of the API's listeners: version 1.3, from
// certificate files that are read again when they change ([Files]), or from a
// certificate that signs itself ([SelfSigned]).
//
// A new pair serves new handshakes; connections and streams that are open keep
// the keys they have and are not cut. A pair that cannot be used (a certificate
// without its key, an expired one) is refused, counted and logged, and the one
// in force stays.
package tlsconf
