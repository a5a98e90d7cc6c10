package devcluster

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Phase is a stretch of a cluster's start.
type Phase string

// The phases, in order. Downloading and Building are absent when the binary is
// there already.
const (
	Preparing   Phase = "preparing"   // ports, certificates, kubeconfig
	Downloading Phase = "downloading" // modules of the control plane
	Building    Phase = "building"    // the control plane's binary
	Starting    Phase = "starting"    // its components
	Ready       Phase = "ready"       // all of it answers
)

// Progress is one report of how far a start is.
type Progress struct {
	Phase   Phase
	Message string        // what is being done, a phrase without a full stop
	Done    int           // how many of Total are done
	Total   int           // zero when there is nothing to count
	Unit    string        // what is counted: packages, modules
	About   bool          // Total is an estimate
	Left    time.Duration // estimated time until the phase ends; zero when unknown
}

// String is the report as one sentence for people.
func (p Progress) String() string {
	var b strings.Builder
	b.WriteString("devcluster")
	if p.Phase == Ready {
		b.WriteString(": ")
	} else {
		b.WriteString(" is ")
	}
	b.WriteString(p.Message)
	if p.Total > 0 {
		about := ""
		if p.About {
			about = "about "
		}
		fmt.Fprintf(&b, ": %d of %s%d %s", p.Done, about, p.Total, p.Unit)
	}
	if left := roughly(p.Left); left != "" {
		fmt.Fprintf(&b, ", %s left", left)
	}
	return b.String()
}

// roughly says a duration no more precisely than an estimate deserves.
func roughly(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < 10*time.Second:
		return "a few seconds"
	case d < 90*time.Second:
		return fmt.Sprintf("about %d s", int(d.Round(10*time.Second)/time.Second))
	default:
		return fmt.Sprintf("about %d min", int((d+30*time.Second)/time.Minute))
	}
}

// logInterval is how often a printer that writes to a log repeats itself within
// one phase.
const logInterval = 5 * time.Second

// ProgressPrinter returns a function for Options.Progress that writes for
// people: on a terminal one line that is rewritten in place, otherwise a line
// for each new step and one every few seconds within a step.
func ProgressPrinter(w io.Writer, terminal bool) func(Progress) {
	p := &printer{w: w, terminal: terminal, now: time.Now}
	return p.print
}

type printer struct {
	w        io.Writer
	terminal bool
	now      func() time.Time

	mu    sync.Mutex
	last  Progress
	wrote time.Time
}

func (p *printer) print(progress Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := progress.String()
	if p.terminal {
		// Without automatic wrap: what is too long for the terminal is cut, where
		// it would otherwise fill a line with each report. Then clear the rest.
		_, _ = fmt.Fprintf(p.w, "\r\x1b[?7l%s\x1b[K\x1b[?7h", line)
		if progress.Phase == Ready {
			_, _ = fmt.Fprintln(p.w)
		}
		return
	}
	sameStep := progress.Phase == p.last.Phase && progress.Message == p.last.Message
	if sameStep && p.now().Sub(p.wrote) < logInterval {
		return
	}
	p.last, p.wrote = progress, p.now()
	_, _ = fmt.Fprintln(p.w, line)
}

// estimator says how long a job of known weight still takes, from how fast it
// went so far.
type estimator struct {
	total   float64       // weight of the whole job
	tail    time.Duration // time that the end takes whatever the weight: the link
	started time.Time
}

// left returns the estimate, or zero before there is anything to go by: under
// 3 s or 1 % of the job.
func (e estimator) left(done float64, now time.Time) time.Duration {
	elapsed := now.Sub(e.started)
	if e.total <= 0 || done < e.total/100 || elapsed < 3*time.Second {
		return 0
	}
	rest := max(0, e.total-done)
	return time.Duration(float64(elapsed)*rest/done) + e.tail
}
