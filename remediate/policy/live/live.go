package live

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

const (
	// StaleAfter is how long a watch may be down before nothing is decided by
	// what it gave.
	StaleAfter = time.Minute
	// MaxPolicies of each kind are followed; with more, nothing is decided.
	MaxPolicies = 2000
	// MaxNamespaces are followed; with more, nothing is decided.
	MaxNamespaces = 20000
	// FreezeConfigMap is the ConfigMap of the freeze switch.
	FreezeConfigMap = "rightsizer-freeze"
	// FreezeKey is its key.
	FreezeKey = "freeze"
)

// Options are what a Store needs.
type Options struct {
	// Client talks to the API server. Required.
	Client dynamic.Interface
	// OperatorNamespace is the operator's own: out of reach of policies, and
	// where the freeze switch is. Required.
	OperatorNamespace string
	// Logger is where to log. Required.
	Logger *slog.Logger
	// Registerer takes the metrics; nil is none.
	Registerer prometheus.Registerer
	// Silent has nothing written into the policies' status.
	Silent bool
}

// Store is the current policies. Make it with New, run it once with Run.
type Store struct {
	opts       Options
	followers  []*follower
	namespaced *follower
	cluster    *follower
	namespaces *follower
	freeze     *follower
	status     *statuses
	since      changes

	set atomic.Pointer[policy.Set]

	mu       sync.Mutex
	policies map[key]*policy.Policy
	labels   map[string]map[string]string
	frozen   string
}

// key names a policy.
type key struct{ kind, namespace, name string }

var (
	namespacesResource = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	configMapsResource = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
)

// New makes a Store. It talks to nobody yet.
func New(opts Options) (*Store, error) {
	if opts.Client == nil || opts.Logger == nil || opts.OperatorNamespace == "" {
		return nil, errors.New("live policies: Client, Logger and OperatorNamespace must be set")
	}
	s := &Store{opts: opts, policies: map[key]*policy.Policy{}, labels: map[string]map[string]string{}}
	s.namespaced = &follower{
		name: v1alpha1.PolicyResource.Resource, client: opts.Client.Resource(v1alpha1.PolicyResource),
		optional: true, limit: MaxPolicies, take: &policyTaker{s, v1alpha1.KindPolicy, s.compileNamespaced},
	}
	s.cluster = &follower{
		name: v1alpha1.ClusterPolicyResource.Resource, client: opts.Client.Resource(v1alpha1.ClusterPolicyResource),
		optional: true, limit: MaxPolicies, take: &policyTaker{s, v1alpha1.KindClusterPolicy, s.compileCluster},
	}
	s.namespaces = &follower{
		name: "namespaces", client: opts.Client.Resource(namespacesResource), limit: MaxNamespaces, take: namespaceTaker{s},
	}
	s.freeze = &follower{
		name: "freeze switch", client: opts.Client.Resource(configMapsResource).Namespace(opts.OperatorNamespace),
		options: metav1.ListOptions{FieldSelector: "metadata.name=" + FreezeConfigMap}, limit: 1, take: freezeTaker{s},
	}
	s.followers = []*follower{s.namespaced, s.cluster, s.namespaces, s.freeze}
	s.status = newStatuses(opts)
	s.set.Store(policy.NewSet(opts.OperatorNamespace, nil))
	if opts.Registerer != nil {
		if err := opts.Registerer.Register(&collector{s}); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Run follows the cluster until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, f := range s.followers {
		wg.Go(func() { f.run(ctx) })
	}
	wg.Go(func() { s.status.run(ctx) })
	wg.Wait()
	return nil
}

// Set is the policies as they are now, or why nobody knows.
func (s *Store) Set() (*policy.Set, error) {
	now := time.Now()
	for _, f := range []*follower{s.namespaced, s.cluster, s.namespaces} {
		if err := f.current(now); err != nil {
			return nil, err
		}
	}
	return s.set.Load(), nil
}

// Frozen is why every effect is frozen; empty where it is not.
func (s *Store) Frozen() string {
	if err := s.freeze.current(time.Now()); err != nil {
		return "it cannot be read whether everything is frozen: " + err.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.frozen
}

// NamespaceLabels are the labels of a namespace, which the caller must not
// change; nil where it is not known.
func (s *Store) NamespaceLabels(namespace string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.labels[namespace]
}

// change changes what is known and makes the Set anew.
func (s *Store) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	s.set.Store(policy.NewSet(s.opts.OperatorNamespace, slices.Collect(maps.Values(s.policies))))
}

// policyTaker takes the policies of one kind.
type policyTaker struct {
	s       *Store
	kind    string
	compile func(*unstructured.Unstructured) *policy.Policy
}

func (t *policyTaker) key(obj *unstructured.Unstructured) key {
	return key{t.kind, obj.GetNamespace(), obj.GetName()}
}

func (t *policyTaker) replace(objs []*unstructured.Unstructured) {
	t.s.change(func() {
		maps.DeleteFunc(t.s.policies, func(k key, _ *policy.Policy) bool { return k.kind == t.kind })
		for _, obj := range objs {
			t.s.policies[t.key(obj)] = t.compile(obj)
		}
	})
}

func (t *policyTaker) put(obj *unstructured.Unstructured) (n int) {
	t.s.change(func() {
		t.s.policies[t.key(obj)] = t.compile(obj)
		for k := range t.s.policies {
			if k.kind == t.kind {
				n++
			}
		}
	})
	return n
}

func (t *policyTaker) remove(obj *unstructured.Unstructured) {
	t.s.change(func() { delete(t.s.policies, t.key(obj)) })
}

func (s *Store) compileNamespaced(obj *unstructured.Unstructured) *policy.Policy {
	in := &v1alpha1.RightSizerPolicy{}
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, in)
	in.ObjectMeta = identity(obj)
	p := policy.FromNamespaced(in)
	p.Err = errors.Join(p.Err, err)
	s.status.want(p, v1alpha1.PolicyResource, s.reserved(p), &in.Status, obj.GetResourceVersion())
	return p
}

