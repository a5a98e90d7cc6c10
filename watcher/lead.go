package watcher

import (
	"context"
	"time"

	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/usage"
)

const (
	// leadLook is how often it is asked whether this replica leads.
	leadLook = time.Second
	// leadSettles is how long a new leader waits for the last checkpoints of the one
	// before, which writes them when it ends.
	leadSettles = 5 * time.Second
)

// notLeading is the reason of health lines on a replica that does not measure.
const notLeading = "another replica leads, and measures"

// startMeasuring begins with what was kept, before anything is observed, so that a
// kill that is still visible is known to be counted; on a replica that does not lead
// it says so.
func (w *Watcher) startMeasuring(ctx context.Context) {
	if !w.opts.Usage.Leading() {
		w.layDown()
		return
	}
	w.restoreWithin(ctx)
}

// keepLead measures while this replica leads, and writes checkpoints: what changed,
// every 15 minutes, and once more at the end.
func (w *Watcher) keepLead(ctx context.Context) {
	c := &w.usage.checkpoints
	ticker := w.opts.Clock.NewTicker(leadLook)
	defer ticker.Stop()
	now := w.opts.Clock.Now()
	var ledSince time.Time // zero while another leads
	if !w.usage.idle.Load() {
		ledSince = now
	}
	write, retry := now.Add(checkpointEvery), now.Add(checkpointRetry)
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkpointWait)
			defer cancel()
			if c.restored.Load() && !w.usage.idle.Load() {
				w.writeCheckpoints(last)
			}
			return
		case <-ticker.C():
		}
		now = w.opts.Clock.Now()
		switch leads, idle := w.opts.Usage.Leading(), w.usage.idle.Load(); {
		case !leads:
			if ledSince = (time.Time{}); !idle {
				w.layDown()
			}
		case ledSince.IsZero():
			ledSince = now
		case idle && now.Sub(ledSince) >= leadSettles:
			w.takeOver(ctx)
			write, retry = now.Add(checkpointEvery), now.Add(checkpointRetry)
		case idle || c.namespace == "":
		case !c.restored.Load() && !now.Before(retry):
			retry = now.Add(checkpointRetry)
			w.restore(ctx)
		case c.restored.Load() && !now.Before(write):
			write = now.Add(checkpointEvery)
			w.writeCheckpoints(ctx)
		}
	}
}

// takeOver begins to measure where another replica did. What it kept replaces what
// is known here, but for the kills that it had no time to keep.
func (w *Watcher) takeOver(ctx context.Context) {
	c := &w.usage.checkpoints
	if c.namespace != "" {
		kills := w.usage.kills()
		w.usage.forgetBook()
		c.restored.Store(false)
		c.read, c.written = restoring{}, [checkpointShards]uint64{}
		w.restoreWithin(ctx)
		for key, of := range kills {
			w.usage.addKills(key, of)
		}
	}
	w.setUsageLines(healthStarting, "not asked yet")
	w.usage.mu.Lock()
	w.usage.began = w.opts.Clock.Now()
	w.usage.mu.Unlock()
	w.usage.idle.Store(false)
}

// layDown ends measuring: another replica does. What was told from usage ends here,
// for nobody here knows how it goes on.
func (w *Watcher) layDown() {
	m := &w.usage
	var told []ref
	m.mu.Lock()
	m.idle.Store(true)
	for uid, p := range m.pods {
		told = append(told, ref{kindPod, p.key, uid})
	}
	for name := range m.nodes {
		if n := w.store.Node(name); n != nil {
			told = append(told, ref{kindNode, object.Key{Name: name}, n.UID})
		}
	}
	for uid, f := range m.fits {
		if c := w.store.Controller(uid); c != nil && len(f.fits) > 0 {
			told = append(told, ref{c.Kind, c.Key, uid})
		}
	}
	clear(m.pods)
	clear(m.nodes)
	clear(m.fits)
	clear(m.ran)
	clear(m.silent)
	m.heard = false
	m.mu.Unlock()
	w.setUsageLines(healthOK, notLeading)
	if c := &m.checkpoints; c.namespace != "" {
		c.say(w.opts.Clock.Now(), healthOK, notLeading)
	}
	w.mu.Lock()
	for _, r := range told {
		w.again(r)
	}
	w.mu.Unlock()
	for _, s := range m.sources {
		s.mu.Lock()
		s.state.DownSince, s.state.Failed, s.state.Cause = 0, 0, ""
		s.mu.Unlock()
		w.tellSource(&s.mu, &s.state)
	}
	if p := &m.past; p.prometheus != nil {
		p.mu.Lock()
		p.state.DownSince, p.state.Failed, p.state.Cause = 0, 0, ""
		p.mu.Unlock()
		w.tellSource(&p.mu, &p.state)
	}
}

// kills are what is known of OOM kills, the latest few of each container.
func (m *measured) kills() map[usage.Key][]usage.OOM {
	out := make(map[usage.Key][]usage.OOM)
	m.book.Range(func(k usage.Key, s *usage.Sketch) bool {
		for i := range usage.OOMMarks {
			if kill, ok := s.OOM(i); ok {
				out[k] = append(out[k], kill)
			}
		}
		return true
	})
	return out
}

// addKills adds the kills that are newer than all that the book has of a container.
func (m *measured) addKills(key usage.Key, kills []usage.OOM) {
	held, _ := m.book.Get(key)
	newest, _ := held.OOM(0)
	for _, kill := range kills {
		if kill.Time > newest.Time {
			m.book.ObserveOOM(key, kill.Time, kill.LimitBytes)
		}
	}
}
