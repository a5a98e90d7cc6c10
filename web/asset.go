package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// contentTypes is fixed here, since the table of package mime depends on the
// files of the machine that it runs on, of which an image from scratch has none.
var contentTypes = map[string]string{
	".css":   "text/css; charset=utf-8",
	".html":  "text/html; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".json":  "application/json",
	".png":   "image/png",
	".svg":   "image/svg+xml",
	".txt":   "text/plain; charset=utf-8",
	".woff2": "font/woff2",
}

// Below this many bytes compression saves no packet.
const gzipFrom = 1024

// asset is one file, ready to be served.
type asset struct {
	contentType string
	tag         string // of the content; the compressed form has its own ETag
	body        []byte // of the binary itself: takes no memory of its own
	zipped      func() []byte
}

func newAsset(name string, body []byte) *asset {
	sum := sha256.Sum256(body)
	contentType, known := contentTypes[path.Ext(name)]
	if !known {
		contentType = "application/octet-stream"
	}
	return &asset{
		contentType: contentType,
		tag:         base64.RawURLEncoding.EncodeToString(sum[:12]),
		body:        body,
		zipped: sync.OnceValue(func() []byte {
			if !compressible(contentType) || len(body) < gzipFrom {
				return nil
			}
			return compress(body)
		}),
	}
}

// readAssets reads every file except those whose name starts with a dot.
func readAssets(files fs.FS) (map[string]*asset, error) {
	assets := map[string]*asset{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		assets[name] = newAsset(name, body)
		return nil
	})
	return assets, err
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", a.contentType)
	header.Set("Vary", "Accept-Encoding")
	body, tag := a.body, `"`+a.tag+`"`
	if acceptsGzip(r) {
		if zipped := a.zipped(); zipped != nil {
			body, tag = zipped, `"`+a.tag+`-gzip"`
			header.Set("Content-Encoding", "gzip")
			// ServeContent leaves the length out for encoded bodies.
			header.Set("Content-Length", strconv.Itoa(len(zipped)))
			// A range would be one of the compressed bytes, of no use to anybody.
			r = withoutRange(r)
		}
	}
	header.Set("ETag", tag)
	// No modification time: embedded files have none, the ETag says it all.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func withoutRange(r *http.Request) *http.Request {
	if r.Header.Get("Range") == "" {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Del("Range")
	return r
}

func compressible(contentType string) bool {
	return strings.HasPrefix(contentType, "text/") ||
		contentType == "application/json" || contentType == "image/svg+xml"
}

func compress(body []byte) []byte {
	var buffer bytes.Buffer
	// The level is valid and a bytes.Buffer never fails, hence no errors to see.
	writer, _ := gzip.NewWriterLevel(&buffer, gzip.BestCompression)
	_, _ = writer.Write(body)
	_ = writer.Close()
	return bytes.Clone(buffer.Bytes())
}

// acceptsGzip reads Accept-Encoding; a weight of 0 forbids.
func acceptsGzip(r *http.Request) bool {
	for _, accept := range r.Header.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(accept, ",") {
			coding, weight, _ := strings.Cut(part, ";")
			if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
				continue
			}
			quality, isQuality := strings.CutPrefix(strings.TrimSpace(weight), "q=")
			value, err := strconv.ParseFloat(quality, 64)
			return !isQuality || err != nil || value > 0
		}
	}
	return false
}
