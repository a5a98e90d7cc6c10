// Package webhook calls the webhooks of policies: a CloudEvent with the decision in
// JSON, signed as Standard Webhooks has it, through the guard of package outbound.
//
//	id       the Remediation's name: the idempotency key
//	source   /clusters/ID
//	type     dev.rightsizer.remediation.consult | webhook | export
//	subject  NAMESPACE/Remediation/NAME
//	data     the Remediation as the API shows it, without its targets
//
// # Secrets
//
// The operator reads no Secrets of the cluster. What a policy's secretRef names is
// a file, DIR/NAMESPACE/NAME/KEY, which whoever runs the operator puts there: a
// Secret that is mounted, for example. NAMESPACE is the policy's own, and the
// operator's for a ClusterRightSizerPolicy, so that nobody signs with what is
// another namespace's. Files are read at each call, so a new secret holds at once.
//
// All is safe for concurrent use.
package webhook

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/outbound"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// Bounds.
const (
	maxEndpoints = 64      // that are kept open
	maxSecret    = 4 << 10 // bytes of a secret's file
)

// typePrefix begins the type of each message.
const typePrefix = "dev.rightsizer.remediation."

// Options make a Caller. Guard, OperatorNamespace and Cluster are required.
type Options struct {
	// Guard judges what is called; a policy's allowedNetworks narrow it.
	Guard *outbound.Guard
	// Secrets is the folder of secrets; empty for none.
	Secrets string
	// OperatorNamespace is where secrets of ClusterRightSizerPolicies are.
	OperatorNamespace string
	// RootCAs vouch for webhooks; nil are those of the system.
	RootCAs *x509.CertPool
	// Cluster is the cluster's id, as far as it is known.
	Cluster func() string
	// UserAgent says who calls.
	UserAgent string
}

// Caller calls webhooks. Make it with New; Close it in the end.
type Caller struct {
	opts    Options
	secrets *os.Root // nil without a folder

	mu        sync.Mutex
	endpoints map[[sha256.Size]byte]*outbound.Endpoint
}

// New makes a Caller; the folder of secrets must be there.
func New(opts Options) (*Caller, error) {
	if opts.Guard == nil || opts.OperatorNamespace == "" || opts.Cluster == nil {
		return nil, errors.New("webhook: Guard, OperatorNamespace and Cluster must be set")
	}
	c := &Caller{opts: opts, endpoints: map[[sha256.Size]byte]*outbound.Endpoint{}}
	if opts.Secrets != "" {
		var err error
		if c.secrets, err = os.OpenRoot(opts.Secrets); err != nil {
			return nil, fmt.Errorf("webhook: %w", err)
		}
	}
	return c, nil
}

// Close lets go of connections and of the folder.
func (c *Caller) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeAll()
	if c.secrets != nil {
		_ = c.secrets.Close() // it was only read
	}
}

func (c *Caller) closeAll() {
	for key, e := range c.endpoints {
		e.Close()
		delete(c.endpoints, key)
	}
}

// Call implements action.Webhooks.
func (c *Caller) Call(ctx context.Context, purpose action.Purpose, policyNamespace string, hook *v1alpha1.Webhook, decision *rightsizerv1.Remediation) (action.Answer, error) {
	endpoint, err := c.endpoint(policyNamespace, hook)
	if err != nil {
		return action.Answer{}, err
	}
	shown, ok := proto.Clone(decision).(*rightsizerv1.Remediation)
	if !ok {
		return action.Answer{}, errors.New("webhook: there is no decision")
	}
	shown.Targets = nil // 256 of them would be more than a request may hold
	data, err := protojson.Marshal(shown)
	if err != nil {
		return action.Answer{}, fmt.Errorf("encode: %w", err)
	}
	answer, err := endpoint.Send(ctx, outbound.Event{
		ID: decision.GetName(), Source: "/clusters/" + c.opts.Cluster(), Type: typePrefix + string(purpose),
		Subject: decision.GetNamespace() + "/" + v1alpha1.KindRemediation + "/" + decision.GetName(), Time: time.Now(), Data: data,
	})
	if err != nil || hook.Answer == v1alpha1.WebhookIgnore {
		return action.Answer{}, err //nolint:wrapcheck // names the host
	}
	if !endpoint.Signed() {
		return action.Answer{}, errors.New("it is not signed, so that its answer decides nothing: set secretRef")
	}
	said, err := outbound.ParseVerdict(answer)
	if err != nil {
		return action.Answer{}, err //nolint:wrapcheck // says what is wrong
	}
	return action.Answer{Approve: said.Decision == outbound.Approve, Veto: said.Decision == outbound.Veto, Reason: said.Reason}, nil
}

// endpoint is where a webhook is called; the same one as long as nothing changes.
func (c *Caller) endpoint(policyNamespace string, hook *v1alpha1.Webhook) (*outbound.Endpoint, error) {
	secrets, err := c.secret(policyNamespace, hook.SecretRef)
	if err != nil {
		return nil, err
	}
	networks := make([]string, 0, len(hook.AllowedNetworks))
	for _, n := range hook.AllowedNetworks {
		networks = append(networks, string(n))
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d", hook.URL, secrets, networks, hook.Timeout.Duration))
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.endpoints[key]; e != nil {
		return e, nil
	}
	guard, err := c.opts.Guard.Narrowed(networks...)
	if err != nil {
		return nil, err //nolint:wrapcheck // names the network
	}
	e, err := outbound.NewEndpoint(outbound.Options{
		URL: hook.URL, Guard: guard, Secrets: secrets, Timeout: hook.Timeout.Duration, RootCAs: c.opts.RootCAs, UserAgent: c.opts.UserAgent,
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // says what is wrong
	}
	if len(c.endpoints) >= maxEndpoints {
		c.closeAll() // they are made again as they are called
	}
	c.endpoints[key] = e
	return e, nil
}

// secret reads what a policy's secretRef names.
func (c *Caller) secret(namespace string, ref *v1alpha1.SecretKeyRef) (string, error) {
	if ref == nil {
		return "", nil
	}
	if namespace == "" {
		namespace = c.opts.OperatorNamespace
	}
	place := path.Join(namespace, ref.Name, ref.Key)
	for _, part := range []string{namespace, ref.Name, ref.Key} {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, `/\`) {
			return "", fmt.Errorf("secret %q: must be the plain name of a Secret and of a key in it", place)
		}
	}
	if c.secrets == nil {
		return "", fmt.Errorf("secret %s: the operator has no folder of secrets: set webhook-secrets", place)
	}
	info, err := c.secrets.Stat(place)
	if err != nil {
		return "", fmt.Errorf("secret %s: not in the operator's folder of secrets", place)
	}
	if !info.Mode().IsRegular() || info.Size() > maxSecret {
		return "", fmt.Errorf("secret %s: must be a file of at most %d bytes", place, maxSecret)
	}
	raw, err := c.secrets.ReadFile(place)
	if err != nil {
		return "", fmt.Errorf("secret %s: cannot be read", place)
	}
	if strings.TrimSpace(string(raw)) == "" {
		return "", fmt.Errorf("secret %s: the file is empty", place)
	}
	return string(raw), nil
}
