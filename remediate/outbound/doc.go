// Package outbound calls addresses that somebody else names: the webhooks of
// policies and the sinks of the configuration. Whoever names them must not thereby
// reach what only the operator can reach, nor hold it up.
//
// # What is dialed
//
// A [Guard] judges every address after the name is resolved, and that very address
// is dialed; the socket's own address is judged once more before it connects. A
// name that resolves anew (DNS rebinding) is therefore judged anew. Never allowed:
// link-local addresses, those of metadata services of clouds, multicast,
// unspecified and reserved ones, and all of these written as IPv6 (mapped, NAT64,
// 6to4). Private ranges are allowed where the operator's list has them, loopback
// where the list has a network of loopback itself. A policy narrows the list and
// never widens it. Redirects are not followed: they are an answer that fails.
// Proxies of the environment are not used; they would dial for us, unguarded.
//
// # What is sent
//
// A CloudEvent 1.0 by POST, structured (application/cloudevents+json) or binary
// (attributes as ce- headers), over TLS 1.2 or later unless plain text is asked
// for, signed as Standard Webhooks has it where there is a secret: webhook-id (the
// event's id; for a remediation its name: it is the idempotency key, since delivery
// is at least once), webhook-timestamp (seconds) and webhook-signature ("v1," and
// the HMAC-SHA256 over id.timestamp.body in base64; one for each secret).
//
// # What may come back
//
// At most 64 KiB within the timeout, which covers everything from the name to the
// last byte. 2xx is success. [DeliveryError] says whether a later attempt may
// succeed, and when: no answer, 408, 425, 429 and 5xx, with Retry-After honoured.
//
// The answer to a question whether a remediation may go on is JSON:
//
//	{"decision": "approve" | "veto" | "none", "reason": "for a person, at most 1,024 bytes"}
//
// An empty answer is "none". [ParseVerdict] reads it; anything else is an error, and
// what a missing answer means is the policy's to say.
//
// # Bounds
//
// 256 KiB a request, 64 KiB an answer and 16 KiB of its headers, 16 addresses of a
// name, 4 secrets, 2 idle connections an Endpoint for 30 s. All is safe for
// concurrent use.
package outbound
