// Package announce writes Kubernetes Events about what remediation does, on the
// workload and on its namespace's policy, where `kubectl describe` shows them. They are for
// people: nothing rests on them, the audit chain and the Remediation do.
//
// [Announcer.Say] never waits; what it is told is written 0.3 s later, so that the
// API server is left to the repair. At most 256 notices wait, at most 30 a minute are
// written of one object, and one that was said of the same object within the last
// five minutes is left out: what has no room is counted in
// rightsizer_announce_notices_total{result}. A notice that the API server refuses,
// or does not take within 5 s, is not tried again.
//
// It needs `create` on `events` in group events.k8s.io. All is safe for concurrent
// use; Run must run for anything to be written.
package announce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

// Bounds.
const (
	maxQueue    = 256
	maxObjects  = 1024 // whose notices are remembered
	perObject   = 30   // notices a minute
	repeatAfter = 5 * time.Minute
	// holdFor is how long a notice waits at least, so that the API server is left
	// to the repair that it is about.
	holdFor     = 300 * time.Millisecond
	writeWithin = 5 * time.Second
	maxNote     = 1024 // the API's bound
)

// controller is who reports.
const controller = "rightsizer.dev/operator"

// Object is what a notice is about.
type Object struct {
	APIVersion, Kind string
	// Namespace is empty for what is in none; its Events are in `default`.
	Namespace, Name, UID string
}

func (o Object) ref() corev1.ObjectReference {
	return corev1.ObjectReference{
		APIVersion: o.APIVersion, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, UID: types.UID(o.UID),
	}
}

// Notice is one thing to say.
type Notice struct {
	// Regarding is the object; Related another that it has to do with, may be nil.
	Regarding Object
	Related   *Object
	// Warning says that it is bad news.
	Warning bool
	// Reason and Action are words in CamelCase: Resized, ResizeInPlace.
	Reason, Action string
	// Note is for a person, at most 1,024 bytes; it is cut.
	Note string
}

