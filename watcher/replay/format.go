package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The format's name and version. A reader takes no later version: it could
// not know what it misses.
const (
	Format  = "rightsizer.dev/recording"
	Version = 1
)

// MaxLine bounds a line, in bytes: an object of the API is at most 1.5 MiB in
// etcd, and JSON needs up to three times the room of protobuf.
const MaxLine = 8 << 20

// Header is the first line.
type Header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	// Time is when the recording began.
	Time time.Time `json:"time"`
	// ClusterID is part of every id that a replay gives.
	ClusterID string `json:"cluster_id"`
	// ServerVersion is the API server's gitVersion.
	ServerVersion string `json:"server_version"`
	// Source says for people what was recorded: a scenario of the devcluster,
	// or a real node and what runs on it.
	Source string `json:"source"`
}

// Type says what a Line is.
type Type string

// The types. ADDED, MODIFIED, DELETED, BOOKMARK and ERROR are the API server's
// own; the object of ERROR is a Status, also where the server could not be
// reached and the recorder words it.
const (
	Relist   Type = "RELIST"
	Synced   Type = "SYNCED"
	Added    Type = "ADDED"
	Modified Type = "MODIFIED"
	Deleted  Type = "DELETED"
	Bookmark Type = "BOOKMARK"
	Error    Type = "ERROR"
)

var types = []Type{Relist, Synced, Added, Modified, Deleted, Bookmark, Error}

// Line is one thing that an API server said.
type Line struct {
	Time     time.Time       `json:"time"`
	Resource string          `json:"resource"`
	Type     Type            `json:"type"`
	Object   json.RawMessage `json:"object,omitempty"`
}

// check says what is wrong with a header.
func (h *Header) check() error {
	switch {
	case h.Format != Format:
		return fmt.Errorf("format is %s, wants %q: is this a recording?", quote(h.Format), Format)
	case h.Version < 1 || h.Version > Version:
		return fmt.Errorf("version is %d, this program reads 1 to %d", h.Version, Version)
	case h.ClusterID == "" || len(h.ClusterID) > 128:
		return fmt.Errorf("cluster_id has %d bytes, wants 1 to 128", len(h.ClusterID))
	case h.Time.IsZero():
		return errors.New("time is missing, wants when the recording began, such as 2026-01-02T15:04:05.999999999Z")
	}
	return nil
}

// check says what is wrong with a line.
func (l *Line) check() error {
	known := false
	for _, t := range types {
		known = known || l.Type == t
	}
	hasObject := len(l.Object) > 0 && string(l.Object) != "null"
	switch {
	case l.Time.IsZero():
		return errors.New("time is missing, wants when the line arrived, such as 2026-01-02T15:04:05.999999999Z")
	case l.Resource == "":
		return errors.New("resource is missing, wants the plural of a kind, such as pods")
	case !known:
		names := make([]string, len(types))
		for i, t := range types {
			names[i] = string(t)
		}
		return fmt.Errorf("type is %s, wants one of %s", quote(string(l.Type)), strings.Join(names, ", "))
	case hasObject && l.Object[0] != '{':
		return errors.New("object is no JSON object")
	case !hasObject && (l.Type == Added || l.Type == Modified || l.Type == Deleted || l.Type == Error):
		return fmt.Errorf("object is missing, %s wants one", l.Type)
	}
	return nil
}

// quote shortens what a file said before it is shown.
func quote(text string) string {
	const most = 64
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}
