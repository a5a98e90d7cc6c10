package watcher

import (
	"cmp"
	"time"

	"github.com/rightsizer/rightsizer/watcher/detect"
	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/recommend"
)

// judgeEvery is how often the sizes of one workload are held against its usage:
// what is told lasts for an hour, and a sample changes little.
const judgeEvery = 5 * time.Minute

// sizesKept is for how long the sizes of what is not watched are remembered after the
// last sample of it: nobody says when it is deleted.
const sizesKept = time.Hour

// workloadFit is how well the containers of one workload fit; of one that is not
// watched, since when they have their sizes alone.
type workloadFit struct {
	judged time.Time
	fits   []detect.Fit
	sizes  []sizeInForce
}

// sizeInForce is what a container has, and since when, as far as that was seen: in
// Unix seconds, 0 is not known.
type sizeInForce struct {
	container                 string
	held                      object.Allotment
	cpuChanged, memoryChanged int64
}

// note takes what a container has now.
func (f *workloadFit) note(container string, held object.Allotment, now time.Time) {
	for i := range f.sizes {
		s := &f.sizes[i]
		if s.container != container {
			continue
		}
		if s.held.Requests.CPUMillis != held.Requests.CPUMillis || s.held.Limits.CPUMillis != held.Limits.CPUMillis {
			s.cpuChanged = now.Unix()
		}
		if s.held.Requests.MemoryBytes != held.Requests.MemoryBytes || s.held.Limits.MemoryBytes != held.Limits.MemoryBytes {
			s.memoryChanged = now.Unix()
		}
		s.held = held
		return
	}
	f.sizes = append(f.sizes, sizeInForce{container: container, held: held})
}

// noteSizes takes what the containers of a pod have now.
func (m *measured) noteSizes(uid string, pod *object.Pod, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.fits[uid]
	if f == nil {
		return
	}
	for i := range pod.Containers {
		if c := counted(pod, pod.Containers[i].Name); c == &pod.Containers[i] {
			f.note(c.Name, c.InForce(), now)
		}
	}
}

// sinceWhen tells a recommendation when the sizes of a container were changed last.
func (m *measured) sinceWhen(uid, container string, in *recommend.Input) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.fits[uid]
	if f == nil {
		return
	}
	f.note(container, in.Current, in.Now)
	for i := range f.sizes {
		if s := &f.sizes[i]; s.container == container {
			if s.cpuChanged != 0 {
				in.CPUChanged = time.Unix(s.cpuChanged, 0)
			}
			if s.memoryChanged != 0 {
				in.MemoryChanged = time.Unix(s.memoryChanged, 0)
			}
		}
	}
}

// fitUID is what the sizes of a pod are remembered by: the UID of the controller at the
// top, of a bare pod its own.
func (w *Watcher) fitUID(pod *object.Pod) string { return cmp.Or(w.store.TopUID(pod), pod.UID) }

// touch notes a pod whose workload is due to be judged, because a sample of it
// arrived. Under the lock of the usage.
func (w *Watcher) touch(pod *object.Pod, now time.Time) {
	uid := w.fitUID(pod)
	f := w.usage.fits[uid]
	if f == nil {
		f = &workloadFit{}
		w.usage.fits[uid] = f
	}
	if now.Sub(f.judged) >= judgeEvery {
		f.judged = now
		w.usage.due = append(w.usage.due, pod)
	}
}

// judge holds the sizes of workloads against their usage, and returns those of
// which there is something to tell. The pods stand for their workloads.
func (w *Watcher) judge(pods []*object.Pod) []ref {
	if len(pods) == 0 {
		return nil
	}
	var out []ref
	around := w.surroundings()
	for _, pod := range pods {
		uid := w.fitUID(pod)
		c := w.store.Controller(uid)
		if c == nil { // Nobody would take back what is told of it.
			w.usage.noteSizes(uid, pod, w.opts.Clock.Now())
			continue
		}
		key, ready := w.store.WorkloadReady(pod)
		s := &sizeable{key: key, newest: pod, uid: c.UID, replicas: int32(max(ready, 1))}
		told := false
		for i := range pod.Containers {
			if held := counted(pod, pod.Containers[i].Name); held == &pod.Containers[i] {
				told = w.judgeContainer(around, s, held, c.UID) || told
			}
		}
		if told {
			out = append(out, ref{c.Kind, c.Key, c.UID})
		}
	}
	return out
}

func (w *Watcher) judgeContainer(around *surroundings, s *sizeable, c *object.Container, uid string) bool {
	in := w.input(around, s, c)
	w.usage.sinceWhen(uid, c.Name, in)
	settings := recommend.DefaultSettings()
	r := settings.Recommend(in)
	if r.State != recommend.Ready {
		return false // Nothing is known any more, or not enough yet: what was told stands.
	}
	w.usage.mu.Lock()
	defer w.usage.mu.Unlock()
	f := w.usage.fits[uid]
	if f == nil {
		return false // Deleted meanwhile.
	}
	at := -1
	for i := range f.fits {
		if f.fits[i].Container == c.Name {
			at = i
		}
	}
	if at < 0 {
		f.fits, at = append(f.fits, detect.Fit{Container: c.Name, Kind: c.Kind}), len(f.fits)
	}
	fit := &f.fits[at]
	fit.Request, fit.Target, fit.Confidence, fit.Span, fit.Replicas = in.Current.Requests, r.Sure(in.Current.Requests), r.Confidence, r.DataSpan, s.replicas
	told := fit.Advance(r.ChangeCPU || r.ChangeMemory, in.Now.Unix(), w.thresholds())
	if fit.Quiet() {
		f.fits = append(f.fits[:at], f.fits[at+1:]...)
	}
	return told
}

// fitsOf are those of a controller that are worth a look.
func (m *measured) fitsOf(uid string) []detect.Fit {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.fits[uid]; f != nil && len(f.fits) > 0 {
		return append([]detect.Fit(nil), f.fits...)
	}
	return nil
}

// forgetFits drops those of what is not watched, or was deleted before its pods, and is
// not measured any more. The store lets go of a controller before forgetController is
// called. Under the lock of the usage.
func (w *Watcher) forgetFits(now time.Time) {
	for uid, f := range w.usage.fits {
		if now.Sub(f.judged) >= sizesKept && w.store.Controller(uid) == nil {
			delete(w.usage.fits, uid)
		}
	}
}

func (m *measured) forgetController(c *object.Controller) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.fits, c.UID)
	delete(m.ran, object.WorkloadKey{Namespace: c.Namespace, Kind: c.Kind, Name: c.Name})
}
