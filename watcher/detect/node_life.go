package detect

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	typeNodeRemoved  = "node.removed"
	typeNodeRebooted = "node.rebooted"
	typeSystemOOM    = "node.system_oom"
)

// NodeLife tells nodes that are gone or were started anew.
type NodeLife struct{}

// Docs implements Detector.
func (NodeLife) Docs() []Doc {
	return []Doc{
		{
			Type: typeNodeRemoved, Severity: "info; warning where pods other than those of DaemonSets were still on it",
			Source: "the node is deleted, seen or found out by a list after a lost watch", Details: "NodeLoadDetails",
			Resolves: point,
		},
		{
			Type: typeNodeRebooted, Severity: "warning", Source: "`status.nodeInfo.bootID` changed",
			Details: "NodeRebootDetails", Resolves: point,
		},
	}
}

// Detect implements Detector.
func (NodeLife) Detect(in *NodeInput, out []Finding) []Finding {
	n := in.Cur
	if in.Gone {
		f := Finding{
			Problem: Identify(typeNodeRemoved, in.Cluster, n.UID), Type: typeNodeRemoved, Point: true,
			Severity: info, Reason: "Deleted",
			Message: "Node " + n.Name + " was removed from the cluster", Details: n.loadDetails(),
		}
		if n.Load.Movable > 0 {
			f.Severity = warning
			f.Message += " with " + count(n.Load.Movable, "pod") + " on it"
		}
		return append(out, f)
	}
	p := in.Prev
	if p == nil || p.UID != n.UID || p.BootID == "" || n.BootID == "" || p.BootID == n.BootID {
		return out
	}
	return append(out, Finding{
		Problem: Identify(typeNodeRebooted, in.Cluster, n.UID, n.BootID), Type: typeNodeRebooted, Point: true,
		Severity: warning, Reason: "Rebooted",
		Message: "Node " + n.Name + " was rebooted",
		Details: &rightsizerv1.NodeRebootDetails{BootId: n.BootID, PreviousBootId: p.BootID},
	})
}

// SystemOOM tells kills by the kernel's OOM killer that the node reports. They
// are the only word of a child process that dies while its container lives on.
type SystemOOM struct{}

// topicSystemOOM: the kernel killed a process. The part is its id.
const topicSystemOOM Topic = "system_oom"

// noteLife is how long what a Kubernetes Event said counts as visible: the time
// after which the API server forgets it by default (--event-ttl).
const noteLife = time.Hour

// Docs implements Detector.
func (SystemOOM) Docs() []Doc {
	return []Doc{{
		Type: typeSystemOOM, Severity: "critical",
		Source: "the Kubernetes Events SystemOOM of the kubelet and OOMKilling of the node problem detector; once " +
			"for each process",
		Details: "SystemOomDetails", Resolves: point,
	}}
}

// Detect implements Detector.
func (SystemOOM) Detect(in *NodeInput, out []Finding) []Finding {
	for i := range in.Evidence {
		note := &in.Evidence[i]
		if note.Topic != topicSystemOOM || in.Gone || in.Now.Unix() >= note.Last+inSeconds(noteLife) {
			continue
		}
		process, pid := victim(note.Message)
		// A process id comes again, at the earliest after a reboot. The boot itself is
		// no part of it: a node that reboots soon after is still told what was.
		f := Finding{
			Problem: Identify(typeSystemOOM, in.Cluster, in.Cur.UID, note.Part, unix(note.Began)), Type: typeSystemOOM, Point: true,
			Severity: critical, Occurred: note.First, Reason: note.Reason,
			Message: "The kernel of node " + in.Cur.Name + " killed a process for want of memory",
			Details: &rightsizerv1.SystemOomDetails{Process: process, Pid: pid},
		}
		if process != "" {
			f.Message = fmt.Sprintf("The kernel of node %s killed process %s (pid %d) for want of memory", in.Cur.Name, process, pid)
		}
		out = append(out, f)
	}
	return out
}

// The words of the kubelet (oom_watcher_linux.go) and of the kernel, which the
// node problem detector passes on.
var (
	kubeletVictim = regexp.MustCompile(`victim process: (.*), pid: (\d+)$`)
	kernelVictim  = regexp.MustCompile(`Killed process (\d+) \(([^)]*)\)`)
)

// victim reads the process out of a message; pid 0 where it has none.
func victim(message string) (process string, pid int64) {
	number := ""
	if m := kubeletVictim.FindStringSubmatch(message); m != nil {
		process, number = m[1], m[2]
	} else if m := kernelVictim.FindStringSubmatch(message); m != nil {
		number, process = m[1], m[2]
	}
	pid, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return "", 0
	}
	return clip(process, 256), pid
}

// readNodeEvent sorts the Events of nodes by what they are evidence of.
func readNodeEvent(e *object.KubeEvent) (topic Topic, part string, ok bool) {
	switch e.Reason {
	case "SystemOOM", "OOMKilling":
		_, pid := victim(e.Message)
		return topicSystemOOM, strconv.FormatInt(pid, 10), true
	}
	return "", "", false
}
