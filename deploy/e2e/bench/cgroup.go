package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sampling is how often the working set is read. Between two readings the
// kernel's own maximum, which counts cached files too, bounds what was missed.
const sampling = 5 * time.Millisecond

// gauge measures the memory of one process.
type gauge struct {
	dir     string // its cgroup; empty where there is none of its own
	cpuDir  string // that of its CPU, where that is limited
	copied  string // the program that runs in it
	v2      bool
	pid     int
	stop    chan struct{}
	stopped sync.WaitGroup

	mu   sync.Mutex
	peak int64 // working set in bytes
}

// newGauge makes a cgroup, where this process may: v2's, else v1's; with a limit
// in MiB and one in thousandths of a core, 0 for none.
func newGauge(limit, millicores int64) *gauge {
	g := &gauge{stop: make(chan struct{})}
	name := fmt.Sprintf("rightsizer-bench-%d", os.Getpid())
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/memory"} {
		dir := filepath.Join(root, name)
		if os.Mkdir(dir, 0o755) != nil { //nolint:gosec // cgroups have these permissions
			continue
		}
		for usage, v2 := range map[string]bool{"memory.current": true, "memory.usage_in_bytes": false} {
			if _, err := os.Stat(filepath.Join(dir, usage)); err == nil {
				g.dir, g.v2 = dir, v2
				g.restrict(limit)
				g.restrictCPU(name, millicores)
				return g
			}
		}
		_ = os.Remove(dir) // a hierarchy without the memory controller
	}
	return g
}

// restrict has the kernel reclaim files, then kill, beyond that many MiB.
func (g *gauge) restrict(limit int64) {
	if limit == 0 {
		return
	}
	file := "memory.limit_in_bytes"
	if g.v2 {
		file = "memory.max"
	}
	if err := os.WriteFile(filepath.Join(g.dir, file), []byte(strconv.FormatInt(limit<<20, 10)), 0o600); err != nil {
		say("no limit: %v", err)
	}
}

// cpuPeriod is that of quotas, in microseconds: the kernel's default, which kubelets
// keep.
const cpuPeriod = 100_000

// restrictCPU has the kernel stop the process for the rest of a period whose quota
// it has used up.
func (g *gauge) restrictCPU(name string, millicores int64) {
	if millicores == 0 {
		return
	}
	quota := strconv.FormatInt(millicores*cpuPeriod/1000, 10)
	dir, file, value := g.dir, "cpu.max", quota+" "+strconv.Itoa(cpuPeriod)
	if !g.v2 {
		dir, file, value = filepath.Join("/sys/fs/cgroup/cpu", name), "cpu.cfs_quota_us", quota
		_ = os.Mkdir(dir, 0o755) //nolint:gosec // as above
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0o600); err != nil {
		say("no limit of CPU: %v", err)
		return
	}
	g.cpuDir = dir
}

// throttling is what a quota of CPU did so far: of how many periods in which the
// process ran it was stopped in how many, and for how long, over all its threads.
type throttling struct {
	periods, throttled int64
	stood, used        time.Duration
}

func (t throttling) since(before throttling) throttling {
	return throttling{t.periods - before.periods, t.throttled - before.throttled, t.stood - before.stood, t.used - before.used}
}

// throttling is zero where CPU is not limited.
func (g *gauge) throttling() throttling {
	if g.cpuDir == "" {
		return throttling{}
	}
	stat := filepath.Join(g.cpuDir, "cpu.stat")
	t := throttling{periods: fieldOf(stat, "nr_periods"), throttled: fieldOf(stat, "nr_throttled"), stood: time.Duration(fieldOf(stat, "throttled_time"))}
	if g.v2 {
		t.stood = time.Duration(fieldOf(stat, "throttled_usec")) * time.Microsecond
	}
	t.used = processorTime(g.pid)
	return t
}

