package devcluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// State is what a cluster's folder says about it, for `devcluster status`.
type State struct {
	Name       string             `json:"name"`
	Holder     ProcessID          `json:"holder"`   // the process whose end is the cluster's end
	Detached   bool               `json:"detached"` // the holder is a supervisor of ours, so that `down` may end it
	Since      time.Time          `json:"since"`
	Phase      Phase              `json:"phase"`
	Message    string             `json:"message"`
	Kubeconfig string             `json:"kubeconfig"`
	Server     string             `json:"server"`
	Nodes      int                `json:"nodes"`
	Components []ComponentProcess `json:"components"`
}

// ComponentProcess is one running component.
type ComponentProcess struct {
	Name  Component `json:"name"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

// MemoryBytes is the process's proportional set size: what it has in memory,
// pages that several processes share (the one binary's text) counted in parts.
// Zero when the process is gone or another user's.
func (p ComponentProcess) MemoryBytes() int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.PID))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "Pss:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}

// ProcessID names one process for good: a pid alone is used again.
type ProcessID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks between the machine's boot and the process's start
	Boot  string `json:"boot"`  // which boot of the machine
}

// processID reads the identity of a process that runs now.
func processID(pid int) (ProcessID, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ProcessID{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	// proc(5): the second field is the name in parentheses and may hold
	// anything; the rest has no surprises, state first, start time 20th.
	rest := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(rest) < 20 || rest[0] == "Z" {
		return ProcessID{}, fmt.Errorf("identify process %d: %w", pid, os.ErrProcessDone)
	}
	start, err := strconv.ParseUint(rest[19], 10, 64)
	if err != nil {
		return ProcessID{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ProcessID{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	return ProcessID{PID: pid, Start: start, Boot: strings.TrimSpace(string(boot))}, nil
}

// Alive says whether exactly that process still runs.
func (p ProcessID) Alive() bool {
	now, err := processID(p.PID)
	return err == nil && now == p
}

// write puts the state into its folder in one step, so that a reader sees
// either the former or this one.
func (s State) write(path string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the cluster's state: %w", err)
	}
	if err := writeSecret(path+".new", append(data, '\n')); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the cluster's state: %w", err)
	}
	return nil
}

// ErrNoCluster says that there is no cluster of that name.
var ErrNoCluster = errors.New("no such cluster")

// ReadState reads the state of the cluster called name from stateDir; empty
// means the default folder. The error is ErrNoCluster when there is none.
func ReadState(stateDir, name string) (State, error) {
	dir, err := stateFolder(stateDir)
	if err != nil {
		return State{}, err
	}
	return readState(layout{filepath.Join(dir, name)}.state())
}

func readState(path string) (State, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, fmt.Errorf("%w: %s is absent", ErrNoCluster, path)
	}
	if err != nil {
		return State{}, fmt.Errorf("read a cluster's state: %w", err)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("read a cluster's state from %s: %w", path, err)
	}
	return s, nil
}

// ListStates reads the states of all clusters in stateDir; empty means the
// default folder. Clusters whose holder is gone are among them.
func ListStates(stateDir string) ([]State, error) {
	dir, err := stateFolder(stateDir)
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(layout{filepath.Join(dir, "*")}.state())
	if err != nil {
		return nil, fmt.Errorf("list clusters: %w", err)
	}
	var all []State
	for _, path := range paths {
		s, err := readState(path)
		if errors.Is(err, ErrNoCluster) {
			continue // stopped since the listing
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func stateFolder(dir string) (string, error) {
	o, err := Options{StateDir: dir}.withDefaults()
	return o.StateDir, err
}

// claim makes the folder of a new cluster. A folder whose holder is gone is
// removed first; one whose holder lives is an error.
func claim(stateDir, name string) (layout, error) {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return layout{}, fmt.Errorf("make the folder of all clusters: %w", err)
	}
	unlock, err := lockFolder(stateDir)
	if err != nil {
		return layout{}, err
	}
	defer unlock()
	files := layout{filepath.Join(stateDir, name)}
	held, err := readState(files.state())
	switch {
	case err == nil && held.Holder.Alive():
		return layout{}, fmt.Errorf("cluster %q is up already, held by process %d: another name, or `devcluster down --name %s` first, would be right", name, held.Holder.PID, name)
	case err != nil && !errors.Is(err, ErrNoCluster):
		return layout{}, err
	}
	if err := os.RemoveAll(files.dir); err != nil {
		return layout{}, fmt.Errorf("remove what is left of an earlier cluster %q: %w", name, err)
	}
	for _, dir := range files.folders() {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return layout{}, fmt.Errorf("make a folder of cluster %q: %w", name, err)
		}
	}
	self, err := processID(os.Getpid())
	if err != nil {
		return layout{}, err
	}
	// Written under the lock, so that another process never finds the folder
	// without a holder.
	return files, State{Name: name, Holder: self, Since: time.Now(), Phase: Preparing}.write(files.state())
}

// removeStale removes the folder of a cluster whose holder is gone.
func removeStale(stateDir, name string) error {
	unlock, err := lockFolder(stateDir)
	if err != nil {
		return err
	}
	defer unlock()
	files := layout{filepath.Join(stateDir, name)}
	held, err := readState(files.state())
	if err != nil {
		return err
	}
	if held.Holder.Alive() {
		return fmt.Errorf("cluster %q is held by process %d", name, held.Holder.PID)
	}
	if err := os.RemoveAll(files.dir); err != nil {
		return fmt.Errorf("remove what is left of cluster %q: %w", name, err)
	}
	return nil
}

// lockFolder keeps others from claiming and removing folders in dir meanwhile.
func lockFolder(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock the folder of all clusters: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the folder of all clusters: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}
