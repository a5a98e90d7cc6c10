package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// nameDigits is how long a name is: 80 bits, which do not meet by chance.
const nameDigits = 20

// managerPrefix begins the field manager of every effect.
const managerPrefix = "rightsizer-"

// Key is what decisions of one row have in common.
type Key struct {
	Cluster     string
	WorkloadUID string
	// Container is empty for an action on the whole workload.
	Container string
	Action    v1alpha1.ActionKind
}

// Name is the name of a decision: 20 hexadecimal digits. The length in front of
// each field keeps ("ab", "c") and ("a", "bc") apart.
func Name(k Key, episode string) string {
	h := sha256.New()
	for _, field := range []string{k.Cluster, k.WorkloadUID, k.Container, string(k.Action), episode} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(field)))
		_, _ = h.Write(length[:]) // a hash never fails
		_, _ = h.Write([]byte(field))
	}
	return hex.EncodeToString(h.Sum(nil))[:nameDigits]
}

// Manager is the field manager under which a decision's effects are written.
func Manager(decision string) string { return managerPrefix + decision }

// episodeEvery is shorter than the time for which a decision is kept, divided by how
// many of them a namespace holds.
const episodeEvery = 10 * time.Minute

// NoEpisode is the number of the episode before the first one of now: names are not
// used again after what had them is deleted, or an effect of then would be taken for
// one of now.
func NoEpisode(now time.Time) int { return int(now.Unix() / int64(episodeEvery/time.Second)) }

// Episode is the number of an episode as it is written.
func Episode(number int) string { return strconv.Itoa(number) }

// EpisodeNumber reads it; 0 where it is none of ours.
func EpisodeNumber(episode string) int {
	n, err := strconv.Atoi(episode)
	if err != nil || n < 1 {
		return 0
	}
	return n
}
