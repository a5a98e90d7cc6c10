package auth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	authorizationv1 "k8s.io/api/authorization/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/rpc/rpcerr"
)

// Group is the API group of the virtual resources that rights are given on.
const Group = "rightsizer.dev"

// Action is something somebody may do, as Kubernetes' RBAC names it.
type Action struct {
	// Group is the API group; empty is Kubernetes' core.
	Group string
	// Resource is one, or one and its subresource: pods/eviction.
	Resource string
	// Verb is get, list, watch, create, update, patch or delete.
	Verb string
	// Namespace is where; empty is everywhere.
	Namespace string
	// Name is of which object; empty is of all.
	Name string
}

// String is the action for people.
func (a Action) String() string {
	text := a.Verb + " " + a.Resource
	if a.Group != "" {
		text += "." + a.Group
	}
	if a.Namespace == "" {
		return text + " in all namespaces"
	}
	return text + " in namespace " + a.Namespace
}

// RightsOptions make Rights.
type RightsOptions struct {
	// Reviews are asked; nil knows of no right, and only an open API does anything.
	Reviews Reviews
	// Namespaces lists those that there is something to see of, for callers who ask
	// for what they may see. Required.
	Namespaces func() []string
	// Denied is told of each call that is refused for a right that its caller lacks.
	// Optional.
	Denied func(ctx context.Context, id *Identity, action Action)
	// Logger and Registerer are required.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// maxNamespaces bounds the namespaces that are asked about for one caller who asks
// for what he may see.
const maxNamespaces = 512

// reasonTooManyNamespaces says that there are more namespaces than are asked about.
const reasonTooManyNamespaces = "TOO_MANY_NAMESPACES"

// Rights knows what callers may do. Safe for concurrent use.
type Rights struct {
	opts     RightsOptions
	known    *memo[bool]
	asked    *prometheus.CounterVec
	complain rarely
}

// NewRights makes Rights and registers its metric.
func NewRights(opts RightsOptions) (*Rights, error) {
	r := &Rights{opts: opts, known: newMemo[bool](nil), complain: rarely{every: 30 * time.Second}, asked: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rightsizer_auth_access_reviews_total",
		Help: "SubjectAccessReviews by result: allowed, denied, failed. Answers are remembered for 10 s.",
	}, []string{"result"})}
	if err := opts.Registerer.Register(r.asked); err != nil {
		return nil, fmt.Errorf("auth: register metrics: %w", err)
	}
	return r, nil
}

// May says whether somebody may do something. Its error is `unavailable` for the
// caller: nobody may do anything while that cannot be found out.
func (r *Rights) May(ctx context.Context, id *Identity, a Action) (bool, error) {
	switch {
	case id.Open():
		return true, nil
	case id.User == "" || len(id.Groups) == 0 || r.opts.Reviews == nil:
		return false, nil // a review without a user must never be sent
	}
	allowed, err := r.known.get(ctx, keyOf(id, a), nil, func(ctx context.Context) (bool, error) { return r.ask(ctx, id, a) })
	switch {
	case err == nil:
		return allowed, nil
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return false, err //nolint:wrapcheck // the caller is gone
	}
	if r.complain.now() {
		r.opts.Logger.WarnContext(ctx, "what callers may do cannot be found out; they are refused until it can", slog.Any("error", err))
	}
	return false, rpcerr.Unavailable(ReasonReviewDown, "what the caller may do cannot be found out now", retryReview)
}

func (r *Rights) ask(ctx context.Context, id *Identity, a Action) (bool, error) {
	resource, subresource, _ := strings.Cut(a.Resource, "/")
	spec := authorizationv1.SubjectAccessReviewSpec{
		User: id.User, UID: id.UID, Groups: id.Groups,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: a.Group, Resource: resource, Subresource: subresource, Verb: a.Verb, Namespace: a.Namespace, Name: a.Name,
		},
	}
	if len(id.Extra) > 0 {
		spec.Extra = make(map[string]authorizationv1.ExtraValue, len(id.Extra))
		for key, values := range id.Extra {
			spec.Extra[key] = values
		}
	}
	status, err := r.opts.Reviews.ReviewAccess(ctx, spec)
	result := "denied"
	switch {
	case err != nil:
		result = "failed"
	case status.Denied:
	case status.Allowed:
		result = "allowed"
	case status.EvaluationError != "":
		// RBAC names roles that are gone here and has answered for the others: a
		// denial all the same.
		r.opts.Logger.DebugContext(ctx, "a right was judged in part", slog.String("error", status.EvaluationError))
	}
	r.asked.WithLabelValues(result).Inc()
	return result == "allowed", err
}

// keyOf is a hash of who and what, in which no two of them run into each other.
func keyOf(id *Identity, a Action) memoKey {
	h := sha256.New()
	write(h, id.User, id.UID)
	write(h, id.Groups...)
	keys := make([]string, 0, len(id.Extra))
	for key := range id.Extra {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		write(h, key)
		write(h, id.Extra[key]...)
	}
	write(h, a.Group, a.Resource, a.Verb, a.Namespace, a.Name)
	return memoKey(h.Sum(nil))
}

