package detect

import (
	"fmt"
	"strconv"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// point is the rule of what has no life.
const point = "nothing: it happened at one moment (POINT)"

// subject names a container at the start of a sentence: "Container app of pod
// web-7d9f".
func subject(c *object.Container, pod *object.Pod) string {
	what := "Container"
	switch c.Kind {
	case rightsizerv1.ContainerKind_CONTAINER_KIND_INIT:
		what = "Init container"
	case rightsizerv1.ContainerKind_CONTAINER_KIND_SIDECAR:
		what = "Sidecar"
	case rightsizerv1.ContainerKind_CONTAINER_KIND_EPHEMERAL:
		what = "Ephemeral container"
	default:
	}
	return what + " " + c.Name + " of pod " + pod.Name
}

// memory writes bytes in binary units: 64 MiB, 1.5 GiB.
func memory(bytes int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	value, unit := float64(bytes), 0
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	digits := 1
	if value == float64(int64(value)) {
		digits = 0
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + " " + units[unit]
}

// span writes a duration in at most two units: 3 s, 4 min 10 s, 2 h 5 min.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	h, m, s := int64(d/time.Hour), int64(d/time.Minute)%60, int64(d/time.Second)%60
	switch {
	case h >= 48:
		return fmt.Sprintf("%d days", h/24)
	case h > 0 && m > 0:
		return fmt.Sprintf("%d h %d min", h, m)
	case h > 0:
		return fmt.Sprintf("%d h", h)
	case m > 0 && s > 0:
		return fmt.Sprintf("%d min %d s", m, s)
	case m > 0:
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d s", s)
}

// times writes a count of restarts.
func times(n int32) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return strconv.FormatInt(int64(n), 10) + " times"
}
