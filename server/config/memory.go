package config

import (
	"bufio"
	"io/fs"
	"math"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// The rule by which the default of max-streams derives from the memory limit.
const (
	// besideStreams is what the watcher, the ring and the rest keep for
	// themselves; it is what the deployment requests.
	besideStreams = 64 << 20
	// perStream is the budget of one open stream with its connection: what
	// server/bench measures of an idle one, some 50 KiB, and as much again for the
	// batch of one whose client takes nothing, since many may stop at once.
	perStream = 128 << 10

	leastStreams = 16
	mostStreams  = 10_000
)

// StreamsWithin is how many event streams a process with this memory limit, in
// bytes, may have open.
func StreamsWithin(limit int64) int {
	return int(min(max((limit-besideStreams)/perStream, leastStreams), mostStreams))
}

// MemoryLimit is what this process may take, in bytes: GOMEMLIMIT or the limit of
// its cgroup, whichever is smaller. 0 says that no limit is known. root is the
// root of the file system.
func MemoryLimit(root fs.FS) int64 {
	limit := debug.SetMemoryLimit(-1) // a negative value only asks
	if cgroup := cgroupLimit(root); cgroup > 0 {
		limit = min(limit, cgroup)
	}
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}

// unlimited is what version 1 of cgroups shows in place of no limit, and beyond
// what any machine has.
const unlimited = 1 << 60

// cgroupLimit is the smallest limit of the cgroups that this process is in, of
// either version; 0 where there is none.
func cgroupLimit(root fs.FS) int64 {
	file, err := root.Open("proc/self/cgroup")
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }()
	least := int64(0)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		// cgroups(7): hierarchy-ID:controller-list:cgroup-path
		fields := strings.SplitN(lines.Text(), ":", 3)
		if len(fields) != 3 {
			continue
		}
		mount, name := "sys/fs/cgroup", "memory.max"
		switch {
		case fields[1] == "": // version 2
		case strings.Contains(","+fields[1]+",", ",memory,"):
			mount, name = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		if limit := leastAlong(root, mount, fields[2], name); limit > 0 && (least == 0 || limit < least) {
			least = limit
		}
	}
	return least
}

// leastAlong is the smallest limit from a cgroup up to the root of its mount. In a
// container the path may be the host's, of which only the mount's root is there.
func leastAlong(root fs.FS, mount, cgroup, name string) int64 {
	least := int64(0)
	for at := path.Clean("/" + cgroup); ; at = path.Dir(at) {
		text, err := fs.ReadFile(root, path.Join(mount, at, name))
		limit, bad := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is no number and no limit
		if err == nil && bad == nil && limit > 0 && limit < unlimited && (least == 0 || limit < least) {
			least = limit
		}
		if at == "/" {
			return least
		}
	}
}
