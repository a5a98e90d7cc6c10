package detect

import "fmt"

const typeThrottled = "pod.cpu_throttled"

// CPUThrottled tells containers that run into their CPU limit again and again.
type CPUThrottled struct{}

// Docs implements Detector.
func (CPUThrottled) Docs() []Doc {
	return []Doc{{
		Type: typeThrottled, Severity: "warning",
		Source: "the source kubelet-throttling: from 25 % of the quota's periods on (ThrottledPercent) the container was held back, " +
			"for 1 min (PressureAfter)",
		Details:  "UsageDetails",
		Resolves: "it falls by more than 5 percent points below, or below half of a threshold under 10 %, the container ends, the deletion of the pod",
	}}
}

// Detect implements Detector.
func (CPUThrottled) Detect(in *PodInput, out []Finding) []Finding {
	if in.Gone {
		return out
	}
	for i := range in.Use {
		u := &in.Use[i]
		c := running(in.Cur, u)
		if c == nil || u.Throttling.State == LevelCalm {
			continue
		}
		f := finding(in, c, u, &u.Throttling, typeThrottled, "cpu")
		f.Reason = "CPUQuota"
		f.Message = fmt.Sprintf("%s was held back by its CPU limit in %s of the periods", subject(c, in.Cur), percentText(u.Throttling.Share))
		f.Ending = subject(c, in.Cur) + " is no longer held back by its CPU limit"
		f.Details = u.Throttling.details("cpu", percentShare(in.Thresholds.ThrottledPercent))
		out = append(out, f)
	}
	return out
}
