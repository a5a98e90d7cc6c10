// Package openapi describes Connect services as an OpenAPI 3.1 document: what may be
// sent as JSON and what is answered, from the descriptors of their protos alone.
//
// Messages become schemas by the rules of proto-JSON, as the API writes it; comments
// become descriptions; protovalidate's rules become keywords of JSON Schema, and a rule
// that has none is an error here rather than a silence there. base.yaml holds what no
// proto says: errors, credentials, the WebSocket.
//
// It knows no generated code of this project, for it runs while that is made.
package openapi
