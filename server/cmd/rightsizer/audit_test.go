package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
)

// auditServer answers with what the test says, and keeps what it was asked.
type auditServer struct {
	rightsizerv1connect.UnimplementedAuditServiceHandler

	records []*rightsizerv1.AuditRecord
	lists   []*rightsizerv1.ListAuditRecordsRequest
	verify  *rightsizerv1.VerifyAuditResponse
	heads   []*rightsizerv1.AuditHead
}

func (s *auditServer) ListAuditRecords(_ context.Context, req *rightsizerv1.ListAuditRecordsRequest) (*rightsizerv1.ListAuditRecordsResponse, error) {
	s.lists = append(s.lists, req)
	if req.GetRemediation() == "forbidden" {
		return nil, connect.NewError(connect.CodePermissionDenied, nil)
	}
	at := len(s.lists) - 1
	resp := &rightsizerv1.ListAuditRecordsResponse{Records: s.records[at : at+1]}
	if at+1 < len(s.records) {
		resp.NextPageToken = "more"
	}
	return resp, nil
}

func (s *auditServer) VerifyAudit(_ context.Context, req *rightsizerv1.VerifyAuditRequest) (*rightsizerv1.VerifyAuditResponse, error) {
	s.heads = req.GetHeads()
	return s.verify, nil
}

func serveAudit(t *testing.T, s *auditServer) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(rightsizerv1connect.NewAuditServiceHandler(s))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestAuditList(t *testing.T) {
	fresh := func() *auditServer {
		return &auditServer{records: []*rightsizerv1.AuditRecord{
			{Sequence: 2, Time: timestamppb.Now(), Actor: "alice", Action: "remediation.approved", Namespace: "ns", Target: "Pod/a", Remediation: "r", Reason: "fine\u202e"},
			{Sequence: 1, Time: timestamppb.Now(), Actor: "rightsizer", Action: "remediation.proposed"},
		}}
	}
	s := fresh()
	code, out, errOut := call(t, "audit", "list", "--server", serveAudit(t, s), "--action=remediation.*", "-n", "ns", "--actor=alice", "--target=Pod/a", "--since=1h", "--until=2099-01-01T00:00:00Z")
	require.Zero(t, code, errOut)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 3)
	assert.Regexp(t, `^SEQUENCE +TIME +ACTOR`, lines[0])
	assert.Regexp(t, `^2 .* alice +remediation.approved +ns +Pod/a +r +fine\\u202e$`, lines[1])
	require.Len(t, s.lists, 2, "two pages")
	assert.Equal(t, []string{"remediation.*"}, s.lists[0].GetActions())
	assert.Equal(t, "more", s.lists[1].GetPageToken())
	assert.NotNil(t, s.lists[0].GetStartTime())
	assert.NotNil(t, s.lists[0].GetEndTime())

	code, out, _ = call(t, "audit", "list", "--server", serveAudit(t, fresh()), "-o", "json", "--limit=1")
	require.Zero(t, code)
	var back map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &back))
	assert.Equal(t, "alice", back["actor"])
	assert.NotContains(t, out, "\u202e")

	code, out, _ = call(t, "audit", "list", "--server", serveAudit(t, fresh()), "-o", "yaml")
	require.Zero(t, code)
	assert.Equal(t, 2, strings.Count(out, "---\n"))

	code, _, errOut = call(t, "audit", "list", "--server", serveAudit(t, fresh()), "--remediation=forbidden")
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "permission_denied")
}

func TestAuditVerify(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	s := &auditServer{verify: &rightsizerv1.VerifyAuditResponse{Valid: true, Records: 7, Head: &rightsizerv1.AuditHead{Sequence: 7, Hash: hash}}}
	code, out, errOut := call(t, "audit", "verify", "--server", serveAudit(t, s), "--head=5:"+hash)
	require.Zero(t, code, errOut)
	assert.Equal(t, "whole: 7 records checked, head 7:"+hash+"\n", out)
	require.Len(t, s.heads, 1)
	assert.EqualValues(t, 5, s.heads[0].GetSequence())

	s.verify = &rightsizerv1.VerifyAuditResponse{Findings: []*rightsizerv1.AuditFinding{{Sequence: 3, Kind: "edited", Place: "here", Message: "record 3"}}, FindingsOmitted: 2}
	code, out, errOut = call(t, "audit", "verify", "--server", serveAudit(t, s))
	assert.Equal(t, 1, code)
	assert.Regexp(t, `(?m)^edited +3 +here +record 3$`, out)
	assert.Contains(t, out, "NOT whole")
	assert.Contains(t, errOut, "and 2 more")
	assert.Contains(t, errOut, "the audit chain is not whole")
	code, out, _ = call(t, "audit", "verify", "--server", serveAudit(t, s), "-o", "json")
	assert.Equal(t, 1, code, "whatever the form")
	assert.Contains(t, out, `"kind":"edited"`)
}

// The format is what the documentation says: a folder written without the package
// is verified.
func TestAuditVerifyOfADirectory(t *testing.T) {
	dir := t.TempDir()
	previous := strings.Repeat("0", 64)
	var lines []string
	for i := 1; i <= 3; i++ {
		body := fmt.Sprintf(`{"sequence":"%d","time":"2026-05-01T00:00:0%dZ","actor":"a","action":"b.c","previousHash":"%s"}`, i, i, previous)
		sum := sha256.Sum256([]byte(body))
		previous = hex.EncodeToString(sum[:])
		lines = append(lines, previous+" "+body)
	}
	file := filepath.Join(dir, "audit-0000000000000001.log")
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	code, out, errOut := call(t, "audit", "verify", "--dir", dir)
	require.Zero(t, code, errOut+out)
	assert.Equal(t, "whole: 3 records checked, head 3:"+previous+"\n", out)

	code, out, _ = call(t, "audit", "verify", "--dir", dir, "--head=4:"+previous)
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "truncated")

	lines[1] = strings.Replace(lines[1], `"a"`, `"b"`, 1)
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	code, out, _ = call(t, "audit", "verify", "--dir", dir)
	assert.Equal(t, 1, code)
	assert.Contains(t, out, file+":2")

	code, _, errOut = call(t, "audit", "verify", "--dir", filepath.Join(dir, "no"))
	assert.Equal(t, 2, code)
	assert.Contains(t, errOut, "no such file")
}

func TestAuditUsage(t *testing.T) {
	for line, want := range map[string]string{
		"audit":                                "list or verify",
		"audit list -o xml":                    "wants table, json or yaml",
		"audit list --since=yesterday":         "--since: wants an age",
		"audit list --limit=-1":                "--limit: wants 0 or more",
		"audit verify --head=1:zz":             "--head: wants SEQUENCE:HASH",
		"audit verify --server=nowhere":        "--server: wants a URL",
		"audit list surplus":                   "takes no arguments",
		"audit verify --head=0:" + "00 -o xml": "--head",
	} {
		code, _, errOut := call(t, strings.Fields(line)...)
		assert.Equal(t, 2, code, line)
		assert.Contains(t, errOut, want, line)
	}
}
