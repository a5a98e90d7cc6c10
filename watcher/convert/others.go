package convert

import (
	"errors"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/watcher/object"
)

var errNil = errors.New("no object")

// KubeEvent converts a Kubernetes Event. It never fails: an Event that names
// nothing usable is evidence of nothing.
func (c *Converter) KubeEvent(e *corev1.Event) *object.KubeEvent {
	if e == nil {
		return &object.KubeEvent{}
	}
	first, last := seconds(e.FirstTimestamp), max(seconds(e.LastTimestamp), seconds(metav1.Time(e.EventTime)))
	count := e.Count
	if e.Series != nil {
		last = max(last, seconds(metav1.Time(e.Series.LastObservedTime)))
		count = max(count, e.Series.Count)
	}
	if first == 0 {
		first = seconds(metav1.Time(e.EventTime))
	}
	if last == 0 {
		last = seconds(e.CreationTimestamp)
	}
	if first == 0 {
		first = last
	}
	source := e.Source.Component
	if source == "" {
		source = e.ReportingController
	}
	return &object.KubeEvent{
		Kind: c.text(e.InvolvedObject.Kind, maxKind),
		Key: object.Key{
			// Its own: the API server lets it name any as that of the object.
			Namespace: c.text(e.Namespace, maxNamespace),
			Name:      Text(e.InvolvedObject.Name, maxName),
		},
		UID:       Text(string(e.InvolvedObject.UID), maxUID),
		Container: c.text(containerOfPath(e.InvolvedObject.FieldPath), maxContainer),
		Reason:    c.text(e.Reason, maxReason),
		Message:   Text(strings.TrimPrefix(e.Message, combined), maxEvidence),
		Source:    c.text(source, maxKind),
		First:     min(first, last),
		Last:      last,
		Count:     max(count, 1),
	}
}

// combined stands before the message of an Event that stands for many similar
// ones. Source: client-go's EventAggregator.
const combined = "(combined from similar events): "

// containerOfPath reads `spec.containers{app}`.
func containerOfPath(path string) string {
	_, rest, ok := strings.Cut(path, "{")
	if !ok {
		return ""
	}
	container, _, ok := strings.Cut(rest, "}")
	if !ok {
		return ""
	}
	return container
}

// controllerOf is the reference marked as the controller; nil where there is
// none or it is not usable as a name.
func (c *Converter) controllerOf(refs []metav1.OwnerReference) *object.Owner {
	for i := range refs {
		ref := &refs[i]
		if ref.Controller == nil || !*ref.Controller {
			continue
		}
		if name("kind", ref.Kind, maxKind) != nil || name("name", ref.Name, maxName) != nil {
			return nil
		}
		return c.owners.of(object.Owner{
			Kind: c.strings.of(ref.Kind),
			Name: ref.Name,
			UID:  Text(string(ref.UID), maxUID),
		})
	}
	return nil
}

// ownerTable lets the pods of one controller share its reference; bounded in
// the same way as interner.
type ownerTable struct {
	mu       sync.Mutex
	young    map[object.Owner]*object.Owner
	previous map[object.Owner]*object.Owner
}

func newOwnerTable() *ownerTable {
	return &ownerTable{young: make(map[object.Owner]*object.Owner)}
}

func (t *ownerTable) of(o object.Owner) *object.Owner {
	t.mu.Lock()
	defer t.mu.Unlock()
	if shared, ok := t.young[o]; ok {
		return shared
	}
	shared, ok := t.previous[o]
	if !ok {
		shared = &o
	}
	if len(t.young) >= internLimit {
		t.previous = t.young
		t.young = make(map[object.Owner]*object.Owner)
	}
	t.young[*shared] = shared
	return shared
}
