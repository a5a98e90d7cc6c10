package detect

import (
	"fmt"
	"math"
	"strconv"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const typeExhaustion = "resource.exhaustion"

// Exhaustion tells containers that use nearly all that their limit allows: of
// memory it is what comes before an OOM kill.
type Exhaustion struct{}

// Docs implements Detector.
func (Exhaustion) Docs() []Doc {
	return []Doc{{
		Type:     typeExhaustion,
		Severity: "warning; error for memory from 97 % on (ExhaustionCriticalPercent)",
		Source: "measured working set or CPU of an app container or sidecar from 90 % of its limit on (ExhaustionPercent) " +
			"for 30 s (ExhaustionAfter); memory from ExhaustionCriticalPercent on at once",
		Details:  "UsageDetails",
		Resolves: "it falls by more than 5 percent points below, the container ends, the deletion of the pod",
	}}
}

// Detect implements Detector.
func (Exhaustion) Detect(in *PodInput, out []Finding) []Finding {
	if in.Gone {
		return out
	}
	for i := range in.Use {
		u := &in.Use[i]
		c := running(in.Cur, u)
		if c == nil {
			continue
		}
		if u.Memory.State != LevelCalm {
			out = append(out, exhausted(in, c, u, &u.Memory, "memory"))
		}
		if u.CPU.State != LevelCalm {
			out = append(out, exhausted(in, c, u, &u.CPU, "cpu"))
		}
	}
	return out
}

// measured kinds of containers run side by side for as long as their pod does.
func measured(kind rightsizerv1.ContainerKind) bool {
	return kind == rightsizerv1.ContainerKind_CONTAINER_KIND_APP || kind == rightsizerv1.ContainerKind_CONTAINER_KIND_SIDECAR
}

// running finds the container that a use is of, while the same attempt runs.
func running(pod *object.Pod, u *Use) *object.Container {
	for i := range pod.Containers {
		c := &pod.Containers[i]
		if c.Name == u.Container && measured(c.Kind) &&
			c.State.Kind == object.Running && c.RestartCount == u.Attempt {
			return c
		}
	}
	return nil
}

func exhausted(in *PodInput, c *object.Container, u *Use, l *Level, resource string) Finding {
	f := finding(in, c, u, l, typeExhaustion, resource)
	f.Details = l.details(resource, percentShare(in.Thresholds.ExhaustionPercent))
	f.Reason, f.Message = "CPUNearLimit", fmt.Sprintf("%s uses %s of its CPU limit of %d m", subject(c, in.Cur), percentText(l.Share), l.Bound)
	f.Ending = subject(c, in.Cur) + " is no longer near its CPU limit"
	if resource == "memory" {
		f.Reason = "MemoryNearLimit"
		f.Message = fmt.Sprintf("%s uses %s of its memory limit of %s", subject(c, in.Cur), percentText(l.Share), memory(l.Bound))
		f.Ending = subject(c, in.Cur) + " is no longer near its memory limit"
		if l.State == LevelCritical {
			f.Severity = errored
		}
	}
	return f
}

// finding is what all findings about a container's use have in common.
func finding(in *PodInput, c *object.Container, u *Use, l *Level, eventType, resource string) Finding {
	return Finding{
		Problem: Identify(eventType, in.Cluster, in.Cur.UID, c.Name, resource, strconv.Itoa(int(u.Attempt)), unix(l.Since)),
		Type:    eventType, Ordinal: l.Changes, Severity: warning, Occurred: l.Since, Container: c.Name, Kind: c.Kind,
	}
}

func percentShare(percent int32) float64 { return float64(percent) / 100 }

func percentText(share float32) string {
	return strconv.Itoa(int(math.Round(float64(share)*100))) + " %"
}
