package history

import "slices"

// Metric is what can be asked for.
type Metric struct {
	Name, Unit, Description string
	// Labels of its series.
	Labels []string

	// node says that it is of nodes, part what of them.
	node bool
	part string
	// mean and max are stats; of sizes, size is the index plus 1.
	mean, max Stat
	size      int
	share     bool
}

// The units.
const (
	unitMillis = "millicores"
	unitBytes  = "bytes"
	unitRatio  = "ratio"
	unitCount  = "count"
)

var (
	containerLabels = []string{"container", "kind", "namespace", "workload"}
	nodeLabels      = []string{"node"}
)

// metrics by name.
var metrics = []Metric{
	{Name: "container_cpu_limit", Unit: unitMillis, Description: "CPU limits in force.", size: 3},
	{Name: "container_cpu_pressure", Unit: unitRatio, Description: "Share of the time in which a task waited for CPU.", mean: CPUPressure, max: CPUPressure, share: true},
	{Name: "container_cpu_recommendation", Unit: unitMillis, Description: "CPU requests as recommended.", size: 5},
	{Name: "container_cpu_request", Unit: unitMillis, Description: "CPU requests in force.", size: 1},
	{Name: "container_cpu_throttled", Unit: unitRatio, Description: "Share of the CPU quota's periods in which the container was held back.", mean: ThrottledMean, max: ThrottledMax, share: true},
	{Name: "container_cpu_usage", Unit: unitMillis, Description: "CPU in use.", mean: CPUMean, max: CPUMax},
	{Name: "container_io_pressure", Unit: unitRatio, Description: "Share of the time in which a task waited for the disk.", mean: IOPressure, max: IOPressure, share: true},
	{Name: "container_memory_limit", Unit: unitBytes, Description: "Memory limits in force.", size: 4},
	{Name: "container_memory_pressure", Unit: unitRatio, Description: "Share of the time in which a task waited for memory.", mean: MemoryPressure, max: MemoryPressure, share: true},
	{Name: "container_memory_recommendation", Unit: unitBytes, Description: "Memory requests as recommended.", size: 6},
	{Name: "container_memory_request", Unit: unitBytes, Description: "Memory requests in force.", size: 2},
	{Name: "container_memory_usage", Unit: unitBytes, Description: "Working set: memory that the kernel cannot take back.", mean: MemoryMean, max: MemoryMax},
	{Name: "container_pods", Unit: unitCount, Description: "Pods in which the container was measured.", mean: Pods, max: Pods},
	{Name: "node_cpu_allocatable", Unit: unitMillis, Description: "CPU that pods may request of the node.", node: true, size: 1},
	{Name: "node_cpu_limits", Unit: unitMillis, Description: "CPU limits of the pods on the node, together.", node: true, part: Limited, mean: CPUMean, max: CPUMax},
	{Name: "node_cpu_pressure", Unit: unitRatio, Description: "Share of the time in which a task on the node waited for CPU.", node: true, mean: CPUPressure, max: CPUPressure, share: true},
	{Name: "node_cpu_requests", Unit: unitMillis, Description: "CPU requests of the pods on the node, together.", node: true, part: Requested, mean: CPUMean, max: CPUMax},
	{Name: "node_cpu_usage", Unit: unitMillis, Description: "CPU in use on the node.", node: true, mean: CPUMean, max: CPUMax},
	{Name: "node_io_pressure", Unit: unitRatio, Description: "Share of the time in which a task on the node waited for the disk.", node: true, mean: IOPressure, max: IOPressure, share: true},
	{Name: "node_memory_allocatable", Unit: unitBytes, Description: "Memory that pods may request of the node.", node: true, size: 2},
	{Name: "node_memory_limits", Unit: unitBytes, Description: "Memory limits of the pods on the node, together.", node: true, part: Limited, mean: MemoryMean, max: MemoryMax},
	{Name: "node_memory_pressure", Unit: unitRatio, Description: "Share of the time in which a task on the node waited for memory.", node: true, mean: MemoryPressure, max: MemoryPressure, share: true},
	{Name: "node_memory_requests", Unit: unitBytes, Description: "Memory requests of the pods on the node, together.", node: true, part: Requested, mean: MemoryMean, max: MemoryMax},
	{Name: "node_memory_usage", Unit: unitBytes, Description: "Working set of the node.", node: true, mean: MemoryMean, max: MemoryMax},
}

// Metrics lists what can be asked for, by name.
func Metrics() []Metric {
	out := slices.Clone(metrics)
	for i := range out {
		out[i].Labels = out[i].labels()
	}
	return out
}

func (m *Metric) labels() []string {
	if m.node {
		return slices.Clone(nodeLabels)
	}
	return slices.Clone(containerLabels)
}

func find(name string) *Metric {
	for i := range metrics {
		if metrics[i].Name == name {
			return &metrics[i]
		}
	}
	return nil
}

// label returns a label of a series.
func (k *Key) label(name string) string {
	switch name {
	case "namespace":
		return k.Namespace
	case "kind":
		return k.Kind
	case "workload":
		return k.Workload
	case "container":
		return k.Container
	case "node":
		return k.Node
	}
	return ""
}
