package devcluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// BuildOptions says where the control plane is built from and to. Its fields
// are those of Options with the same names.
type BuildOptions struct {
	SourceDir string
	CacheDir  string
	Optimized bool
	Progress  func(Progress)
}

// Build makes sure that the control plane's binary is in the cache and returns
// its path: at once when it is there, after some minutes otherwise. Several
// processes may call it; one builds, the others wait. When ctx ends, so do the
// build's processes, and nothing but the go command's own caches remains.
func Build(ctx context.Context, o BuildOptions) (string, error) {
	var err error
	if o.CacheDir, err = defaultCacheDir(o.CacheDir); err != nil {
		return "", err
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	s := newSpawner()
	defer s.close()
	return build(ctx, s, o)
}

// build is Build with every field of o filled in.
func build(ctx context.Context, s *spawner, o BuildOptions) (string, error) {
	src, err := findSource(ctx, o)
	if err != nil {
		return "", err
	}
	if src.built() {
		return src.binary(), nil
	}
	if err := os.MkdirAll(src.buildDir, 0o700); err != nil {
		return "", fmt.Errorf("make the folder of the control plane's binary: %w", err)
	}
	unlock, err := lockBuild(ctx, src, o.Progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	if src.built() { // by whoever held the lock
		return src.binary(), nil
	}
	b := &builder{spawner: s, src: src, report: o.Progress, work: filepath.Join(src.buildDir, "work")}
	if err := b.run(ctx); err != nil {
		return "", fmt.Errorf("build the control plane in %s: %w", src.dir, err)
	}
	return src.binary(), nil
}

// lockBuild waits until no other process builds the same binary.
func lockBuild(ctx context.Context, src source, report func(Progress)) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(src.buildDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the build's lock: %w", err)
	}
	err = waitFor(ctx, 500*time.Millisecond, func() (bool, error) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			report(Progress{Phase: Building, Message: "waiting for another process that builds the control plane"})
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the build: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing lets the lock go
}

// builder is one build under the lock.
type builder struct {
	spawner *spawner
	src     source
	report  func(Progress)
	work    string // temporary files; ours alone under the lock
}

func (b *builder) run(ctx context.Context) (err error) {
	// What a killed build left is removed here, what this one makes below.
	if err := os.RemoveAll(b.work); err != nil {
		return fmt.Errorf("remove the remains of an earlier build: %w", err)
	}
	if err := os.Mkdir(b.work, 0o700); err != nil {
		return fmt.Errorf("make a folder for temporary files: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.work)) }()
	packages, err := b.list(ctx)
	if err != nil {
		return err
	}
	out := filepath.Join(b.work, "controlplane")
	if err := b.compile(ctx, packages, out); err != nil {
		return err
	}
	if err := os.Rename(out, b.src.binary()); err != nil {
		return fmt.Errorf("put the finished binary in its place: %w", err)
	}
	return nil
}

// list returns the packages that go into the binary with their weights. The go
// command downloads the modules it needs for that, which is reported.
func (b *builder) list(ctx context.Context) (map[string]float64, error) {
	total, err := modulesInSum(filepath.Join(b.src.dir, "go.sum"))
	if err != nil {
		return nil, err
	}
	progress := Progress{Phase: Downloading, Message: "resolving the control plane's modules"}
	b.report(progress)
	var out bytes.Buffer
	err = b.goCommand(ctx, &out, func(line string) {
		if strings.HasPrefix(line, "go: downloading ") {
			progress.Message, progress.Unit, progress.About = "downloading modules", "modules", true
			progress.Done++
			progress.Total = max(total, progress.Done)
			b.report(progress)
		}
	}, append([]string{"list", "-deps", "-f", "{{.ImportPath}}\t{{.Dir}}\t{{range .GoFiles}}{{.}} {{end}}"}, append(buildFlags(b.src.optimized), ".")...)...)
	if err != nil {
		return nil, fmt.Errorf("resolve the packages: %w", err)
	}
	return weigh(&out)
}

// modulesInSum counts the modules that go.sum knows the content of: all that
// may have to be downloaded, the tests' own included, hence an upper bound.
func modulesInSum(path string) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("count modules: %w", err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) == 3 && !strings.HasSuffix(fields[1], "/go.mod") {
			n++
		}
	}
	return n, nil
}

// weigh reads go list's lines. A package's weight, a measure of how long it
// takes to compile, is its source in bytes plus a constant for starting the
// compiler.
func weigh(list io.Reader) (map[string]float64, error) {
	const base = 20_000
	weights := map[string]float64{}
	scanner := bufio.NewScanner(list)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		fields := strings.Split(scanner.Text(), "\t")
		if len(fields) != 3 {
			continue
		}
		weight := float64(base)
		for file := range strings.FieldsSeq(fields[2]) {
			if info, err := os.Stat(filepath.Join(fields[1], file)); err == nil {
				weight += float64(info.Size())
			}
		}
		weights[fields[0]] = weight
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read the list of packages: %w", err)
	}
	return weights, nil
}

// linkTime is what the link takes on two cores, for the estimate.
const linkTime = 12 * time.Second

// compile runs go build. With -v it names each package when it begins to
// compile it; those that lie in the build cache it does not name, so the count
// is of packages begun, and jumps when much was cached.
func (b *builder) compile(ctx context.Context, weights map[string]float64, out string) error {
	var total, done float64
	for _, w := range weights {
		total += w
	}
	e := estimator{total: total, tail: linkTime, started: time.Now()}
	progress := Progress{Phase: Building, Message: "building the control plane", Total: len(weights), Unit: "packages"}
	b.report(progress)
	var failure []string
	err := b.goCommand(ctx, io.Discard, func(line string) {
		weight, known := weights[line]
		if !known {
			if line != "" && !strings.HasPrefix(line, "#") {
				failure = append(failure, line)
			}
			return
		}
		progress.Done++
		done += weight
		progress.Left = e.left(done, time.Now())
		if progress.Done == progress.Total {
			progress.Message, progress.Left = "linking the control plane", linkTime
		}
		b.report(progress)
	}, append([]string{"build", "-v", "-o", out}, append(buildFlags(b.src.optimized), ".")...)...)
	if err != nil {
		return errors.Join(err, errors.New(strings.Join(failure[max(0, len(failure)-20):], "\n")))
	}
	return nil
}

// goCommand runs the go command in the module's folder, gives each line of its
// standard error to onLine, and ends its whole process group when ctx ends.
func (b *builder) goCommand(ctx context.Context, stdout io.Writer, onLine func(string), args ...string) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "go", args...) //nolint:gosec // G204: the arguments are ours; endGroup ends it
	cmd.Dir = b.src.dir
	cmd.Env = append(os.Environ(), append(buildEnvironment, "GOTMPDIR="+b.work)...)
	cmd.Stdout = stdout
	lines, writer := io.Pipe()
	cmd.Stderr = writer
	if err := b.spawner.start(cmd); err != nil {
		return fmt.Errorf("start the go command: %w", err)
	}
	var (
		wg    sync.WaitGroup
		ended = make(chan struct{})
		tail  string // the last line, which says why when the command fails
	)
	wg.Go(func() {
		scanner := bufio.NewScanner(lines)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			tail = scanner.Text()
			onLine(tail)
		}
		_, _ = io.Copy(io.Discard, lines) // a line too long must not block the command
	})
	wg.Go(func() { endGroup(ctx, cmd.Process.Pid, ended) })
	err := cmd.Wait()
	close(ended)
	_ = writer.Close()
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("go %s: %w: %s", args[0], err, tail)
	}
	return nil
}

// endGroup ends a process group when ctx ends before the group's leader does:
// with SIGINT, on which the go command removes its temporary files, then with
// SIGKILL.
func endGroup(ctx context.Context, leader int, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	_ = syscall.Kill(-leader, syscall.SIGINT)
	select {
	case <-ended:
	case <-time.After(3 * time.Second):
	}
	_ = syscall.Kill(-leader, syscall.SIGKILL) // compilers that ignored the first
}