func (s *Store) compileCluster(obj *unstructured.Unstructured) *policy.Policy {
	in := &v1alpha1.ClusterRightSizerPolicy{}
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, in)
	in.ObjectMeta = identity(obj)
	p := policy.FromCluster(in)
	p.Err = errors.Join(p.Err, err)
	s.status.want(p, v1alpha1.ClusterPolicyResource, "", &in.Status, obj.GetResourceVersion())
	return p
}

// identity is what is needed of an object's metadata, even where the rest of the
// object cannot be read.
func identity(obj *unstructured.Unstructured) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: obj.GetNamespace(), Name: obj.GetName(), UID: obj.GetUID(),
		Generation: obj.GetGeneration(), CreationTimestamp: obj.GetCreationTimestamp(),
	}
}

// reserved is why a policy can govern nothing where it is.
func (s *Store) reserved(p *policy.Policy) string {
	return policy.NewSet(s.opts.OperatorNamespace, nil).OutOfReach(p.Ref.Namespace)
}

type namespaceTaker struct{ s *Store }

func (t namespaceTaker) replace(objs []*unstructured.Unstructured) {
	fresh := make(map[string]map[string]string, len(objs))
	for _, obj := range objs {
		fresh[obj.GetName()] = obj.GetLabels()
	}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	t.s.labels = fresh
}

func (t namespaceTaker) put(obj *unstructured.Unstructured) int {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	t.s.labels[obj.GetName()] = obj.GetLabels()
	return len(t.s.labels)
}

func (t namespaceTaker) remove(obj *unstructured.Unstructured) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	delete(t.s.labels, obj.GetName())
}

type freezeTaker struct{ s *Store }

func (t freezeTaker) replace(objs []*unstructured.Unstructured) {
	if len(objs) == 0 {
		t.s.setFrozen("")
		return
	}
	t.put(objs[0])
}

func (t freezeTaker) put(obj *unstructured.Unstructured) int {
	value, _, err := unstructured.NestedString(obj.Object, "data", FreezeKey)
	switch {
	case err != nil:
		value = "ConfigMap " + FreezeConfigMap + " cannot be read: " + err.Error()
	case value == "false":
		value = ""
	}
	t.s.setFrozen(value)
	return 1
}

func (t freezeTaker) remove(*unstructured.Unstructured) { t.s.setFrozen("") }

// maxReason bounds the reason that is shown for the freeze.
const maxReason = 256

func (s *Store) setFrozen(reason string) {
	s.mu.Lock()
	was := s.frozen
	s.frozen = reason[:min(len(reason), maxReason)]
	now := s.frozen
	s.mu.Unlock()
	switch {
	case was == now:
	case now == "":
		s.opts.Logger.Warn("the freeze is over")
	default:
		s.opts.Logger.Warn("every effect is frozen", slog.String("reason", now))
	}
}
