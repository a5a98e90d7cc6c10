package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/gen/go/rightsizer/v1/rightsizerv1connect"
	"github.com/rightsizer/rightsizer/remediate/audit"
)

// auditNamespace makes a namespace, and a configuration with the rights that the
// audit chain needs there and no others.
func auditNamespace(t *testing.T, name string) (client kubernetes.Interface, limited *rest.Config) {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	_, err = client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
	user := "system:serviceaccount:" + name + ":audit"
	_, err = client.RbacV1().Roles(name).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "audit"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "create", "patch", "delete"}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = client.RbacV1().RoleBindings(name).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "audit"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "audit"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	limited = rest.CopyConfig(cluster.RESTConfig())
	limited.Impersonate = rest.ImpersonationConfig{UserName: user}
	require.Eventually(t, func() bool { // the authorizer hears of the role in a moment
		c, err := kubernetes.NewForConfig(limited)
		require.NoError(t, err)
		_, err = c.CoreV1().ConfigMaps(name).List(t.Context(), metav1.ListOptions{})
		return err == nil
	}, patience, poll)
	return client, limited
}

func auditLog(t *testing.T, opts audit.Options) *audit.Log {
	t.Helper()
	opts.Logger = slog.New(slog.DiscardHandler)
	log, err := audit.New(opts)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	return log
}

func auditRecord(n int) *rightsizerv1.AuditRecord {
	return &rightsizerv1.AuditRecord{
		Actor: "system:serviceaccount:rightsizer:rightsizer", Action: "remediation.executing", Namespace: fmt.Sprintf("audit-ns-%d", n%2),
		Target: "Pod/api-0", Remediation: fmt.Sprintf("r-%d", n), Reason: strings.Repeat("OOM kill of container api. ", 20),
		Diff:     `[{"op":"replace","path":"/spec/containers/0/resources/limits/memory","value":"512Mi"}]`,
		Evidence: map[string]string{"limit": "256Mi", "used": "255Mi"},
	}
}

// Replicas that append at a time share one chain on a real API server, with
// exactly the rights that the documentation names; closed segments are immutable
// there, and no owners of fields pile up.
func TestTheAuditChainOfManyWriters(t *testing.T) {
	const namespace = "audit-race"
	client, limited := auditNamespace(t, namespace)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	seen := map[int64]string{}
	logs := make([]*audit.Log, 3)
	for i := range logs {
		logs[i] = auditLog(t, audit.Options{Config: limited, Namespace: namespace, Replica: fmt.Sprintf("replica-%d", i)})
	}
	const each = 40
	for i, log := range logs {
		for w := range 2 {
			wg.Go(func() {
				for n := range each {
					began := time.Now()
					head, err := log.Append(t.Context(), auditRecord(n))
					if !assert.NoError(t, err, "replica %d, writer %d", i, w) {
						return
					}
					mu.Lock()
					took = append(took, time.Since(began))
					assert.NotContains(t, seen, head.GetSequence())
					seen[head.GetSequence()] = head.GetHash()
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	slices.Sort(took)
	t.Logf("append under a race of three replicas: p50 %s, p99 %s", took[len(took)/2], took[len(took)*99/100])
	report, err := logs[0].Verify(t.Context())
	require.NoError(t, err)
	assert.True(t, report.Valid(), report.Findings)
	assert.EqualValues(t, len(logs)*2*each, report.Records)
	for sequence, hash := range seen {
		assert.NotEmpty(t, hash, sequence)
	}

	alone := auditLog(t, audit.Options{Config: limited, Namespace: namespace})
	took = took[:0]
	for n := range 60 {
		began := time.Now()
		_, err := alone.Append(t.Context(), auditRecord(n))
		require.NoError(t, err)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("append alone: p50 %s, p99 %s", took[len(took)/2], took[len(took)*99/100])

	segments, err := client.CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "rightsizer.dev/audit=segment"})
	require.NoError(t, err)
	require.Greater(t, len(segments.Items), 2)
	for i := range segments.Items {
		segment := &segments.Items[i]
		bytes := 0
		for _, text := range segment.Data {
			bytes += len(text)
		}
		assert.Less(t, bytes, 900<<10)
		if len(segment.Data) > 1 {
			assert.Empty(t, segment.ManagedFields, "owners of fields would grow with every append")
		}
		if closed := segment.Immutable != nil && *segment.Immutable; i < len(segments.Items)-1 && assert.True(t, closed, segment.Name) {
			segment.Data["r0000000000000001"] = "edited"
			_, err := client.CoreV1().ConfigMaps(namespace).Update(t.Context(), segment, metav1.UpdateOptions{})
			assert.ErrorContains(t, err, "immutable")
		}
	}
}

// The API and the command line show the chain and find what was done to it.
func TestTheAuditChainIsShownAndVerified(t *testing.T) {
	const namespace = "audit-shown"
	client, limited := auditNamespace(t, namespace)
	log := auditLog(t, audit.Options{Config: limited, Namespace: namespace})
	var head *rightsizerv1.AuditHead
	for n := range 7 {
		var err error
		head, err = log.Append(t.Context(), auditRecord(n))
		require.NoError(t, err)
	}
	dir := t.TempDir()
	o := serve(t, cluster.KubeconfigPath(), "--operator-namespace="+namespace, "--audit-dir="+dir).ready()
	api := rightsizerv1connect.NewAuditServiceClient(http.DefaultClient, o.url)

	listed, err := api.ListAuditRecords(t.Context(), &rightsizerv1.ListAuditRecordsRequest{Namespaces: []string{"audit-ns-1"}, PageSize: 2})
	require.NoError(t, err)
	require.Len(t, listed.GetRecords(), 2)
	assert.Equal(t, "r-5", listed.GetRecords()[0].GetRemediation())
	rest, err := api.ListAuditRecords(t.Context(), &rightsizerv1.ListAuditRecordsRequest{Namespaces: []string{"audit-ns-1"}, PageSize: 2, PageToken: listed.GetNextPageToken()})
	require.NoError(t, err)
	require.Len(t, rest.GetRecords(), 1)
	assert.Empty(t, rest.GetNextPageToken())

	// The operator completed its directory by itself.
	path, err := binary()
	require.NoError(t, err)
	cli := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), path, append([]string{"audit"}, args...)...).CombinedOutput()
		return string(out), err
	}
	require.Eventually(t, func() bool {
		out, err := cli("verify", "--dir="+dir, fmt.Sprintf("--head=%d:%s", head.GetSequence(), head.GetHash()))
		return err == nil && strings.Contains(out, "whole: 7 records checked")
	}, patience, poll)
	out, err := cli("verify", "--server="+o.url)
	require.NoError(t, err, out)
	assert.Contains(t, out, "whole: 14 records checked, head 7:"+head.GetHash())
	out, err = cli("list", "--server="+o.url, "--action=remediation.*", "-o", "json", "--limit=3")
	require.NoError(t, err, out)
	assert.Equal(t, 3, strings.Count(out, "\n"))
	var first map[string]any
	require.NoError(t, json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &first))
	assert.Equal(t, head.GetHash(), first["hash"])

	// Somebody edits the chain.
	segment, err := client.CoreV1().ConfigMaps(namespace).Get(t.Context(), "rightsizer-audit-00000001", metav1.GetOptions{})
	require.NoError(t, err)
	segment.Data["r0000000000000003"] = strings.Replace(segment.Data["r0000000000000003"], "512Mi", "128Mi", 1)
	_, err = client.CoreV1().ConfigMaps(namespace).Update(t.Context(), segment, metav1.UpdateOptions{})
	require.NoError(t, err)
	checked, err := api.VerifyAudit(t.Context(), &rightsizerv1.VerifyAuditRequest{})
	require.NoError(t, err)
	assert.False(t, checked.GetValid())
	require.Len(t, checked.GetFindings(), 1)
	assert.EqualValues(t, 3, checked.GetFindings()[0].GetSequence())
	assert.Equal(t, "edited", checked.GetFindings()[0].GetKind())
	out, err = cli("verify", "--server="+o.url)
	require.Error(t, err)
	assert.Contains(t, out, "rightsizer-audit-00000001 r0000000000000003:1")
}

