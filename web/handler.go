package web

import (
	"io/fs"
	"net/http"
	"path"
	"strings"
)

const (
	indexName = "index.html"
	// Vite puts what carries a content hash in its name, and nothing else, here.
	hashedDir = "assets/"

	cacheForever = "public, max-age=31536000, immutable"
	// The browser keeps a copy and asks each time whether it is still right.
	cacheAsk = "no-cache"
)

// policy lets the page load from, and talk to, its own origin only. No inline
// script or style is allowed; the build makes none.
const policy = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"

// notBuilt is the page of a binary without a dashboard.
const notBuilt = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Right-Sizer: dashboard not built</title></head>
<body>
<h1>The dashboard was not built</h1>
<p>This binary was compiled without it. The API is served all the same.</p>
<p>To build both, run <code>make build</code> in the project's folder, then start <code>bin/rightsizer</code> again.</p>
</body>
</html>
`

// Handler serves the dashboard that is embedded in this binary. It answers GET
// and HEAD only and is meant for `/`, behind the API's own routes.
func Handler() http.Handler {
	return newHandler(FS())
}

type handler struct {
	assets map[string]*asset // by path below the root, without a leading slash
	index  *asset
}

func newHandler(files fs.FS) http.Handler {
	if !built(files) {
		return &handler{index: newAsset(indexName, []byte(notBuilt))}
	}
	assets, err := readAssets(files)
	if err != nil {
		// Embedded files cannot fail to be read; a broken build is not worth
		// refusing to serve the API for.
		return &handler{index: newAsset(indexName, []byte(notBuilt))}
	}
	return &handler{assets: assets, index: assets[indexName]}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, cache := h.find(r)
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	if found == nil {
		// An absent chunk may be there after a roll-out: nobody may remember
		// that it was not.
		header.Set("Cache-Control", "no-store")
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	header.Set("Cache-Control", cache)
	found.serve(w, r)
}

// find returns what the request asks for and how long it may be kept; nil where
// there is nothing.
func (h *handler) find(r *http.Request) (*asset, string) {
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name == "" || name == indexName {
		return h.index, cacheAsk
	}
	if a, ok := h.assets[name]; ok {
		if strings.HasPrefix(name, hashedDir) {
			return a, cacheForever
		}
		return a, cacheAsk
	}
	if isAppRoute(r, name) {
		return h.index, cacheAsk
	}
	return nil, ""
}

// isAppRoute reports whether a path without a file is one that the page's own
// router knows: something that a browser navigates to. Names of workloads may
// hold dots, so only the first segment tells a route from an absent file
// (robots.txt) or an unknown RPC (rightsizer.v1.X/Y), which must stay a 404.
func isAppRoute(r *http.Request, name string) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	first, _, _ := strings.Cut(name, "/")
	if strings.Contains(first, ".") || strings.HasPrefix(name, hashedDir) {
		return false
	}
	return acceptsHTML(r)
}

// acceptsHTML is true for a browser's navigation. `*/*` alone is a fetch of
// something else, for which a page would be a puzzling answer.
func acceptsHTML(r *http.Request) bool {
	for _, accept := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(accept, ",") {
			mediaType, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(mediaType), "text/html") {
				return true
			}
		}
	}
	return false
}
