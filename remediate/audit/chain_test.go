package audit_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/remediate/audit"
)

// links makes the lines of a chain, and the hash of the last.
func links(t require.TestingT, n int) (texts []string, last string) {
	var sequence int64
	for i := range n {
		r := record(i)
		r.Time = timestamppb.Now()
		var err error
		var text string
		sequence, last, text, err = audit.ChainLine(sequence, last, r)
		require.NoError(t, err)
		texts = append(texts, text)
	}
	return texts, last
}

// Any single edit of what is stored is found: a byte, a line left out, a line
// twice, two lines swapped, a foreign line.
func TestAnySingleEditIsFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		texts, hash := links(t, n)
		known := map[int64]string{int64(n): hash}
		require.True(t, audit.CheckLines(texts, known).Valid())
		i := rapid.IntRange(0, n-1).Draw(t, "line")
		edited := slices.Clone(texts)
		switch kind := rapid.SampledFrom([]string{"byte", "insert", "cut", "remove", "twice", "swap", "foreign"}).Draw(t, "edit"); kind {
		case "byte":
			raw := []byte(edited[i])
			at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
			raw[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
			edited[i] = string(raw)
		case "insert":
			at := rapid.IntRange(0, len(edited[i])).Draw(t, "at")
			edited[i] = edited[i][:at] + string(rune(rapid.IntRange(1, 127).Draw(t, "char"))) + edited[i][at:]
		case "cut":
			at := rapid.IntRange(0, len(edited[i])-1).Draw(t, "at")
			edited[i] = edited[i][:at] + edited[i][at+1:]
		case "remove":
			edited = slices.Delete(edited, i, i+1)
		case "twice":
			edited = slices.Insert(edited, rapid.IntRange(0, n).Draw(t, "to"), texts[i])
		case "swap":
			j := rapid.IntRange(0, n-1).Draw(t, "other")
			if i == j {
				return
			}
			edited[i], edited[j] = edited[j], edited[i]
		case "foreign":
			other, _ := links(t, n+1) // the same records at other times
			if other[i] == texts[i] {
				return
			}
			edited[i] = other[i]
		}
		report := audit.CheckLines(edited, known)
		require.False(t, report.Valid(), "the edit was not found")
		require.NotEmpty(t, report.Findings)
	})
}

// The place that a finding names is that of the edit.
func TestAFindingNamesThePlace(t *testing.T) {
	t.Parallel()
	texts, _ := links(t, 6)
	texts[3] = strings.Replace(texts[3], "OOM", "oom", 1)
	report := audit.CheckLines(texts, nil)
	require.Len(t, report.Findings, 1, "one edit, one finding")
	assert.EqualValues(t, 4, report.Findings[0].GetSequence())
	assert.Equal(t, audit.KindEdited, report.Findings[0].GetKind())

	texts, _ = links(t, 6)
	report = audit.CheckLines(slices.Delete(texts, 2, 4), nil)
	require.Len(t, report.Findings, 1)
	assert.EqualValues(t, 3, report.Findings[0].GetSequence())
	assert.Equal(t, "records 3 to 4 are not there", report.Findings[0].GetMessage())
}

func TestFindingsAreBounded(t *testing.T) {
	t.Parallel()
	report := audit.CheckLines(slices.Repeat([]string{"x"}, 1000), nil)
	assert.Len(t, report.Findings, 256)
	assert.EqualValues(t, 744, report.Omitted)
	assert.EqualValues(t, 1000, report.Faults)
}

func FuzzParse(f *testing.F) {
	texts, _ := links(f, 2)
	for _, text := range texts {
		f.Add(text)
	}
	f.Add(strings.Repeat("0", 64) + " {}")
	f.Fuzz(func(t *testing.T, text string) {
		record, err := audit.ParseLine(text)
		if err == nil {
			require.Len(t, record.GetHash(), 64)
			require.Positive(t, record.GetSequence())
		}
		audit.CheckLines([]string{texts[0], text, texts[1]}, nil)
	})
}
