package devcluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// controlPlaneFolder is where the module of the binary lies in the repository.
const controlPlaneFolder = "deploy/devcluster/controlplane"

// kubernetesVersion is what the API server says it is. Go modules carry no
// version stamp, so the linker gets it from here; a test holds it to go.mod.
const kubernetesVersion = "v1.37.2"

// buildEnvironment makes the build cheap, measured on two cores:
//   - the compiler collects garbage rarely (GOGC), within a bound for small
//     machines (GOMEMLIMIT);
//   - no cgo, so no C compiler and no second form of net and os/user;
//   - go.work and the caller's GOFLAGS stay out, for one key means one binary.
var buildEnvironment = []string{"CGO_ENABLED=0", "GOGC=800", "GOMEMLIMIT=2GiB", "GOWORK=off", "GOFLAGS="}

// buildFlags are go build's and go list's. DWARF is left out (-dwarf=false), and so
// is the optimizer (-N -l) where nobody asks for it: that saves a third of the
// compile time, and the components idle for most of their life here.
func buildFlags(optimized bool) []string {
	compiler := "-gcflags=all=-N -l -dwarf=false"
	if optimized {
		compiler = "-gcflags=all=-dwarf=false"
	}
	return []string{"-mod=readonly", "-trimpath", "-buildvcs=false", compiler, "-ldflags=" + linkerFlags()}
}

func linkerFlags() string {
	parts := strings.Split(strings.TrimPrefix(kubernetesVersion, "v"), ".")
	flags := []string{"-s", "-w"}
	for _, p := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X", p+".gitVersion="+kubernetesVersion,
			"-X", p+".gitMajor="+parts[0],
			"-X", p+".gitMinor="+parts[1],
			"-X", p+".gitTreeState=clean")
	}
	return strings.Join(flags, " ")
}

// source is the controlplane module and where its binary belongs.
type source struct {
	dir       string // of the module
	goVersion string
	optimized bool
	buildDir  string // CACHE/<key>, one for each form the binary may have
}

// binary is the path of the built control plane.
func (s source) binary() string { return filepath.Join(s.buildDir, "controlplane") }

// built says whether the binary is there.
func (s source) built() bool {
	info, err := os.Stat(s.binary())
	return err == nil && info.Mode().IsRegular()
}

// findSource finds the module (in o.SourceDir, or upwards from the working directory
// where that is empty) and computes its key.
func findSource(ctx context.Context, o BuildOptions) (source, error) {
	var err error
	dir := o.SourceDir
	if dir == "" {
		if dir, err = searchUpwards(); err != nil {
			return source{}, err
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return source{}, fmt.Errorf("source folder: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), buildEnvironment...)
	version, err := cmd.Output()
	if err != nil {
		return source{}, fmt.Errorf("ask the go command for its version (Go 1.26 or newer has to be in PATH to build the control plane): %w", withStderr(err))
	}
	s := source{dir: dir, goVersion: strings.TrimSpace(string(version)), optimized: o.Optimized}
	key, err := s.key()
	if err != nil {
		return source{}, err
	}
	s.buildDir = filepath.Join(o.CacheDir, key)
	return s, nil
}

// key is a hash of everything that the binary follows from.
func (s source) key() (string, error) {
	h := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		data, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			return "", fmt.Errorf("read the source of the control plane: %w", err)
		}
		_, _ = fmt.Fprintf(h, "%s %d\n%s\n", name, len(data), data)
	}
	_, _ = fmt.Fprintf(h, "%s\n%q\n%q\n", s.goVersion, buildFlags(s.optimized), buildEnvironment)
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// searchUpwards looks for the module from the working directory upwards: a
// nested module cannot be embedded into this one.
func searchUpwards() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working directory: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		for _, candidate := range []string{filepath.Join(dir, controlPlaneFolder), filepath.Join(dir, "controlplane")} {
			if _, err := os.Stat(filepath.Join(candidate, "go.mod")); err == nil {
				return candidate, nil
			}
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no %s at or above %s: run inside the repository, or say where the folder is (Options.SourceDir, --source)", controlPlaneFolder, start)
		}
	}
}

// withStderr adds what a command that failed wrote to its standard error.
func withStderr(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}
