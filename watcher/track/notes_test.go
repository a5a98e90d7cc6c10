package track_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/track"
)

// What Kubernetes Events said is merged by cause, bounded, and forgotten with
// the object.
func TestNotes(t *testing.T) {
	notes := track.NewNotes(func(string) bool { return false })
	say := func(uid, part string, first, last int64, count int32) {
		notes.Add(uid, &detect.Note{Topic: "t", Part: part, First: first, Last: last, Count: count, Row: 1, Since: last})
	}
	say("a", "app", 10, 10, 1)
	say("a", "app", 10, 20, 2)
	say("a", "app", 15, 30, 1) // another object of the same series
	require.Len(t, notes.Of("a"), 1)
	assert.Equal(t, &detect.Note{Topic: "t", Part: "app", First: 10, Last: 30, Count: 3, Row: 3, Since: 10}, notes.Of("a").Find("t", "app"))
	say("a", "app", 40, 40, 1)
	assert.Equal(t, int64(10), notes.Of("a").Find("t", "app").First, "the same row in other words")
	say("a", "app", 4000, 4000, 1)
	assert.Equal(t, int64(4000), notes.Of("a").Find("t", "app").First, "another series")
	for i := range 100 {
		say("a", strconv.Itoa(i), int64(5000+i), int64(5000+i), 1)
	}
	assert.Len(t, notes.Of("a"), 32)
	assert.Nil(t, notes.Of("a").Find("t", "app"), "the one that was silent longest left")
	for i := range 3 * track.MaxNotes {
		say(fmt.Sprint("uid", i), "", 1, 1, 1)
	}
	assert.LessOrEqual(t, notes.Len(), track.MaxNotes)
	assert.Empty(t, notes.Of("a"))
	last := fmt.Sprint("uid", 3*track.MaxNotes-1)
	assert.Len(t, notes.Of(last), 1)
	notes.Forget(last)
	assert.Empty(t, notes.Of(last))
}

// hear has something said of an object at a moment.
func hear(notes *track.Notes[string], uid string, at int) {
	notes.Add(uid, &detect.Note{Topic: "t", First: int64(at), Last: int64(at), Count: 1, Row: 1, Since: int64(at)})
}

// What is heard of stays, however much else is heard; what is silent leaves, and
// is counted.
func TestWhatIsHeardStays(t *testing.T) {
	notes := track.NewNotes(func(string) bool { return false })
	hear(notes, "silent", 0)
	for i := range 3 * track.MaxNotes {
		if i%1000 == 0 {
			hear(notes, "heard", i/1000)
		}
		hear(notes, strconv.Itoa(i), i/1000)
	}
	assert.Empty(t, notes.Of("silent"))
	require.Len(t, notes.Of("heard"), 1)
	assert.Equal(t, int32(13), notes.Of("heard").Find("t", "").Count)
	assert.Equal(t, track.MaxNotes, notes.Len())
	assert.Equal(t, track.Dropped{All: 2*track.MaxNotes + 2}, notes.Dropped())
}

// What is forgotten with its object takes no room from what is there.
func TestTheGoneTakeNoRoom(t *testing.T) {
	notes := track.NewNotes(func(string) bool { return false })
	hear(notes, "long-lived", 0)
	for i := range 3 * track.MaxNotes {
		uid := strconv.Itoa(i)
		hear(notes, uid, i)
		notes.Forget(uid)
	}
	assert.Len(t, notes.Of("long-lived"), 1)
	assert.Equal(t, 1, notes.Len())
	assert.Zero(t, notes.Dropped())
}

// Who has a problem that goes on keeps its notes as long as others can give room.
func TestWhatGoesOnIsRememberedLongest(t *testing.T) {
	notes := track.NewNotes(func(uid string) bool { return strings.HasPrefix(uid, "open") })
	for i := range 100 {
		hear(notes, fmt.Sprint("open", i), i)
	}
	for i := range 2 * track.MaxNotes {
		hear(notes, fmt.Sprint("fine", i), i)
	}
	for i := range 100 {
		assert.Len(t, notes.Of(fmt.Sprint("open", i)), 1, i)
	}
	for i := range track.MaxNotes {
		hear(notes, fmt.Sprint("open-", i), i)
	}
	hear(notes, "open too", 0)
	assert.Len(t, notes.Of("open too"), 1, "where all go on, one leaves all the same")
	assert.Equal(t, track.MaxNotes, notes.Len())
}
