package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	navigation = "text/html,application/xhtml+xml,*/*;q=0.8"
	script     = "/assets/index-Bx3k9a.js"
)

func dashboard() http.Handler {
	return newHandler(fstest.MapFS{
		".gitkeep":                {},
		"index.html":              {Data: []byte("<!doctype html><title>Right-Sizer</title>")},
		"theme.js":                {Data: []byte("// theme")},
		"favicon.svg":             {Data: []byte("<svg/>")},
		"assets/index-Bx3k9a.js":  {Data: []byte(strings.Repeat("export const a = 1;\n", 200))},
		"assets/index-Cq81zz.css": {Data: []byte("body{}")},
	})
}

func ask(t *testing.T, h http.Handler, method, target string, header map[string]string) *http.Response {
	t.Helper()
	request := httptest.NewRequest(method, target, nil)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	return recorder.Result()
}

func TestPathsAndWhatTheyGive(t *testing.T) {
	tests := map[string]struct {
		method, target, accept string
		status                 int
		contentType, cache     string
	}{
		"the page":                     {"GET", "/", navigation, 200, "text/html; charset=utf-8", cacheAsk},
		"the page by its name":         {"GET", "/index.html", navigation, 200, "text/html; charset=utf-8", cacheAsk},
		"a route":                      {"GET", "/workloads?order=restarts", navigation, 200, "text/html; charset=utf-8", cacheAsk},
		"a route, HEAD":                {"HEAD", "/nodes", navigation, 200, "text/html; charset=utf-8", cacheAsk},
		"a workload with dots":         {"GET", "/workloads/kube-system/Pod/proxy-10.0.0.1.internal", navigation, 200, "text/html; charset=utf-8", cacheAsk},
		"a hashed script":              {"GET", script, "*/*", 200, "text/javascript; charset=utf-8", cacheForever},
		"a hashed style":               {"GET", "/assets/index-Cq81zz.css", "text/css,*/*;q=0.1", 200, "text/css; charset=utf-8", cacheForever},
		"a file without a hash":        {"GET", "/theme.js", "*/*", 200, "text/javascript; charset=utf-8", cacheAsk},
		"an icon":                      {"GET", "/favicon.svg", "image/*", 200, "image/svg+xml", cacheAsk},
		"an absent script":             {"GET", "/assets/old-123.js", "*/*", 404, "text/plain; charset=utf-8", "no-store"},
		"an absent script, typed in":   {"GET", "/assets/old-123.js", navigation, 404, "text/plain; charset=utf-8", "no-store"},
		"an absent file":               {"GET", "/robots.txt", navigation, 404, "text/plain; charset=utf-8", "no-store"},
		"a route fetched by a script":  {"GET", "/workloads", "*/*", 404, "text/plain; charset=utf-8", "no-store"},
		"an unknown RPC":               {"POST", "/rightsizer.v1.OldService/Get", "*/*", 404, "text/plain; charset=utf-8", "no-store"},
		"an unknown RPC, typed in":     {"GET", "/rightsizer.v1.OldService/Get", navigation, 404, "text/plain; charset=utf-8", "no-store"},
		"the folder's own dot file":    {"GET", "/.gitkeep", navigation, 404, "text/plain; charset=utf-8", "no-store"},
		"a path that climbs":           {"GET", "/../../etc/passwd.d", "*/*", 404, "text/plain; charset=utf-8", "no-store"},
		"a post to the page":           {"POST", "/", navigation, 405, "text/plain; charset=utf-8", ""},
		"a post to a route of the app": {"POST", "/workloads", navigation, 404, "text/plain; charset=utf-8", "no-store"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response := ask(t, dashboard(), test.method, test.target, map[string]string{"Accept": test.accept})
			assert.Equal(t, test.status, response.StatusCode)
			assert.Equal(t, test.contentType, response.Header.Get("Content-Type"))
			assert.Equal(t, test.cache, response.Header.Get("Cache-Control"))
			assert.Equal(t, policy, response.Header.Get("Content-Security-Policy"))
			assert.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
			assert.Equal(t, "no-referrer", response.Header.Get("Referrer-Policy"))
		})
	}
}

func TestBodiesAreCompressedForWhoTakesIt(t *testing.T) {
	h := dashboard()
	plain := ask(t, h, "GET", script, nil)
	want, err := io.ReadAll(plain.Body)
	require.NoError(t, err)
	assert.Empty(t, plain.Header.Get("Content-Encoding"))
	assert.Equal(t, "Accept-Encoding", plain.Header.Get("Vary"))

	zipped := ask(t, h, "GET", script, map[string]string{"Accept-Encoding": "br, gzip;q=0.8", "Range": "bytes=0-3"})
	assert.Equal(t, 200, zipped.StatusCode)
	assert.Equal(t, "gzip", zipped.Header.Get("Content-Encoding"))
	assert.NotEqual(t, plain.Header.Get("ETag"), zipped.Header.Get("ETag"))
	assert.Positive(t, zipped.ContentLength)
	assert.Less(t, zipped.ContentLength, int64(len(want)))
	reader, err := gzip.NewReader(zipped.Body)
	require.NoError(t, err)
	got, err := io.ReadAll(reader)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))

	refused := ask(t, h, "GET", script, map[string]string{"Accept-Encoding": "gzip;q=0, *"})
	assert.Empty(t, refused.Header.Get("Content-Encoding"))
	small := ask(t, h, "GET", "/assets/index-Cq81zz.css", map[string]string{"Accept-Encoding": "gzip"})
	assert.Empty(t, small.Header.Get("Content-Encoding"))
}

func TestUnchangedContentIsNotSentAgain(t *testing.T) {
	for _, encoding := range []string{"", "gzip"} {
		first := ask(t, dashboard(), "GET", script, map[string]string{"Accept-Encoding": encoding})
		tag := first.Header.Get("ETag")
		require.NotEmpty(t, tag)
		// A second handler: the tag is of the content, not of the process.
		again := ask(t, dashboard(), "GET", script, map[string]string{"Accept-Encoding": encoding, "If-None-Match": tag})
		assert.Equal(t, http.StatusNotModified, again.StatusCode)
		assert.Equal(t, cacheForever, again.Header.Get("Cache-Control"))
	}
}

func TestWithoutABuildThePageSaysHowToMakeOne(t *testing.T) {
	h := newHandler(fstest.MapFS{".gitkeep": {}})
	for _, target := range []string{"/", "/workloads/shop/Deployment/api"} {
		response := ask(t, h, "GET", target, map[string]string{"Accept": navigation})
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		assert.Equal(t, 200, response.StatusCode)
		assert.Equal(t, "text/html; charset=utf-8", response.Header.Get("Content-Type"))
		assert.Contains(t, string(body), "The dashboard was not built")
		assert.Contains(t, string(body), "make build")
	}
	assert.Equal(t, 404, ask(t, h, "GET", script, nil).StatusCode)
}

func TestTheEmbeddedBuildIsServed(t *testing.T) {
	response := ask(t, Handler(), "GET", "/", map[string]string{"Accept": navigation})
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, 200, response.StatusCode)
	assert.Equal(t, Built(), !strings.Contains(string(body), "was not built"))
	assert.NotRegexp(t, `<style|<script>|style=| on[a-z]+=`, string(body), "the policy allows nothing inline")
}
