package app

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// What a page of an allowed origin may send, and may read of the answer, beside
// what every page may. There are no cookies, and credentials are not allowed.
const (
	corsMethods = "GET, POST"
	corsHeaders = "Authorization, Content-Type, Connect-Protocol-Version, Connect-Timeout-Ms, Connect-Accept-Encoding, " +
		"Connect-Content-Encoding, Grpc-Timeout, X-Grpc-Web, X-User-Agent"
	corsExposed = "Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, Connect-Content-Encoding, WWW-Authenticate"
)

// sameOrigin refuses what a browser sends from a page of another origin, unless it
// is one of allowed, to the letter. A page may be led here by a link; nothing else
// is, pictures and scripts included, which come without Origin. Programs that are no
// browsers send none of these headers and are not concerned.
func sameOrigin(next http.Handler, allowed []string) http.Handler {
	writer := connect.NewErrorWriter()
	refuse := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = writer.Write(w, r, rpcerr.New(connect.CodePermissionDenied, "CROSS_ORIGIN", "a page of another origin may not call this API"))
	})
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(refuse)
	for _, origin := range allowed {
		_ = protection.AddTrustedOrigin(origin) // the configuration has refused what is none
	}
	protected := protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origins := r.Header.Values("Origin")
		switch {
		case len(origins) == 0 && embedded(r):
			refuse.ServeHTTP(w, r)
		case len(origins) == 0 || r.Header.Get("Sec-Fetch-Site") == "same-origin":
			protected.ServeHTTP(w, r)
		case len(origins) == 1 && slices.Contains(allowed, origins[0]):
			cors(w, r, protected, origins[0])
		case len(origins) == 1 && ownOrigin(r, origins[0]):
			protected.ServeHTTP(w, r)
		default:
			refuse.ServeHTTP(w, r)
		}
	})
}

// embedded says whether a browser sends the request for a part of another origin's
// page, such as a picture. https://www.w3.org/TR/fetch-metadata/
func embedded(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
}

// ownOrigin says whether an origin is that of the address by which the request
// came. Behind a proxy that ends TLS the scheme cannot be told.
func ownOrigin(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin {
		return false
	}
	if u.Scheme != "https" && (u.Scheme != "http" || r.TLS != nil) {
		return false
	}
	return strings.EqualFold(u.Host, r.Host)
}

// cors answers an allowed page.
func cors(w http.ResponseWriter, r *http.Request, next http.Handler, origin string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Max-Age", "7200")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.Set("Access-Control-Expose-Headers", corsExposed)
	next.ServeHTTP(w, r)
}
