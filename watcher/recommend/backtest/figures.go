package backtest

// Figures are what a run found. All rates are over the scored part alone.
type Figures struct {
	// OOMPer1000ContainerDays is how many OOM kills there were in 1,000
	// container-days.
	OOMPer1000ContainerDays float64 `json:"oom_per_1000_container_days"`
	// OOMDayPercent is the share of container-days with an OOM kill.
	OOMDayPercent float64 `json:"oom_day_percent"`
	// MemorySlackPercent is the mean of (L - min(u, L)) / L over the samples.
	MemorySlackPercent float64 `json:"memory_slack_percent"`
	// MemoryLimitToUsage is the sum of L over the sum of min(u, L).
	MemoryLimitToUsage float64 `json:"memory_limit_to_usage"`
	// CPUUnderPercent is the share of samples above the request.
	CPUUnderPercent float64 `json:"cpu_under_percent"`
	// CPUDeficitPercent is the sum of what was above the request over the sum of
	// use.
	CPUDeficitPercent float64 `json:"cpu_deficit_percent"`
	// CPUSlackPercent is the mean of (R - u)+ / R over the samples.
	CPUSlackPercent float64 `json:"cpu_slack_percent"`
	// ChangesPerContainerDay counts changes of both resources.
	ChangesPerContainerDay float64 `json:"changes_per_container_day"`
	// MemoryResizesPerContainerDay counts those of memory.
	MemoryResizesPerContainerDay float64 `json:"memory_resizes_per_container_day"`
	// Series is how many there were, ContainerDays how many of their days (of the
	// grid, from its beginning) have a scored sample.
	Series        int     `json:"series"`
	ContainerDays float64 `json:"container_days"`
}

// Tally are the sums behind the figures; those of several series add up.
type Tally struct {
	Series, Days, OOMs, OOMDays    float64
	MemorySamples, MemorySlack     float64
	MemoryLimit, MemoryUsed        float64
	CPUSamples, CPUUnder, CPUSlack float64
	CPUDeficit, CPUUsed            float64
	CPUChanges, MemoryResizes      float64
}

// Add adds another's sums.
func (t *Tally) Add(o *Tally) {
	t.Series += o.Series
	t.Days += o.Days
	t.OOMs += o.OOMs
	t.OOMDays += o.OOMDays
	t.MemorySamples += o.MemorySamples
	t.MemorySlack += o.MemorySlack
	t.MemoryLimit += o.MemoryLimit
	t.MemoryUsed += o.MemoryUsed
	t.CPUSamples += o.CPUSamples
	t.CPUUnder += o.CPUUnder
	t.CPUSlack += o.CPUSlack
	t.CPUDeficit += o.CPUDeficit
	t.CPUUsed += o.CPUUsed
	t.CPUChanges += o.CPUChanges
	t.MemoryResizes += o.MemoryResizes
}

// Figures computes them; a share of nothing is 0.
func (t *Tally) Figures() Figures {
	over := func(a, b float64) float64 {
		if b == 0 {
			return 0
		}
		return a / b
	}
	return Figures{
		OOMPer1000ContainerDays:      1000 * over(t.OOMs, t.Days),
		OOMDayPercent:                100 * over(t.OOMDays, t.Days),
		MemorySlackPercent:           100 * over(t.MemorySlack, t.MemorySamples),
		MemoryLimitToUsage:           over(t.MemoryLimit, t.MemoryUsed),
		CPUUnderPercent:              100 * over(t.CPUUnder, t.CPUSamples),
		CPUDeficitPercent:            100 * over(t.CPUDeficit, t.CPUUsed),
		CPUSlackPercent:              100 * over(t.CPUSlack, t.CPUSamples),
		ChangesPerContainerDay:       over(t.CPUChanges+t.MemoryResizes, t.Days),
		MemoryResizesPerContainerDay: over(t.MemoryResizes, t.Days),
		Series:                       int(t.Series), ContainerDays: t.Days,
	}
}