// auditWriterVariable makes the test binary a writer of the chain: what it says is
// "kubeconfig namespace directory".
const auditWriterVariable = "RIGHTSIZER_E2E_AUDIT_WRITER"

// auditWriter appends as fast as it can and prints each head that it was given.
func auditWriter() int {
	args := strings.Fields(os.Getenv(auditWriterVariable))
	config, err := clientcmd.BuildConfigFromFlags("", args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	log, err := audit.New(audit.Options{Config: config, Namespace: args[1], Directory: args[2], Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() { _ = log.Run(context.Background()) }()
	for n := 0; ; n++ {
		head, err := log.Append(context.Background(), auditRecord(n))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println(head.GetSequence(), head.GetHash())
	}
}

// A writer that is killed at any moment loses nothing that it was told is kept,
// leaves no doubled record, and its successor completes the directory.
func TestAKilledAuditWriterLosesNothing(t *testing.T) {
	const namespace = "audit-killed"
	_, _ = auditNamespace(t, namespace)
	dir := filepath.Join(t.TempDir(), "audit")
	var kept []*rightsizerv1.AuditHead
	for round := range 6 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), auditWriterVariable+"="+strings.Join([]string{cluster.KubeconfigPath(), namespace, dir}, " "))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for n := range 5 + rand.IntN(25) {
			if !lines.Scan() {
				require.Fail(t, "the writer ended", "round %d, line %d", round, n)
			}
			h := &rightsizerv1.AuditHead{}
			_, err := fmt.Sscan(lines.Text(), &h.Sequence, &h.Hash)
			require.NoError(t, err)
			kept = append(kept, h)
		}
		time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		for lines.Scan() { // heads that came before the end count
			h := &rightsizerv1.AuditHead{}
			if n, _ := fmt.Sscan(lines.Text(), &h.Sequence, &h.Hash); n == 2 && len(h.GetHash()) == 64 {
				kept = append(kept, h)
			}
		}
		_ = cmd.Wait()
	}
	log := auditLog(t, audit.Options{Config: cluster.RESTConfig(), Namespace: namespace, Directory: dir})
	_, err := log.Append(t.Context(), auditRecord(0))
	require.NoError(t, err)
	report, err := log.Verify(t.Context(), kept...)
	require.NoError(t, err)
	assert.True(t, report.Valid(), report.Findings)
	copied, err := audit.VerifyDirectory(t.Context(), dir, kept...)
	require.NoError(t, err)
	assert.True(t, copied.Valid(), copied.Findings)
	assert.Equal(t, report.Head.GetSequence(), copied.Records)
	t.Logf("%d heads kept over 6 kills, %d records", len(kept), copied.Records)
}
