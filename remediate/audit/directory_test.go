package audit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/audit"
)

func withDirectory(s *apiServer, dir string) audit.Options {
	o := options(s)
	o.Directory = dir
	return o
}

func verifyDirectory(t *testing.T, dir string, known ...*rightsizerv1.AuditHead) *audit.Report {
	t.Helper()
	report, err := audit.VerifyDirectory(t.Context(), dir, known...)
	require.NoError(t, err)
	return report
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "audit-*.log"))
	require.NoError(t, err)
	return names
}

func TestTheDirectoryIsACopy(t *testing.T) {
	t.Parallel()
	s, dir := newAPIServer(t), filepath.Join(t.TempDir(), "made", "here")
	log, stop := start(t, withDirectory(s, dir))
	head := appendN(t, log, 0, 10)
	report := verifyDirectory(t, dir, head)
	assert.True(t, report.Valid(), report.Findings)
	assert.EqualValues(t, 10, report.Records)
	assert.Equal(t, head.GetHash(), report.Head.GetHash())
	joined := verify(t, log)
	assert.True(t, joined.Valid(), joined.Findings)
	assert.EqualValues(t, 20, joined.Records)
	info, err := os.Stat(files(t, dir)[0])
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	stop()

	// What another replica wrote meanwhile is copied by the one that has the directory.
	other, stopOther := start(t, options(s))
	appendN(t, other, 10, 5)
	stopOther()
	log, _ = start(t, withDirectory(s, dir))
	require.Eventually(t, func() bool { return verifyDirectory(t, dir).Records == 15 }, 5*time.Second, time.Millisecond)
	head = appendN(t, log, 15, 1)
	report = verifyDirectory(t, dir, head)
	assert.True(t, report.Valid(), report.Findings)
	assert.EqualValues(t, 16, report.Records)
}

func TestTheDirectoryRotatesAndSaysWhatItLetGoOf(t *testing.T) {
	t.Parallel()
	s, dir := newAPIServer(t), t.TempDir()
	log, _ := start(t, withDirectory(s, dir).Small(64<<10, 512, 3000, 3, time.Hour))
	appendN(t, log, 0, 40)
	require.Eventually(t, func() bool { return len(files(t, dir)) <= 3 }, 5*time.Second, time.Millisecond)
	report := verifyDirectory(t, dir)
	assert.True(t, report.Valid(), report.Findings)
	assert.Equal(t, []string{audit.KindHeldElsewhere}, kinds(report))
	assert.True(t, verify(t, log).Valid())
	require.NoError(t, os.Remove(files(t, dir)[0]))
	assert.Equal(t, []string{audit.KindTruncated}, kinds(verifyDirectory(t, dir)))
}

func TestTamperingInTheDirectoryIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		kind   string
		at     int64
	}{
		"a byte": {func(t *testing.T, dir string) {
			t.Helper()
			rewrite(t, files(t, dir)[0], func(text string) string { return strings.Replace(text, "512Mi", "999Mi", 1) })
		}, audit.KindEdited, 1},
		"a line out": {func(t *testing.T, dir string) {
			t.Helper()
			rewrite(t, files(t, dir)[0], func(text string) string { return text[strings.Index(text, "\n")+1:] })
		}, audit.KindTruncated, 1},
		"a file out": {func(t *testing.T, dir string) { t.Helper(); require.NoError(t, os.Remove(files(t, dir)[1])) }, audit.KindMissing, 0},
		"a huge line": {func(t *testing.T, dir string) {
			t.Helper()
			rewrite(t, files(t, dir)[0], func(text string) string { return strings.Repeat("x", 1<<20) + "\n" + text })
		}, audit.KindEdited, 1},
		"the end cut off": {func(t *testing.T, dir string) {
			t.Helper()
			names := files(t, dir)
			require.NoError(t, os.Remove(names[len(names)-1]))
		}, audit.KindTruncated, 12},
		"a torn line": {func(t *testing.T, dir string) {
			t.Helper()
			names := files(t, dir)
			rewrite(t, names[len(names)-1], func(text string) string { return text + text[:40] })
		}, audit.KindTorn, 13},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := newAPIServer(t), t.TempDir()
			log, stop := start(t, withDirectory(s, dir).Small(64<<10, 512, 3000, 99, time.Hour))
			head := appendN(t, log, 0, 12)
			stop()
			require.True(t, verifyDirectory(t, dir, head).Valid())
			c.change(t, dir)
			report := verifyDirectory(t, dir, head)
			assert.False(t, report.Valid())
			require.NotEmpty(t, report.Findings)
			found := false
			for _, f := range report.Findings {
				found = found || f.GetKind() == c.kind && (c.at == 0 || f.GetSequence() == c.at)
			}
			assert.True(t, found, "want %s at %d, got %v", c.kind, c.at, report.Findings)
		})
	}
}

func rewrite(t *testing.T, path string, change func(string) string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(change(string(raw))), 0o600))
}

