package detect

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// Severities by their short names.
const (
	info     = rightsizerv1.Severity_SEVERITY_INFO
	warning  = rightsizerv1.Severity_SEVERITY_WARNING
	errored  = rightsizerv1.Severity_SEVERITY_ERROR
	critical = rightsizerv1.Severity_SEVERITY_CRITICAL
)

// Reasons of a waiting container, as the kubelet says them.
const (
	reasonErrImagePull        = "ErrImagePull"
	reasonImagePullBackOff    = "ImagePullBackOff"
	reasonRegistryUnavailable = "RegistryUnavailable"
	reasonInvalidImageName    = "InvalidImageName"
	reasonErrImageNeverPull   = "ErrImageNeverPull"
)

// downOr is critical where the workload serves and has no ready pod left.
func downOr(in *PodInput, otherwise rightsizerv1.Severity) rightsizerv1.Severity {
	if in.Workload.down() {
		return critical
	}
	return otherwise
}

// downRule is downOr in words.
const downRule = "; critical where the workload serves and has no ready pod left"

// moment is a time of the cluster; nil where it does not say.
func moment(seconds int64) *timestamppb.Timestamp {
	if seconds <= 0 {
		return nil
	}
	return timestamppb.New(time.Unix(seconds, 0))
}

// since is how long ago a time of the cluster is; nil where it does not say.
func since(seconds int64, now time.Time) *durationpb.Duration {
	if seconds <= 0 {
		return nil
	}
	return durationpb.New(max(now.Sub(time.Unix(seconds, 0)).Truncate(time.Second), 0))
}

// inSeconds rounds up: the API's times have no finer resolution.
func inSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}

// clip cuts at a character.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}

// sentence ends what others wrote as a part of ours does: without a full stop.
func sentence(s string) string {
	return clip(strings.TrimRight(strings.TrimSpace(s), ". "), 400)
}

// startedAfter says that a container of the pod ran after the moment, which
// shows that what a start needs was there.
func startedAfter(pod *object.Pod, moment int64) bool {
	for i := range pod.Containers {
		c := &pod.Containers[i]
		if c.State.Kind == object.Running && c.State.StartedAt >= moment && c.State.StartedAt > 0 ||
			c.State.Terminated != nil && c.State.Terminated.StartedAt >= moment && c.State.Terminated.StartedAt > 0 {
			return true
		}
	}
	return false
}
