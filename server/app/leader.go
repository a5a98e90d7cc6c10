package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// The Lease. Effects end before it runs out: a leader that cannot renew it gives up
// after renewDeadline, others wait for leaseDuration.
const (
	leaseName     = "rightsizer"
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
	// joinWithin is how long what leads may take to end after the lease is lost.
	joinWithin = 5 * time.Second
)

// errNotJoined ends the process: effects may go on that nobody may make.
var errNotJoined = fmt.Errorf("the lease is lost and what it allowed did not end within %s", joinWithin)

// leader knows whether this replica leads.
type leader struct {
	who     string                 // leads: leaderElected, leaderAlways or leaderNever
	lock    resourcelock.Interface // nil where nobody is elected
	me      string                 // names this replica among them
	logger  *slog.Logger
	leading atomic.Bool
}

// identity names this process among the replicas.
func identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s_%d_%x", host, os.Getpid(), time.Now().UnixNano()&0xffffff)
}

// Who leads, as the setting leader-elect says.
const (
	leaderElected = "on"
	leaderAlways  = "off"
	leaderNever   = "never"
)

func newLeader(kube *rest.Config, who, namespace, identity string, logger *slog.Logger) (*leader, error) {
	l := &leader{who: who, me: identity, logger: logger}
	if who != leaderElected {
		l.leading.Store(who == leaderAlways)
		return l, nil
	}
	client, err := coordinationv1.NewForConfig(kube)
	if err != nil {
		return nil, fmt.Errorf("lease: %w", err)
	}
	l.lock = &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: leaseName},
		Client:     client,
		LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
	}
	return l, nil
}

// Leading says whether this replica leads. An orderly end does not change it: what
// leads keeps its word until it is gone.
func (l *leader) Leading() bool { return l.leading.Load() }

// Measures says whether this replica measures and recommends, which changes nothing: of
// several the leader does, and one that never leads looks on alone.
func (l *leader) Measures() bool { return l.who == leaderNever || l.Leading() }

// run leads, whenever it may, until ctx ends.
func (l *leader) run(ctx context.Context, lead func(context.Context) error) error {
	switch l.who {
	case leaderNever:
		<-ctx.Done()
		return nil
	case leaderAlways:
		return lead(ctx)
	}
	for ctx.Err() == nil {
		if err := l.term(ctx, lead); err != nil {
			return err
		}
	}
	return nil
}

// term waits for the lease, leads while it holds, and joins what was begun.
func (l *leader) term(ctx context.Context, lead func(context.Context) error) error {
	began := make(chan struct{})
	done := make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: l.lock, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		ReleaseOnCancel: true, Name: leaseName,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				l.leading.Store(true)
				close(began)
				done <- lead(ctx)
			},
			OnStoppedLeading: func() {
				if ctx.Err() == nil {
					l.leading.Store(false)
				}
			},
		},
	})
	if err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	elector.Run(ctx)
	select {
	case <-began:
	default:
		return nil // it never led
	}
	if ctx.Err() == nil {
		l.logger.WarnContext(ctx, "the lease is lost: effects stop")
	}
	timer := time.NewTimer(joinWithin)
	defer timer.Stop()
	select {
	case err := <-done:
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	case <-timer.C:
		return errNotJoined
	}
}
