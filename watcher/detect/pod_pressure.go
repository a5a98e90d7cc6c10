package detect

import "fmt"

// Pressure tells containers whose tasks wait for a resource a good part of the
// time, as the kernel measures it (PSI).
type Pressure struct{}

// Docs implements Detector.
func (Pressure) Docs() []Doc {
	doc := func(resource, words string) Doc {
		return Doc{
			Type: "pod.pressure." + resource, Severity: "warning",
			Source: "the source kubelet-pressure (Kubernetes 1.34 and later, cgroup v2): from 20 % of the time on (PressurePercent) at " +
				"least one task waited for " + words + ", for 1 min (PressureAfter)",
			Details:  "UsageDetails",
			Resolves: "it falls by more than 5 percent points below, or below half of a threshold under 10 %, the container ends, the deletion of the pod",
		}
	}
	return []Doc{doc("memory", "memory"), doc("cpu", "CPU"), doc("io", "the disk")}
}

// Detect implements Detector.
func (Pressure) Detect(in *PodInput, out []Finding) []Finding {
	if in.Gone {
		return out
	}
	for i := range in.Use {
		u := &in.Use[i]
		c := running(in.Cur, u)
		if c == nil {
			continue
		}
		for _, about := range []struct {
			resource, words string
			level           *Level
		}{{"memory", "memory", &u.MemoryPressure}, {"cpu", "CPU", &u.CPUPressure}, {"io", "the disk", &u.IOPressure}} {
			if about.level.State == LevelCalm {
				continue
			}
			f := finding(in, c, u, about.level, "pod.pressure."+about.resource, about.resource)
			f.Reason = "PressureStall"
			f.Message = fmt.Sprintf("%s waited for %s in %s of the time", subject(c, in.Cur), about.words, percentText(about.level.Share))
			f.Ending = subject(c, in.Cur) + " hardly waits for " + about.words + " any more"
			f.Details = about.level.details(about.resource, percentShare(in.Thresholds.PressurePercent))
			out = append(out, f)
		}
	}
	return out
}