// A process that died between the two copies, or within a write, leaves a
// directory that its successor completes.
func TestACrashBetweenTheCopiesIsMended(t *testing.T) {
	t.Parallel()
	s, dir := newAPIServer(t), t.TempDir()
	log, stop := start(t, withDirectory(s, dir))
	appendN(t, log, 0, 3)
	stop()
	whole, err := os.ReadFile(files(t, dir)[0])
	require.NoError(t, err)
	for _, left := range []int{0, 1, 70, len(whole) / 2, len(whole) - 1} {
		require.NoError(t, os.WriteFile(files(t, dir)[0], whole[:left], 0o600))
		log, stop := start(t, withDirectory(s, dir))
		require.Eventually(t, func() bool {
			names := files(t, dir)
			if len(names) == 0 {
				return false
			}
			got, err := os.ReadFile(names[0])
			return err == nil && string(got) == string(whole)
		}, 5*time.Second, time.Millisecond, "cut at %d", left)
		assert.True(t, verify(t, log).Valid())
		stop()
	}
}

func TestADirectoryBelongsToOneProcess(t *testing.T) {
	t.Parallel()
	s, dir := newAPIServer(t), t.TempDir()
	first, stopFirst := start(t, withDirectory(s, dir))
	appendN(t, first, 0, 1)
	second, _ := start(t, withDirectory(s, dir))
	_, err := second.Append(t.Context(), record(1))
	require.ErrorIs(t, err, audit.ErrUnavailable)
	require.ErrorContains(t, err, "in use by another process")
	assert.EqualValues(t, 1, verify(t, first).Head.GetSequence(), "what cannot be in both copies is in none")
	stopFirst()
	require.Eventually(t, func() bool {
		_, err := second.Append(t.Context(), record(1))
		return err == nil
	}, 5*time.Second, 5*time.Millisecond)
	assert.True(t, verify(t, second).Valid())
}

// A cluster that lost its end goes on from the directory's; one that holds another
// chain is refused.
func TestTheDirectoryKnowsWhatTheClusterLost(t *testing.T) {
	t.Parallel()
	s, dir := newAPIServer(t), t.TempDir()
	log, stop := start(t, withDirectory(s, dir))
	appendN(t, log, 0, 5)
	stop()
	s.edit(func(m map[string]*corev1.ConfigMap) { delete(m["rightsizer-audit-00000001"].Data, "r0000000000000005") })
	log, stop = start(t, withDirectory(s, dir))
	head := appendN(t, log, 5, 1)
	assert.EqualValues(t, 6, head.GetSequence())
	report := verify(t, log)
	assert.False(t, report.Valid())
	assert.Equal(t, []string{audit.KindMissing}, kinds(report))
	assert.True(t, verifyDirectory(t, dir).Valid())
	stop()

	foreign := newAPIServer(t)
	log, stop = start(t, options(foreign))
	appendN(t, log, 100, 2)
	stop()
	log, _ = start(t, withDirectory(foreign, dir))
	_, err := log.Append(t.Context(), record(9))
	require.ErrorIs(t, err, audit.ErrUnavailable)
	require.ErrorContains(t, err, "different chains")
}

func TestAFullDiskStopsRecordsAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); errors.Is(err, unix.EPERM) {
		t.Skip("mounting a small file system needs root")
	} else {
		require.NoError(t, err)
	}
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	s := newAPIServer(t)
	log, _ := start(t, withDirectory(s, dir))
	var failure error
	kept := 0
	for ; failure == nil && kept < 1000; kept++ {
		_, failure = log.Append(t.Context(), record(kept))
	}
	require.ErrorIs(t, failure, audit.ErrUnavailable)
	require.ErrorIs(t, failure, unix.ENOSPC)
	var unavailable *audit.UnavailableError
	require.ErrorAs(t, failure, &unavailable)
	assert.Equal(t, audit.PartDirectory, unavailable.Part)
	h := log.Health()
	assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DOWN, h.GetState())
	assert.Contains(t, h.GetReason(), "no space left")

	// Those that follow do not even reach the cluster.
	stored := verify(t, log).Head.GetSequence()
	for range 5 {
		_, err := log.Append(t.Context(), record(0))
		require.ErrorIs(t, err, audit.ErrUnavailable)
	}
	assert.Equal(t, stored, headOf(t, log))

	// Room again: it goes on by itself, and nothing is missing.
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=4m"))
	require.Eventually(t, func() bool { return log.Health().GetState() == rightsizerv1.HealthState_HEALTH_STATE_OK }, 5*time.Second, 5*time.Millisecond)
	head := appendN(t, log, kept, 1)
	report := verifyDirectory(t, dir, head)
	assert.True(t, report.Valid(), report.Findings)
	assert.Equal(t, head.GetSequence(), report.Records)
	assert.True(t, verify(t, log).Valid())
}

// headOf is the number of the last record in the cluster.
func headOf(t *testing.T, log *audit.Log) int64 {
	t.Helper()
	var sequence int64
	require.NoError(t, log.Records(context.Background(), 0, func(r *rightsizerv1.AuditRecord) bool {
		sequence = r.GetSequence()
		return false
	}))
	return sequence
}
