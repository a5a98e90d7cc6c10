package detect

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strconv"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// ID is an identity: the first 16 bytes of a SHA-256 over length-prefixed
// fields. Its text form has 32 hexadecimal digits.
type ID [16]byte

// String is the text form.
func (id ID) String() string {
	return hex.EncodeToString(id[:])
}

// Identify hashes fields. The length in front of each keeps ("ab", "c") and
// ("a", "bc") apart.
func Identify(fields ...string) ID {
	h := sha256.New()
	for _, f := range fields {
		writeField(h, f)
	}
	var id ID
	copy(id[:], h.Sum(nil))
	return id
}

func writeField(h hash.Hash, field string) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(field)))
	// A hash.Hash never returns an error.
	_, _ = h.Write(length[:])
	_, _ = h.Write([]byte(field))
}

// EventID is the id of one event of a problem: hash(problem_id, phase,
// ordinal).
func EventID(problem ID, phase rightsizerv1.Phase, ordinal int32) ID {
	return Identify(problem.String(), phase.String(), strconv.FormatInt(int64(ordinal), 10))
}

// CorrelationID is shared by the events of one workload and episode. The
// episode is the revision of the workload (pod template hash, controller
// revision, the Job of a CronJob, a bare pod): an OOM kill and the crash loop
// that it feeds agree on it, so do all replicas and every process, and a
// rollout begins a new one. What has no workload is correlated by itself.
func CorrelationID(cluster string, s *Subject) ID {
	episode := s.Episode
	if episode == "" {
		episode = s.UID
	}
	if s.Workload.Kind == "" {
		return Identify("correlation", cluster, s.Namespace, s.Kind, s.Name, episode)
	}
	return Identify("correlation", cluster, s.Namespace, s.Workload.Kind, s.Workload.Name, episode)
}

// endOfContainer identifies one end of a container in both forms in which the
// API shows it: first in `state`, after the restart in `lastState`. Without a
// containerID the number of the attempt stands in its place. The type keeps
// apart the causes that different detectors see in one end.
func endOfContainer(eventType string, in *PodInput, c *object.Container, t *object.Terminated, attempt int32) ID {
	run := t.ContainerID
	if run == "" {
		run = "attempt:" + strconv.FormatInt(int64(attempt), 10)
	}
	return Identify(eventType, in.Cluster, in.Cur.UID, c.Name, run, strconv.FormatInt(t.FinishedAt, 10))
}
