package e2e_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// elsewhere are commands of the READMEs that are not run here, by how they begin,
// and what runs them or what is missing.
var elsewhere = map[string]string{
	"query":                       "it asks a Prometheus that watches a cluster for two weeks",
	"rightsizer backtest convert": "the exports of that Prometheus; watcher/recommend/backtest converts such",
	"make ":                       "a target of its own",
	"cd watcher/":                 "make bench",
	"go install ":                 "make e2e builds the same grpcurl",
	"kubectl ":                    "no kubectl is built here; what it does goes through the API in crd_test.go, approval_test.go and cli_test.go",
	"helm ":                       "make test-manifests",
	"ln -s ":                      "cli_test.go makes the link",
	"bin/rightsizer serve ":       "every test does, on ports of its own",
	"rightsizer serve ":           "every test does, on ports of its own",
	"bin/rightsizer record ":      "it takes ten minutes; cli_test.go records for two seconds",
}

// commands are the lines of the sh blocks of a file, without comments.
func commands(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var out []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSpace(regexp.MustCompile(`\s{2,}# .*`).ReplaceAllString(line, ""))
			if line != "" {
				out = append(out, line)
			}
		}
	}
	return out
}

// Each command of the READMEs is run as it is written, but for the address of the
// operator, and for those that elsewhere names.
func TestTheCommandsOfTheReadmes(t *testing.T) {
	o := serve(t, cluster.KubeconfigPath()).ready()
	dir := t.TempDir()
	program := filepath.Join(dir, "bin", "rightsizer")
	require.NoError(t, os.Mkdir(filepath.Dir(program), 0o700))
	require.NoError(t, os.Symlink(o.cmd.Path, program))
	if grpcurl := os.Getenv("GRPCURL"); grpcurl != "" {
		require.NoError(t, os.Symlink(grpcurl, filepath.Join(dir, "bin", "grpcurl")))
	}
	recording, err := filepath.Abs("../../watcher/testdata/recordings/oom.jsonl.gz")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(recording, filepath.Join(dir, "incident.jsonl.gz")))
	samples := strings.TrimSpace(strings.Repeat("100 ", 9*288))
	var packed bytes.Buffer
	pack := gzip.NewWriter(&packed)
	_, err = pack.Write([]byte("series,resource,step_s,capacity,values\nshop/web/app,mem_mib,300,," + samples + "\n"))
	require.NoError(t, err)
	require.NoError(t, pack.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "usage.csv.gz"), packed.Bytes(), 0o600))
	require.NoError(t, os.Symlink("usage.csv.gz", filepath.Join(dir, "usage.csv"))) // compressed or not

	files, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-files", "*.md").Output()
	require.NoError(t, err)
	ran := 0
	for file := range strings.FieldsSeq(string(files)) {
		for _, line := range commands(t, filepath.Join("../..", file)) {
			if isElsewhere(line) {
				continue
			}
			ran++
			out, err := o.runLine(t, dir, line)
			if strings.Contains(line, "rightsizer recommendations") && strings.Contains(out, awaited) {
				continue
			}
			assert.NoErrorf(t, err, "%s: %s\n%s", file, line, out)
			assert.NotContainsf(t, out, `{"code":"`, "%s: %s", file, line) // curl ends well whatever the answer is
		}
	}
	assert.Greater(t, ran, 12)
}

// awaited is what an operator that has just begun says of recommendations; it is an
// answer, too. usage_test.go waits for usage.
const awaited = "the first usage is awaited"

func isElsewhere(line string) bool {
	for begin := range elsewhere {
		if strings.HasPrefix(line, begin) {
			return true
		}
	}
	// Of another operator than that of make run: attacks_test.go shows tokens.
	return strings.Contains(line, "https://operator:9090")
}

// follows is how long a command that goes on may go on.
const follows = 3 * time.Second

// runLine runs a line of a README in a folder that looks like that of the project.
// What goes on by itself is ended, and worked: a stream has begun by then.
func (o *operator) runLine(t *testing.T, dir, line string) (string, error) {
	t.Helper()
	address := strings.TrimPrefix(o.url, "http://")
	script := regexp.MustCompile(`(localhost|127\.0\.0\.1):9090`).ReplaceAllString(line, address)
	if m := regexp.MustCompile(`^(?:bin/)?rightsizer (events|recommendations|remediations|audit)`).FindString(script); m != "" {
		script += " --server=" + o.url
	}
	goesOn := strings.Contains(line, " -f ") || strings.HasSuffix(line, " -f") || strings.Contains(line, "StreamEvents")
	patient := patience
	if goesOn {
		patient = follows
	}
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "exec "+script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "KUBECONFIG=")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if goesOn && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		if strings.Contains(line, "StreamEvents") && !strings.Contains(out.String(), "opened") {
			return out.String(), errors.New("the stream has not begun")
		}
		return out.String(), nil
	}
	return out.String(), err
}
