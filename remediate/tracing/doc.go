// Package tracing puts what is done about one cause into one trace: the event, the
// decision that it led to, and each step of its action.
//
//	event ─▶ decision ─▶ intent · apply · read_back · verify · revert · move
//
// # One trace, whoever goes on with it
//
// The id of a trace is the problem_id that the cause's events have, and the ids of
// the spans that others hang on are hashes: of the event's id, of the Remediation's
// name. Both are in the Remediation anyway. So nothing of a trace is stored, and
// after a crash, or under another leader, the same trace goes on. A process that
// died took the spans that it had not sent yet with it; what comes after names them
// as its parents all the same.
//
// Whether a trace is sampled must follow from its id alone, as the SDK's
// TraceIDRatioBased has it, so that every process comes to the same end.
//
// [IDs] must be the generator of ids of the provider that New is given. A nil
// [Tracer] makes no spans; all methods may be called from any goroutine.
package tracing