var camel = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,127}$`)

func (n *Notice) check() error {
	switch {
	case n.Regarding.Kind == "" || n.Regarding.Name == "":
		return errors.New("announce: Regarding wants kind and name")
	case !camel.MatchString(n.Reason) || !camel.MatchString(n.Action):
		return fmt.Errorf("announce: Reason is %q and Action %q; both want a word in CamelCase", n.Reason, n.Action)
	}
	return nil
}

// Options make an Announcer. Config and Logger are required.
type Options struct {
	Config *rest.Config
	// Replica is this process's name.
	Replica    string
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Announcer writes notices. Make it with New.
type Announcer struct {
	opts    Options
	rest    *rest.RESTClient
	close   func()
	queue   chan heard
	results *prometheus.CounterVec

	mu      sync.Mutex
	objects map[Object]*said
}

// heard is a notice, and since when it waits.
type heard struct {
	notice *Notice
	at     time.Time
}

// said is what was said of an object lately.
type said struct {
	minute time.Time
	n      int
	last   map[string]time.Time // by reason and note; at most perObject
}

// New makes an Announcer. It writes nothing before Run.
func New(opts Options) (*Announcer, error) {
	if opts.Config == nil || opts.Logger == nil {
		return nil, errors.New("announce: Config and Logger must be set")
	}
	if opts.Replica == "" {
		opts.Replica = "rightsizer"
	}
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	own := rest.CopyConfig(opts.Config)
	own.QPS, own.Burst = 10, 20
	own.GroupVersion, own.APIPath = &schema.GroupVersion{}, "/unused" // every request names its path
	own.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	own.AcceptContentTypes, own.ContentType = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	own.WarningHandlerWithContext = rest.NoWarnings{}
	client, err := rest.HTTPClientFor(own)
	if err != nil {
		return nil, fmt.Errorf("announce: client: %w", err)
	}
	restClient, err := rest.RESTClientForConfigAndClient(own, client)
	if err != nil {
		return nil, fmt.Errorf("announce: client: %w", err)
	}
	a := &Announcer{
		opts: opts, rest: restClient, close: func() { utilnet.CloseIdleConnectionsFor(client.Transport) },
		queue: make(chan heard, maxQueue), objects: map[Object]*said{},
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rightsizer_announce_notices_total",
			Help: "Kubernetes Events by what became of them: written, failed, repeated (said lately), limited (too many of one object), full (too many wait).",
		}, []string{"result"}),
	}
	for _, result := range []string{"written", "failed", "repeated", "limited", "full"} {
		a.results.WithLabelValues(result)
	}
	if opts.Registerer != nil {
		if err := opts.Registerer.Register(a.results); err != nil {
			return nil, fmt.Errorf("announce: %w", err)
		}
	}
	return a, nil
}

// Say has a notice written in a moment, without waiting for it. Its error is
// a mistake in the notice.
func (a *Announcer) Say(n Notice) error {
	if err := n.check(); err != nil {
		return err
	}
	if len(n.Note) > maxNote {
		n.Note = strings.ToValidUTF8(n.Note[:maxNote], "")
	}
	n.Note = strings.ToValidUTF8(n.Note, "\uFFFD")
	now := time.Now()
	if why := a.refuses(&n, now); why != "" {
		a.results.WithLabelValues(why).Inc()
		return nil
	}
	select {
	case a.queue <- heard{&n, now}:
	default:
		a.results.WithLabelValues("full").Inc()
	}
	return nil
}

// refuses says why a notice is not written, empty where it is.
func (a *Announcer) refuses(n *Notice, now time.Time) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.objects[n.Regarding]
	if at == nil {
		if len(a.objects) >= maxObjects {
			a.forget(now)
		}
		if len(a.objects) >= maxObjects {
			return "limited"
		}
		at = &said{last: map[string]time.Time{}}
		a.objects[n.Regarding] = at
	}
	words := n.Reason + " " + n.Note
	if last, ok := at.last[words]; ok && now.Sub(last) < repeatAfter {
		return "repeated"
	}
	if now.Sub(at.minute) >= time.Minute {
		at.minute, at.n = now, 0
	}
	if at.n == perObject {
		return "limited"
	}
	at.n++
	if len(at.last) >= perObject {
		clear(at.last)
	}
	at.last[words] = now
	return ""
}

// forget drops what was said longer ago than it matters.
func (a *Announcer) forget(now time.Time) {
	for object, at := range a.objects {
		if now.Sub(at.minute) >= repeatAfter {
			delete(a.objects, object)
		}
	}
}

// Run writes what is said until ctx ends; what waits then is left.
func (a *Announcer) Run(ctx context.Context) error {
	defer a.close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case h := <-a.queue:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Until(h.at.Add(holdFor))):
			}
			n := h.notice
			if err := a.write(ctx, n, h.at); err != nil {
				a.results.WithLabelValues("failed").Inc()
				a.opts.Logger.WarnContext(ctx, "a Kubernetes Event could not be written", slog.String("reason", n.Reason),
					slog.String("kind", n.Regarding.Kind), slog.String("namespace", n.Regarding.Namespace), slog.String("name", n.Regarding.Name), slog.Any("error", err))
				continue
			}
			a.results.WithLabelValues("written").Inc()
		}
	}
}

func (a *Announcer) write(ctx context.Context, n *Notice, at time.Time) error {
	namespace := n.Regarding.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	kind := corev1.EventTypeNormal
	if n.Warning {
		kind = corev1.EventTypeWarning
	}
	event := eventsv1.Event{
		TypeMeta:   metav1.TypeMeta{APIVersion: "events.k8s.io/v1", Kind: "Event"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: prefix(n.Regarding.Name)},
		EventTime:  metav1.NewMicroTime(at), ReportingController: controller, ReportingInstance: cut(a.opts.Replica, 128),
		Type: kind, Reason: n.Reason, Action: n.Action, Note: n.Note, Regarding: n.Regarding.ref(),
	}
	if n.Related != nil {
		related := n.Related.ref()
		event.Related = &related
	}
	body, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	return a.rest.Post().AbsPath("/apis/events.k8s.io/v1/namespaces/" + namespace + "/events").MaxRetries(0).Body(body).Do(ctx).Error() //nolint:wrapcheck // names the request
}

// prefix is the beginning of an Event's name; the API server adds to it, and takes no
// dot at its end.
func prefix(name string) string { return strings.TrimRight(cut(name, 200), ".-") + "-" }

func cut(s string, most int) string { return s[:min(len(s), most)] }