func write(h hash.Hash, texts ...string) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(texts)))
	h.Write(length[:])
	for _, text := range texts {
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		h.Write(length[:])
		h.Write([]byte(text))
	}
}

// Authorize implements the API's authorizer: it decides on one request by the
// permission that its method declares, and on what its caller may see.
func (r *Rights) Authorize(ctx context.Context, id *Identity, p *rightsizerv1.Permission, request proto.Message) (Grant, error) {
	a := askedBy(request)
	if p.GetClusterScoped() {
		a = asked{}
	}
	return r.grant(ctx, id, Action{Group: Group, Resource: p.GetResource(), Verb: p.GetVerb()}, a)
}

// WatchEvents says what a caller may see of the events that a filter asks for, and
// whether he may ask: for streams, which ask again while they are open. before are
// the namespaces that he saw until now.
func (r *Rights) WatchEvents(ctx context.Context, id *Identity, filter *rightsizerv1.EventFilter, before []string) (Grant, error) {
	return r.grant(ctx, id, Action{Group: Group, Resource: "events", Verb: "watch"},
		asked{namespaces: filter.GetNamespaces(), allowedOnly: filter.GetAllowedOnly(), before: before})
}

// ListConnections says whether a caller may know who else reads, as the method of that
// name asks.
func (r *Rights) ListConnections(ctx context.Context, id *Identity) (bool, error) {
	return r.May(ctx, id, Action{Group: Group, Resource: "connections", Verb: "list"})
}

// grant asks for the right to all first: who has it needs no other question, and
// whoever names a namespace may then see the rest of an incident as well.
func (r *Rights) grant(ctx context.Context, id *Identity, a Action, what asked) (Grant, error) {
	all, err := r.May(ctx, id, a)
	switch {
	case err != nil:
		return Grant{}, err
	case all:
		return Everything(), nil
	case len(what.namespaces) == 0 && what.allowedOnly:
		return r.allowed(ctx, id, a, what.before)
	case len(what.namespaces) == 0:
		return Grant{}, r.deny(ctx, id, a)
	}
	for _, namespace := range what.namespaces {
		a.Namespace = namespace
		ok, err := r.May(ctx, id, a)
		switch {
		case err != nil:
			return Grant{}, err
		case !ok:
			return Grant{}, r.deny(ctx, id, a)
		}
	}
	return Only(what.namespaces...), nil
}

// asking is how many questions are asked at a time for one caller.
const asking = 8

// allowed is what a caller may see who asks for that, of the namespaces that there
// is something to see of. To see nothing at all is a denial: an empty list would
// look like a quiet cluster. Those that he saw before are asked about too: a
// namespace may have emptied meanwhile.
func (r *Rights) allowed(ctx context.Context, id *Identity, a Action, before []string) (Grant, error) {
	inhabited := r.opts.Namespaces()
	namespaces := slices.Concat(inhabited, before)
	slices.Sort(namespaces)
	namespaces = slices.Compact(namespaces)
	if len(inhabited) > maxNamespaces {
		return Grant{}, rpcerr.New(connect.CodeFailedPrecondition, reasonTooManyNamespaces,
			"the cluster has too many namespaces to look for those that you may see; name them")
	}
	may := make([]bool, len(namespaces))
	errs := make([]error, len(namespaces))
	eachOf(len(namespaces), asking, func(i int) {
		in := a
		in.Namespace = namespaces[i]
		may[i], errs[i] = r.May(ctx, id, in)
	})
	var seen []string
	for i, namespace := range namespaces {
		if errs[i] != nil {
			return Grant{}, errs[i]
		}
		if may[i] {
			seen = append(seen, namespace)
		}
	}
	if len(seen) == 0 {
		return Grant{}, r.deny(ctx, id, a)
	}
	return Only(seen...), nil
}

// deny is the one answer to whoever lacks a right. It names what was asked for,
// never what there is.
func (r *Rights) deny(ctx context.Context, id *Identity, a Action) error {
	if r.opts.Denied != nil {
		r.opts.Denied(ctx, id, a)
	}
	message := "you may not " + a.String()
	if a.Namespace == "" && a.Group == Group && a.Verb != "create" && a.Verb != "update" {
		message += "; name namespaces, or ask for allowed_only where the method has it"
	}
	return rpcerr.New(connect.CodePermissionDenied, rpcerr.ReasonPermissionDenied, message,
		"resource", a.Resource, "group", a.Group, "verb", a.Verb, "namespace", a.Namespace)
}

// Require returns nil where the caller of ctx may do each of the actions: for what
// is done to Kubernetes in his name, which takes the real verb (create on
// pods/eviction, patch on pods/resize) beside our own. Its errors are for the
// caller.
func (r *Rights) Require(ctx context.Context, actions ...Action) error {
	id, ok := FromContext(ctx)
	if !ok {
		return unauthenticated()
	}
	for _, a := range actions {
		may, err := r.May(ctx, id, a)
		switch {
		case err != nil:
			return err
		case !may:
			return r.deny(ctx, id, a)
		}
	}
	return nil
}
