package policy

import (
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // time zones are known in an image without them, too

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// horizon is how far ahead an opening is looked for: every window comes again
// within a week.
const horizon = 8

// clock is a time of day.
type clock struct{ hour, minute int }

// window is a time of the week.
type window struct {
	name  string
	deny  bool
	zone  *time.Location
	days  [7]bool
	start clock
	end   clock
	// overnight says that it ends on the day after it began.
	overnight bool
}

var weekdays = map[v1alpha1.Weekday]time.Weekday{
	"Sun": time.Sunday, "Mon": time.Monday, "Tue": time.Tuesday, "Wed": time.Wednesday,
	"Thu": time.Thursday, "Fri": time.Friday, "Sat": time.Saturday,
}

func newWindow(in *v1alpha1.Window) (window, error) {
	w := window{name: in.Name, deny: in.Type == v1alpha1.WindowDeny, zone: time.UTC}
	// LoadLocation takes "Local" for this machine's zone, which means nothing to
	// whoever wrote the policy.
	zone, err := time.LoadLocation(in.TimeZone)
	if err != nil || in.TimeZone == "Local" {
		return w, fmt.Errorf("timeZone %q is not known: must be an IANA name such as Europe/Berlin", in.TimeZone)
	}
	w.zone = zone
	if w.start, err = parseClock(in.Start); err != nil {
		return w, fmt.Errorf("start: %w", err)
	}
	if w.end, err = parseClock(in.End); err != nil {
		return w, fmt.Errorf("end: %w", err)
	}
	w.overnight = w.end.hour*60+w.end.minute <= w.start.hour*60+w.start.minute
	for _, day := range in.Days {
		number, ok := weekdays[day]
		if !ok {
			return w, fmt.Errorf("day %q: must be one of Mon, Tue, Wed, Thu, Fri, Sat, Sun", day)
		}
		w.days[number] = true
	}
	if len(in.Days) == 0 {
		w.days = [7]bool{true, true, true, true, true, true, true}
	}
	return w, nil
}

func parseClock(text string) (clock, error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return clock{}, fmt.Errorf("%q: must be a time of day from 00:00 to 23:59", text)
	}
	return clock{t.Hour(), t.Minute()}, nil
}

// span is when the window that begins on a date is, false where none does.
func (w *window) span(year int, month time.Month, day int) (start, end time.Time, ok bool) {
	date := time.Date(year, month, day, 12, 0, 0, 0, time.UTC)
	if !w.days[date.Weekday()] {
		return start, end, false
	}
	start = onWall(date, w.start, w.zone, false)
	if w.overnight {
		date = date.AddDate(0, 0, 1)
	}
	return start, onWall(date, w.end, w.zone, true), true
}

// contains says whether a moment is inside. Only what began today or on one of
// the two days before can reach it: a window lasts at most a day and a gap.
func (w *window) contains(t time.Time) bool {
	local := t.In(w.zone)
	for back := range 3 {
		year, month, day := local.AddDate(0, 0, -back).Date()
		if start, end, ok := w.span(year, month, day); ok && !t.Before(start) && t.Before(end) {
			return true
		}
	}
	return false
}

// onWall is when the clock on the wall of a zone shows a time of day on a date.
// A time that is shown twice is the first of both, or the last; one that is never
// shown is the first moment after the gap.
func onWall(date time.Time, at clock, zone *time.Location, last bool) time.Time {
	wall := time.Date(date.Year(), date.Month(), date.Day(), at.hour, at.minute, 0, 0, time.UTC)
	// The offsets before and after any change of clocks near that time.
	_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
	_, after := wall.Add(24 * time.Hour).In(zone).Zone()
	var shown []time.Time
	for _, offset := range []int{before, after} {
		moment := wall.Add(-time.Duration(offset) * time.Second)
		if _, shows := moment.In(zone).Zone(); shows == offset {
			shown = append(shown, moment)
		}
	}
	if len(shown) == 0 {
		start, _ := wall.Add(-time.Duration(before) * time.Second).In(zone).ZoneBounds()
		return start.UTC()
	}
	slices.SortFunc(shown, time.Time.Compare)
	if last {
		return shown[len(shown)-1]
	}
	return shown[0]
}

// Open says whether the policy's windows let actions be carried out at a moment;
// where not, which window or lack of one is in the way, and when they next do:
// the zero time where that is not within a week.
func (p *Policy) Open(t time.Time) (open bool, why string, next time.Time) {
	open, why = p.openAt(t)
	if open {
		return true, why, t
	}
	for _, moment := range p.edges(t) {
		if ok, _ := p.openAt(moment); ok {
			return false, why, moment
		}
	}
	return false, why, time.Time{}
}

func (p *Policy) openAt(t time.Time) (bool, string) {
	if p.Err != nil {
		return false, "the policy cannot be followed: " + p.Err.Error()
	}
	allowed, named := "", false
	for i := range p.windows {
		w := &p.windows[i]
		if !w.deny {
			named = true
		}
		if !w.contains(t) {
			continue
		}
		if w.deny {
			return false, "window " + w.name + " denies it"
		}
		allowed = w.name
	}
	switch {
	case allowed != "":
		return true, "window " + allowed + " allows it"
	case named:
		return false, "outside of every window that allows it"
	}
	return true, "no window is in the way"
}

// edges are the moments after t at which a window begins or ends, in order.
func (p *Policy) edges(t time.Time) []time.Time {
	var out []time.Time
	for i := range p.windows {
		w := &p.windows[i]
		local := t.In(w.zone)
		for ahead := -2; ahead <= horizon; ahead++ {
			year, month, day := local.AddDate(0, 0, ahead).Date()
			start, end, ok := w.span(year, month, day)
			if !ok {
				continue
			}
			for _, moment := range []time.Time{start, end} {
				if moment.After(t) {
					out = append(out, moment)
				}
			}
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}