// processorTime is what a process has used, by its stat file, whose 14th and 15th
// field are ticks of 10 ms.
func processorTime(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// how says what the figures are.
func (g *gauge) how() string {
	switch {
	case g.dir == "":
		return "VmHWM of the process, for want of a cgroup"
	case g.v2:
		return "working set of a cgroup (v2) of its own"
	}
	return "working set of a cgroup (v1) of its own"
}

// command runs a program inside the cgroup from its first page on: a copy of it,
// since the pages of a file are charged to whoever reads them first, and in a
// pod that is the program itself.
func (g *gauge) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	if g.dir == "" {
		return exec.CommandContext(ctx, path, args...) //nolint:gosec // the program that -bin names
	}
	g.copied = fmt.Sprintf("%s.bench-%d", path, os.Getpid())
	enter := []string{"-c", `until [ "$1" = -- ]; do echo $$ > "$1" || exit; shift; done; shift; cp "$1" "$2" && shift && exec "$@"`, "sh"}
	for _, dir := range []string{g.dir, g.cpuDir} {
		if dir != "" {
			enter = append(enter, filepath.Join(dir, "cgroup.procs"))
		}
	}
	enter = append(enter, "--", path, g.copied)
	return exec.CommandContext(ctx, "/bin/sh", append(enter, args...)...) //nolint:gosec // as above, its name quoted
}

// follow keeps the highest working set from now on.
func (g *gauge) follow(pid int) {
	g.pid = pid
	g.stopped.Go(func() {
		for {
			select {
			case <-g.stop:
				return
			case <-time.After(sampling):
			}
			if now := g.workingSet(); now > 0 {
				g.mu.Lock()
				g.peak = max(g.peak, now)
				g.mu.Unlock()
			}
		}
	})
}

// lap is the peak since the last lap, in bytes; without a cgroup that since the
// start.
func (g *gauge) lap() int64 {
	if g.dir == "" {
		return g.ofProcess("VmHWM:")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	peak := g.peak
	g.peak = 0
	return peak
}

// workingSet is what the kubelet counts and the OOM killer cannot get back:
// usage less inactive files. 0 where it cannot be read.
func (g *gauge) workingSet() int64 {
	if g.dir == "" {
		return g.ofProcess("VmRSS:")
	}
	usage, inactive := "memory.usage_in_bytes", "total_inactive_file"
	if g.v2 {
		usage, inactive = "memory.current", "inactive_file"
	}
	return max(g.number(usage)-fieldOf(filepath.Join(g.dir, "memory.stat"), inactive), 0)
}

// charged is the kernel's own maximum, cached files included; 0 where unknown.
func (g *gauge) charged() int64 {
	if g.dir == "" {
		return 0
	}
	if g.v2 {
		return g.number("memory.peak")
	}
	return g.number("memory.max_usage_in_bytes")
}

// resident is the resident set now, in bytes.
func (g *gauge) resident() int64 { return g.ofProcess("VmRSS:") }

func (g *gauge) ofProcess(field string) int64 {
	return fieldOf(fmt.Sprintf("/proc/%d/status", g.pid), field) << 10 // it is in KiB
}

func (g *gauge) number(file string) int64 {
	raw, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	return n
}

// end stops following and removes the cgroup; its process must be gone.
func (g *gauge) end() {
	close(g.stop)
	g.stopped.Wait()
	if g.dir != "" {
		_, _ = os.Remove(g.dir), os.Remove(g.copied) // empty folders and a copy are all that would be left
		if g.cpuDir != g.dir && g.cpuDir != "" {
			_ = os.Remove(g.cpuDir)
		}
	}
}

// fieldOf is the number behind a name in a file of lines, 0 where there is none.
func fieldOf(path, name string) int64 {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close() //nolint:errcheck // only read
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) > 1 && words[0] == name {
			n, _ := strconv.ParseInt(words[1], 10, 64)
			return n
		}
	}
	return 0
}
