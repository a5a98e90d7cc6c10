package page_test

import (
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/rpc/page"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

func TestTokenContinuesItsOwnRequest(t *testing.T) {
	t.Parallel()
	req := &rightsizerv1.ListWorkloadsRequest{Namespaces: []string{"a"}, OrderBy: "name"}
	req.PageToken = page.Token(req, "a/Deployment/web")
	req.PageSize = 7 // may change between pages
	cursor, err := page.Cursor(req)
	require.NoError(t, err)
	assert.Equal(t, "a/Deployment/web", cursor)
}

func TestTokenOfAnotherRequestIsRefused(t *testing.T) {
	t.Parallel()
	token := page.Token(&rightsizerv1.ListWorkloadsRequest{Namespaces: []string{"a"}}, "x")
	for name, req := range map[string]interface {
		GetPageToken() string
	}{
		"other field": &rightsizerv1.ListWorkloadsRequest{Namespaces: []string{"b"}, PageToken: token},
		"other list":  &rightsizerv1.ListNodesRequest{PageToken: token},
		"garbage":     &rightsizerv1.ListNodesRequest{PageToken: "no token"},
		"cut":         &rightsizerv1.ListNodesRequest{PageToken: token[:5]},
		"broken up":   &rightsizerv1.ListWorkloadsRequest{Namespaces: []string{"a"}, PageToken: token[:5] + "\n" + token[5:]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var err error
			switch r := req.(type) {
			case *rightsizerv1.ListWorkloadsRequest:
				_, err = page.Cursor(r)
			case *rightsizerv1.ListNodesRequest:
				_, err = page.Cursor(r)
			}
			require.Error(t, err)
			assert.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
			assert.Equal(t, rpcerr.ReasonPageToken, rpcerr.Reason(err))
			assert.ErrorContains(t, err, "page_token")
		})
	}
}

func TestAPageEndsByEntriesOrBytes(t *testing.T) {
	t.Parallel()
	small, large := &rightsizerv1.Node{Name: "n"}, &rightsizerv1.Node{Name: strings.Repeat("n", 200<<10)}
	take := func(asked int32, entry proto.Message) int {
		n := 0
		for room := page.RoomFor(asked); room.Take(entry); {
			n++
		}
		return n
	}
	assert.Equal(t, 100, take(0, small))
	assert.Equal(t, 1000, take(1000, small))
	assert.Equal(t, 2, take(1000, large), "512 KiB")
	assert.Equal(t, 1, take(1, large))
	assert.Equal(t, 1, take(1000, &rightsizerv1.Node{Name: strings.Repeat("n", 1<<20)}), "one is a page, whatever its size")
}

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add("AAAAAAAAAAAAAAAA")
	token := page.Token(&rightsizerv1.ListNodesRequest{}, "node-1")
	f.Add(token)
	f.Add(token[:9] + "\r\n" + token[9:])
	f.Fuzz(func(t *testing.T, token string) {
		req := &rightsizerv1.ListNodesRequest{PageToken: token}
		cursor, err := page.Cursor(req)
		if err == nil && token != "" {
			assert.Equal(t, token, page.Token(req, cursor))
		}
	})
}
