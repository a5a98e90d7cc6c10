// Package auth decides who is calling and what he may see and do: before a byte of
// the body is read, for unary calls, streams and WebSockets alike.
//
// # Who
//
// [Middleware] reads the request's [Credential] and asks an [Authenticator]: [Open]
// (nobody is asked), [Closed] (nobody gets in) or a [Chain] of methods, of which
// the first that knows the credential's kind decides:
//
//  1. [Static]: tokens of machines, by their hashes in a file
//  2. [OIDC]: ID tokens of one issuer, by what they say of their issuer
//  3. [Kubernetes]: any other token, by TokenReview for our own audience
//  4. [Certificates]: client certificates of an authority, where no token is sent
//
// A token is in the Authorization header or, from a browser's WebSocket, in a
// subprotocol ([SubprotocolToken]); in the URL it is refused. Without user, without
// a group, with an empty one: nobody. Names that begin with system: are the
// cluster's alone to give. There is no identity to fall back on, least of all the
// operator's own. A refusal says that the caller is not known and no more; who
// cannot be asked about is refused as unavailable.
//
// # What
//
// Each method of the schema declares a permission. [Rights] asks for it by
// SubjectAccessReview, on virtual resources of group rightsizer.dev: once per
// identity, namespace and verb; answers are good for 10 s. It leaves a [Grant] for
// the handler:
//
//   - who has the right to all is granted everything
//   - the request names namespaces: each needs the right, else permission_denied;
//     the grant is these
//   - it names none: permission_denied, unless
//   - it says allowed_only: of the namespaces that there is something in, those with
//     the right; none of them is permission_denied
//   - its method is cluster_scoped: permission_denied
//
// How a request names namespaces is read from its fields by their names: see
// askedBy in request.go.
//
// # For handlers
//
// There is one way, and no handler asks for rights by itself:
//
//	grant := auth.GrantOf(ctx)
//	for _, x := range everything {
//		if !grant.May(x.GetNamespace()) { // "" is what is in no namespace
//			continue
//		}
//		...
//	}
//
// That is beside what the request itself asks for, not instead of it. What is counted, summed up, paged over, compared with or named in an error is
// what the grant may see, never more. Outside of a request, and where the
// interceptor has not run, a grant sees nothing; tests say [WithGrant]. Who is
// calling is [FromContext]; what is done to Kubernetes in his name needs
// [Rights.Require] with the real verb.
//
// # Streams
//
// Whoever keeps a stream open keeps its request's context and asks [Recheck] and
// [Rights.WatchEvents] again, at least every 60 s: see package stream.
package auth
