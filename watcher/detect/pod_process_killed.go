package detect

import "fmt"

const typeProcessKilled = "pod.process_oom_killed"

// ProcessKilled tells processes that the kernel killed for want of memory while
// their container lived on, such as one worker of several. No status says so.
type ProcessKilled struct{}

// Docs implements Detector.
func (ProcessKilled) Docs() []Doc {
	return []Doc{{
		Type: typeProcessKilled, Severity: "warning",
		Source: "the source kubelet-throttling: the kubelet's count of OOM kills in the container (`container_oom_events_total`) " +
			"rose, and the container still ran at the poll after",
		Details: "none", Resolves: point,
	}}
}

// Detect implements Detector.
func (ProcessKilled) Detect(in *PodInput, out []Finding) []Finding {
	if in.Gone {
		return out
	}
	for i := range in.Use {
		u := &in.Use[i]
		over := u.Kills.At + inSeconds(noteLife)
		c := running(in.Cur, u)
		if c == nil || u.Kills.At == 0 || in.Now.Unix() >= over {
			continue
		}
		out = append(out, Finding{
			// The count is the node's, and begins anew with the container.
			Problem: Identify(typeProcessKilled, in.Cluster, in.Cur.UID, c.Name, unix(int64(u.Attempt)), unix(u.Kills.Total)),
			Type:    typeProcessKilled, Point: true, Severity: warning, Occurred: u.Kills.At,
			Container: c.Name, Kind: c.Kind, Reason: "OOMKilled",
			Message: subject(c, in.Cur) + " lost " + processes(u.Kills.Number) + " to the kernel's OOM killer and lives on",
			Wake:    over,
		})
	}
	return out
}

func processes(n int64) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprintf("%d processes", n)
}
