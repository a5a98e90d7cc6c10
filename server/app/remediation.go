package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rightsizer/rightsizer/bus"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate"
	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/announce"
	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/webhook"
	"github.com/rightsizer/rightsizer/server/tlsconf"
)

// remediation is the part that repairs, with who may.
type remediation struct {
	engine    *remediate.Engine
	client    *kube.Client
	hooks     *webhook.Caller
	announcer *announce.Announcer
}

// newRemediation makes the part that repairs; there is none beside a Cluster of a
// test's own.
func (a *App) newRemediation() error {
	if a.opts.NewCluster != nil {
		return nil
	}
	config, err := restConfig(a.cfg.Kubeconfig, a.opts.Version)
	if err != nil {
		return err
	}
	client, err := kube.New(config)
	if err != nil {
		return fmt.Errorf("remediation: %w", err)
	}
	logger := a.logger.With(slog.String("component", "remediation"))
	announcer, err := announce.New(announce.Options{Config: config, Replica: a.leader.me, Logger: logger, Registerer: a.registry})
	if err != nil {
		return err
	}
	hooks, err := a.newWebhooks()
	if err != nil {
		return err
	}
	actions, err := a.actions(client, hooks)
	if err != nil {
		return err
	}
	recommender, _ := a.cluster.(remediate.Recommender)
	usage, _ := a.cluster.(remediate.Usage)
	engine, err := remediate.New(remediate.Options{
		Client: client, Cluster: a.cluster, Policies: a.policies, Audit: a.audit, Actions: actions,
		Source: newBusSource(a.bus), Publish: a.bus.Publish,
		Recommender: recommender, Usage: usage, Webhooks: hooks, Announcer: announcer,
		Identity: a.leader.me, Logger: logger, Registerer: a.registry, Tracing: a.tracing(),
	})
	if err != nil {
		return err
	}
	a.remediation = &remediation{engine: engine, client: client, hooks: hooks, announcer: announcer}
	return nil
}

// leads says who leads: who is elected, beside others in a cluster, unless told
// otherwise.
func (a *App) leads() string {
	switch {
	case a.cfg.LeaderElect != "auto":
		return a.cfg.LeaderElect
	case a.cfg.Kubeconfig == "":
		return leaderElected
	default:
		return leaderAlways
	}
}

// actions is the one ordered list of what can be done. An installation adds actions
// of its own at its end.
func (a *App) actions(client *kube.Client, hooks action.Webhooks) (*action.Set, error) {
	version, workload := &serverVersion{client: client}, action.OfWorkload{Client: client}
	return action.NewSet(
		&action.ResizeInPlace{Client: client, Minor: version.minor},
		&action.ResizeTemplate{OfWorkload: workload},
		&action.RestartPod{Client: client},
		&action.RolloutRestart{OfWorkload: workload},
		&action.Scale{Client: client},
		&action.Export{Client: client, Hooks: hooks},
		&action.Webhook{Client: client, Hooks: hooks},
	)
}

// newWebhooks is what calls the webhooks of policies.
func (a *App) newWebhooks() (*webhook.Caller, error) {
	opts := webhook.Options{
		Guard: a.outbound, Secrets: a.cfg.WebhookSecrets, OperatorNamespace: operatorNamespace(a.cfg.OperatorNamespace),
		Cluster: a.cluster.ClusterID, UserAgent: "rightsizer/" + a.opts.Version,
	}
	if file := a.cfg.WebhookCAFile; file != "" {
		var err error
		if opts.RootCAs, err = tlsconf.Roots(file); err != nil {
			return nil, a.wrong("webhook-ca-file", file, err)
		}
	}
	made, err := webhook.New(opts)
	if err != nil {
		return nil, a.wrong("webhook-secrets", a.cfg.WebhookSecrets, err)
	}
	return made, nil
}

// serverVersion is the API server's minor version, asked for again now and then:
// servers are upgraded.
type serverVersion struct {
	client *kube.Client

	mu    sync.Mutex
	known int
	asked time.Time
}

const versionFor = 10 * time.Minute

func (v *serverVersion) minor(ctx context.Context) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known > 0 && time.Since(v.asked) < versionFor {
		return v.known, nil
	}
	minor, err := v.client.Version(ctx)
	if err != nil {
		if v.known > 0 {
			return v.known, nil // an older answer is as good while the server does not say
		}
		return 0, err
	}
	v.known, v.asked = minor, time.Now()
	return minor, nil
}

// remediationSteps run the part that repairs, after what it rests on.
func (a *App) remediationSteps() []step {
	if a.remediation == nil {
		return nil
	}
	r := a.remediation
	return []step{
		{name: "kubernetes events", run: r.announcer.Run, grace: time.Second},
		{name: "remediations", run: func(ctx context.Context) error {
			defer r.client.Close()
			defer r.hooks.Close()
			return r.engine.Run(ctx)
		}, grace: 2 * time.Second},
		{name: "remediation", run: func(ctx context.Context) error { return a.leader.run(ctx, r.engine.Lead) }, grace: joinWithin},
	}
}

func (a *App) remediationHealth() []*rightsizerv1.ComponentHealth {
	if a.remediation == nil {
		return nil
	}
	return []*rightsizerv1.ComponentHealth{a.remediation.engine.Health()}
}

// busSource is the bus as remediation pulls it.
type busSource struct {
	bus    *bus.Bus
	filter *bus.Filter
	sub    *bus.Subscription
	room   []*bus.Entry
}

// sourceIdle is how long one wait for events lasts; nothing depends on it.
const sourceIdle = time.Minute

func newBusSource(b *bus.Bus) *busSource {
	return &busSource{
		bus: b, room: make([]*bus.Entry, 64),
		filter: bus.Compile(&rightsizerv1.EventFilter{EventTypes: []string{"pod.*", "deployment.*", "statefulset.*", "daemonset.*", "usage.*", "resource.*", "hpa.*"}}, bus.AllNamespaces()),
	}
}

// Next implements remediate.Source. It belongs to whoever leads.
func (s *busSource) Next(ctx context.Context) ([]*rightsizerv1.Event, bool, error) {
	if s.sub == nil {
		s.sub = s.bus.Subscribe(s.filter, "")
	}
	batch, err := s.sub.Next(ctx, sourceIdle, s.room)
	if err != nil {
		s.sub.Close()
		s.sub = nil
		return nil, false, err
	}
	events := make([]*rightsizerv1.Event, 0, len(batch.Entries))
	for _, e := range batch.Entries {
		if ev := e.Message().GetEvent(); ev != nil {
			events = append(events, ev)
		}
	}
	s.sub.Ack(batch)
	return events, batch.Lost != nil, nil
}
