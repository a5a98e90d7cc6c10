package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

func windows(in ...v1alpha1.Window) *policy.Policy {
	return namespaced("shop", "p", func(p *v1alpha1.RightSizerPolicy) { p.Spec.Windows = in })
}

func at(t require.TestingT, text string) time.Time {
	moment, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return moment
}

func TestWindows(t *testing.T) {
	t.Parallel()
	night := v1alpha1.Window{Name: "night", TimeZone: "Europe/Berlin", Start: "22:00", End: "06:00"}
	gap := v1alpha1.Window{Name: "gap", TimeZone: "Europe/Berlin", Start: "02:30", End: "04:00"}
	twice := v1alpha1.Window{Name: "twice", TimeZone: "Europe/Berlin", Start: "02:30", End: "02:45"}
	friday := v1alpha1.Window{Name: "friday", TimeZone: "America/New_York", Days: []v1alpha1.Weekday{"Fri"}, Start: "23:00", End: "01:00"}
	sales := v1alpha1.Window{Name: "sales", Type: v1alpha1.WindowDeny, TimeZone: "UTC", Start: "00:00", End: "00:00", Days: []v1alpha1.Weekday{"Fri"}}
	for _, c := range []struct {
		name    string
		windows []v1alpha1.Window
		at      string
		open    bool
		why     string
		next    string
	}{
		{"none", nil, "2026-03-04T12:00:00Z", true, "no window", ""},
		{"winter, before", []v1alpha1.Window{night}, "2026-03-04T20:59:59Z", false, "outside", "2026-03-04T21:00:00Z"},
		{"winter, begins", []v1alpha1.Window{night}, "2026-03-04T21:00:00Z", true, "night", ""},
		{"past midnight", []v1alpha1.Window{night}, "2026-03-05T04:59:59Z", true, "night", ""},
		{"ends", []v1alpha1.Window{night}, "2026-03-05T05:00:00Z", false, "outside", "2026-03-05T21:00:00Z"},
		{"summer", []v1alpha1.Window{night}, "2026-07-04T20:00:00Z", true, "night", ""},
		// Berlin, 2026-03-29: 02:00 becomes 03:00, at 01:00 UTC.
		{"the night that is short", []v1alpha1.Window{night}, "2026-03-29T04:00:00Z", false, "outside", "2026-03-29T20:00:00Z"},
		{"starts in the gap: before", []v1alpha1.Window{gap}, "2026-03-29T00:59:59Z", false, "outside", "2026-03-29T01:00:00Z"},
		{"starts in the gap: after", []v1alpha1.Window{gap}, "2026-03-29T01:00:00Z", true, "gap", ""},
		{"starts in the gap: end", []v1alpha1.Window{gap}, "2026-03-29T02:00:00Z", false, "outside", "2026-03-30T00:30:00Z"},
		// Berlin, 2026-10-25: 03:00 becomes 02:00, at 01:00 UTC.
		{"shown twice: the first start", []v1alpha1.Window{twice}, "2026-10-25T00:30:00Z", true, "twice", ""},
		{"shown twice: between", []v1alpha1.Window{twice}, "2026-10-25T01:00:00Z", true, "twice", ""},
		{"shown twice: the last end", []v1alpha1.Window{twice}, "2026-10-25T01:45:00Z", false, "outside", "2026-10-26T01:30:00Z"},
		{"the night that is long", []v1alpha1.Window{night}, "2026-10-25T04:59:59Z", true, "night", ""},
		{"a day of another zone", []v1alpha1.Window{friday}, "2026-03-07T05:30:00Z", true, "friday", ""},
		{"the day after", []v1alpha1.Window{friday}, "2026-03-08T05:30:00Z", false, "outside", "2026-03-14T03:00:00Z"},
		{"denied", []v1alpha1.Window{sales}, "2026-03-06T12:00:00Z", false, "window sales denies it", "2026-03-07T00:00:00Z"},
		{"denied only on that day", []v1alpha1.Window{sales}, "2026-03-05T12:00:00Z", true, "no window", ""},
		{"denied inside what allows", []v1alpha1.Window{night, sales}, "2026-03-06T02:00:00Z", false, "sales denies", "2026-03-07T00:00:00Z"},
		{"never", []v1alpha1.Window{{Name: "always", Type: v1alpha1.WindowDeny, TimeZone: "UTC", Start: "00:00", End: "00:00"}}, "2026-03-06T02:00:00Z", false, "always denies", "0001-01-01T00:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := windows(c.windows...)
			require.NoError(t, p.Err)
			open, why, next := p.Open(at(t, c.at))
			assert.Equal(t, c.open, open)
			assert.Contains(t, why, c.why)
			if c.next != "" {
				assert.True(t, next.Equal(at(t, c.next)), "%s is not %s", next.UTC(), c.next)
			}
		})
	}
}

// When it is said to open next it is open, and it is closed until then.
func TestNextOpening(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "America/Santiago"}
	clocks := []string{"00:00", "02:00", "02:30", "03:00", "12:15", "23:59"}
	rapid.Check(t, func(t *rapid.T) {
		var in []v1alpha1.Window
		for range rapid.IntRange(1, 3).Draw(t, "windows") {
			in = append(in, v1alpha1.Window{
				Name: "w", Type: rapid.SampledFrom([]v1alpha1.WindowType{"Allow", "Deny"}).Draw(t, "type"),
				TimeZone: rapid.SampledFrom(zones).Draw(t, "zone"),
				Start:    rapid.SampledFrom(clocks).Draw(t, "start"), End: rapid.SampledFrom(clocks).Draw(t, "end"),
				Days: rapid.SliceOfDistinct(rapid.SampledFrom([]v1alpha1.Weekday{"Mon", "Sat", "Sun"}), rapid.ID[v1alpha1.Weekday]).Draw(t, "days"),
			})
		}
		p := windows(in...)
		require.NoError(t, p.Err)
		// A year, in which every zone changes its clocks.
		moment := day.Add(time.Duration(rapid.Int64Range(0, 365*24*60).Draw(t, "minute")) * time.Minute)
		open, _, next := p.Open(moment)
		if open {
			require.Equal(t, moment, next)
			return
		}
		last := moment.Add(8 * 24 * time.Hour)
		if !next.IsZero() {
			opened, _, _ := p.Open(next)
			require.True(t, opened)
			last = next
		}
		for m := moment; m.Before(last); m = m.Add(41 * time.Minute) {
			opened, _, _ := p.Open(m)
			require.False(t, opened, m)
		}
	})
}

func TestWindowsThatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	for zone, want := range map[string]string{
		"Mars/Olympus": `spec.windows[w]: timeZone "Mars/Olympus" is not known: must be an IANA name such as Europe/Berlin`,
		"Local":        `timeZone "Local" is not known`,
	} {
		p := windows(v1alpha1.Window{Name: "w", TimeZone: zone, Start: "22:00", End: "06:00"})
		require.ErrorContains(t, p.Err, want)
		open, _, next := p.Open(day)
		assert.False(t, open)
		assert.True(t, next.IsZero())
	}
	assert.ErrorContains(t, windows(v1alpha1.Window{Name: "w", Start: "24:00", End: "06:00"}).Err, `start: "24:00": must be a time of day from 00:00 to 23:59`)
}
