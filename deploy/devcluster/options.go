package devcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// Options says what cluster is wanted. The zero value is a cluster of five
// nodes with a name of its own.
type Options struct {
	// Name tells clusters of one user apart and names the cluster's folder: a
	// DNS label of at most 40 characters. Empty means a name made from this
	// process's id, which suits tests.
	Name string

	// Nodes is how many simulated nodes there are, 1 to 1000. Zero means 5.
	Nodes int

	// Progress, when set, is told what is going on. See ProgressPrinter for one
	// that writes for people.
	Progress func(Progress)

	// SourceDir is the folder of the controlplane module. Empty means that it is
	// looked for upwards from the working directory.
	SourceDir string

	// CacheDir holds the built binary. Empty means rightsizer/devcluster in
	// os.UserCacheDir.
	CacheDir string

	// Optimized has the control plane built as it ships. It takes half as long again
	// to build, and is for those who measure: without, the compiler's optimizer is
	// left out.
	Optimized bool

	// StateDir holds one folder for each running cluster. Empty means clusters
	// in CacheDir.
	StateDir string

	// APIServerArgs are added to kube-apiserver's command line; a flag given
	// here wins over ours.
	APIServerArgs []string

	// AuditPolicy is an audit.k8s.io/v1 Policy in YAML. When set, kube-apiserver
	// writes what it selects, one JSON event a line, to Cluster.AuditLogPath.
	AuditPolicy string

	// Stages are further documents of kwok in YAML, played beside ours: Stages, or
	// where ports are forwarded to.
	Stages []string

	// MetricResolution is how often metrics-server asks the nodes for usage, at
	// least 10 s. Zero means 10 s. Usage of a new pod shows after two rounds.
	MetricResolution time.Duration
}

var validName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`)

// withDefaults returns the options with every empty field filled in, or all
// that is wrong with them.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	if o.Name == "" {
		o.Name = fmt.Sprintf("p%d-%s", os.Getpid(), randomSuffix())
	}
	if err := ValidateName(o.Name); err != nil {
		errs = append(errs, err)
	}
	if o.Nodes == 0 {
		o.Nodes = 5
	}
	if o.Nodes < 1 || o.Nodes > 1000 {
		errs = append(errs, fmt.Errorf("nodes: %d is out of range, 1 to 1000 would be right", o.Nodes))
	}
	if o.MetricResolution == 0 {
		o.MetricResolution = 10 * time.Second
	}
	if o.MetricResolution < 10*time.Second {
		errs = append(errs, fmt.Errorf("metric resolution: %s is too short, metrics-server takes 10s or more", o.MetricResolution))
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	var err error
	if o.CacheDir, err = defaultCacheDir(o.CacheDir); err != nil {
		errs = append(errs, err)
	}
	if o.StateDir == "" {
		o.StateDir = filepath.Join(o.CacheDir, "clusters")
	}
	if o.StateDir, err = filepath.Abs(o.StateDir); err != nil {
		errs = append(errs, fmt.Errorf("state folder: %w", err))
	}
	return o, errors.Join(errs...)
}

// ValidateName says whether a cluster may be called that.
func ValidateName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("cluster name %q: at most 40 of a-z, 0-9 and '-', beginning and ending with a letter or digit, would be right", name)
	}
	return nil
}

// defaultCacheDir returns dir as an absolute path, or the folder of ours in the
// user's cache folder when dir is empty.
func defaultCacheDir(dir string) (string, error) {
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the user's cache folder (HOME or XDG_CACHE_HOME says where it is): %w", err)
		}
		dir = filepath.Join(cache, "rightsizer", "devcluster")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("cache folder: %w", err)
	}
	return abs, nil
}
