package correlate

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// maxMembers is how many members an incident lists, by the schema.
const maxMembers = 256

// Options configure a Correlator. A zero value means its default.
type Options struct {
	// Linger is how long a POINT keeps an incident open after it occurred, from
	// 1 s to 24 h. Default 10 min: as long as the links of the rules reach.
	Linger time.Duration
	// Keep is how long a resolved incident stays listed after its last change,
	// from 10 min (the links reach that far back) to 7 days. Default 1 h.
	Keep time.Duration
	// Settle is the least time between two returns of an incident that only
	// changed in detail, up to 1 min. Default 1 s; negative is none.
	Settle time.Duration
	// MaxIncidents bounds the incidents that are published and listed, from 1 to
	// 100,000. Default 1,024. Beyond it the resolved ones go first, oldest change
	// first; if all are open, further ones wait for room.
	MaxIncidents int
	// MaxProblems bounds the remembered problems, from 16 to 1,000,000. Default
	// 8,192, about 9 MiB at the most. Beyond it, what is over goes first; if
	// everything goes on, further problems are not correlated.
	MaxProblems int
}

// DefaultOptions returns the defaults.
func DefaultOptions() Options { return Options{}.withDefaults() }

func (o Options) withDefaults() Options {
	o.Linger = cmp.Or(o.Linger, 10*time.Minute)
	o.Keep = cmp.Or(o.Keep, time.Hour)
	o.Settle = max(cmp.Or(o.Settle, time.Second), 0)
	o.MaxIncidents = cmp.Or(o.MaxIncidents, 1024)
	o.MaxProblems = cmp.Or(o.MaxProblems, 8192)
	return o
}

// Validate says what is out of bounds.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(o.Linger >= time.Second && o.Linger <= 24*time.Hour, "Linger is %s, must be 1s to 24h", o.Linger)
	check(o.Keep >= window && o.Keep <= 7*24*time.Hour, "Keep is %s, must be 10m to 168h", o.Keep)
	check(o.Settle <= time.Minute, "Settle is %s, must be at most 1m", o.Settle)
	check(o.MaxIncidents >= 1 && o.MaxIncidents <= 100_000, "MaxIncidents is %d, must be 1 to 100,000", o.MaxIncidents)
	check(o.MaxProblems >= 16 && o.MaxProblems <= 1_000_000, "MaxProblems is %d, must be 16 to 1,000,000", o.MaxProblems)
	return errors.Join(errs...)
}

// Stats tells what is remembered and what the bounds cost.
type Stats struct {
	// Open and Resolved are the incidents that are listed.
	Open, Resolved int
	// Problems are those remembered.
	Problems int
	// Unlisted are incidents that wait for room in the list, now.
	Unlisted int
	// Dropped counts resolved incidents that left the list before Keep was over.
	Dropped uint64
	// Full says that there is no room for the problem of a further event, now, but
	// for what is over.
	Full bool
	// Refused counts events of problems that could not be remembered.
	Refused uint64
	// Failed counts events that could not be read: a mistake of whoever made them.
	Failed uint64
}
