// Package intercept is what happens to every call of the API, unary or stream,
// between HTTP and its handler. In this order, the first outermost:
//
//  0. tracing: where it is on, a span of the call; what calls of health and of
//     reflection do is not traced
//  1. metrics: counts and times the call, whatever becomes of it
//  2. logging: one line at level debug when it ends
//  3. recover: a panic costs its call alone; every error has an ErrorInfo
//  4. decode: hands on what the strict JSON codec found wrong with the request
//  5. validate: protovalidate's rules, as BadRequest with field paths
//  6. authorize: the permission that the method declares in the schema
//
// Before all of it stands [Complete], at the level of HTTP: what connect refuses
// by itself never comes to an interceptor.
//
// Who calls is known before any of it (package auth). For a stream, 4 to 6 run
// when the handler receives the request, which connect does before calling the
// handler's own code.
//
// [Options.HandlerOption] is the only thing a handler needs; each interceptor has
// a test on a unary call and on a stream.
package intercept
