package ws

import (
	"log/slog"
	"sync"
	"time"
)

// end is how a WebSocket ended: in the words of RPCs, as the log has these.
type end struct {
	mu           sync.Mutex
	code, reason string
}

// set notes the end; the first word stands, what follows comes of it.
func (e *end) set(code, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.code == "" {
		e.code, e.reason = code, reason
	}
}

// log writes the line of a WebSocket that ended, as that of an RPC: neither
// headers nor the filter, which hold tokens and names that a log must not have.
func (b *bridge) log() {
	if !b.opts.Logger.Enabled(b.caller, slog.LevelDebug) {
		return
	}
	b.end.set("ok", "")
	attrs := []slog.Attr{
		slog.String("procedure", "/events"),
		slog.String("protocol", b.reader.Protocol),
		slog.String("peer", b.reader.Peer),
		slog.String("code", b.end.code),
		slog.Duration("took", time.Since(b.began)),
	}
	if b.reader.Identity != "" {
		attrs = append(attrs, slog.String("user", b.reader.Identity))
	}
	if b.end.reason != "" {
		attrs = append(attrs, slog.String("reason", b.end.reason))
	}
	b.mu.Lock()
	session := b.session
	b.mu.Unlock()
	if session != nil {
		messages, bytes := session.Sent()
		attrs = append(attrs, slog.Int64("messages", messages), slog.Int64("bytes", bytes))
	}
	b.opts.Logger.LogAttrs(b.caller, slog.LevelDebug, "call ended", attrs...)
}
