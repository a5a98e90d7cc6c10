package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/server/follow"
	"github.com/rightsizer/rightsizer/server/text"
	"github.com/rightsizer/rightsizer/watcher"
)

// Types of the events that tell of the configuration. Each replica tells of its own.
const (
	typeConfigChanged = "system.config_changed"
	typeConfigRefused = "system.config_refused"
)

// settings follow the file of the configuration. Its live settings are taken as they
// change; what else changes waits for a restart, and says so.
type settings struct {
	app     *App
	self    string // this process among the replicas
	files   *follow.Files[config.Result]
	changes *prometheus.CounterVec

	mu      sync.Mutex
	inForce config.Config
	waiting []config.Change // what waits for a restart, in the order of the reference
	told    int             // events so far
	refused bool            // the file as it is
}

// newSettings follows the file that the configuration was loaded from; there may be
// none.
func (a *App) newSettings() (*settings, error) {
	if a.opts.File == "" {
		return nil, nil //nolint:nilnil // nothing is followed
	}
	s := &settings{app: a, self: identity(), inForce: a.cfg, changes: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rightsizer_config_changes_total", Help: "Changes of the file of the configuration, by what became of them.",
	}, []string{"result"})}
	var err error
	s.files, err = follow.New(follow.Options[config.Result]{
		Paths: []string{a.opts.File}, What: "configuration", Logger: a.logger.With(slog.String("component", "config")),
		Parse: func(contents [][]byte) (config.Result, error) {
			in := a.opts.Input
			in.Contents = append([]byte{}, contents[0]...)
			return judged(config.Load(in))
		},
		Changed: s.changed,
	})
	if err != nil {
		return nil, a.wrong(config.ConfigKey, a.opts.File, err)
	}
	for _, result := range []string{"applied", "refused"} {
		s.changes.WithLabelValues(result)
	}
	return s, errors.Join(a.registry.Register(s.changes), a.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rightsizer_config_refused", Help: "1 while the file of the configuration is refused and the former one stays in force.",
	}, func() float64 {
		if s.files.Refused() != nil {
			return 1
		}
		return 0
	})), a.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rightsizer_config_restart_pending", Help: "Settings whose change in the file waits for a restart.",
	}, func() float64 { return float64(len(s.pending())) })))
}

// judged refuses what the detectors would, so that there is one way to refuse, and what
// is taken is taken as a whole.
func judged(loaded config.Result, err error) (config.Result, error) {
	if err != nil {
		return loaded, err
	}
	if err := thresholds(&loaded.Config).Validate(); err != nil {
		return loaded, fmt.Errorf("thresholds: %w", err)
	}
	return loaded, nil
}

// changed is told of each change of the file.
func (s *settings) changed(now config.Result, refused error) {
	ctx := context.Background()
	logger := s.app.logger.With(slog.String("component", "config"))
	was := s.swapRefused(refused != nil)
	if refused != nil { // follow has logged it
		s.changes.WithLabelValues("refused").Inc()
		s.tell(typeConfigRefused, rightsizerv1.Severity_SEVERITY_ERROR, "Refused",
			"The changed configuration is refused and the former one stays in force; the operator's log says why")
		return
	}
	news := s.take(now.Config)
	s.changes.WithLabelValues("applied").Inc()
	if news.none() && was {
		logger.InfoContext(ctx, "the configuration is refused no longer")
		s.tell(typeConfigChanged, rightsizerv1.Severity_SEVERITY_INFO, "Mended", "The configuration is refused no longer: it is the one in force")
		return
	}
	if news.none() {
		logger.DebugContext(ctx, "the file of the configuration changed, and no setting with it")
		return
	}
	logger.InfoContext(ctx, "the configuration changed", slog.Any("changes", news.applied),
		slog.Any("wait_for_restart", news.waiting), slog.Any("wait_no_longer", news.withdrawn))
	var parts []string
	add := func(words string, what []string) {
		if len(what) > 0 {
			parts = append(parts, words+": "+strings.Join(what, ", "))
		}
	}
	add("The configuration changed", news.applied)
	add("Waiting for a restart", news.waiting)
	add("No longer waiting for one", news.withdrawn)
	s.tell(typeConfigChanged, rightsizerv1.Severity_SEVERITY_INFO, "Changed", strings.Join(parts, ". "))
}

// news are what a change of the file brought, each as it is told: the live settings
// taken; what waits for a restart, and did not before or as something else; and what
// does no longer, for the file has again what is in force.
type news struct{ applied, waiting, withdrawn []string }

func (n *news) none() bool { return len(n.applied)+len(n.waiting)+len(n.withdrawn) == 0 }

// swapRefused notes whether the file is refused now, and says whether it was before.
func (s *settings) swapRefused(now bool) (was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, s.refused = s.refused, now
	return was
}

// take takes the live settings of next.
func (s *settings) take(next config.Config) news {
	s.mu.Lock()
	defer s.mu.Unlock()
	adopted := config.Adopt(s.inForce, next)
	s.app.tune(&adopted)
	var out news
	var waiting []config.Change
	for _, change := range config.Changes(&s.inForce, &next) {
		if change.Live {
			out.applied = append(out.applied, change.String())
			continue
		}
		waiting = append(waiting, change)
		if !slices.Contains(s.waiting, change) {
			out.waiting = append(out.waiting, change.String())
		}
	}
	for _, before := range s.waiting {
		if !slices.ContainsFunc(waiting, func(c config.Change) bool { return c.Key == before.Key }) {
			out.withdrawn = append(out.withdrawn, before.Key)
		}
	}
	s.inForce, s.waiting = adopted, waiting
	return out
}

// pending are the settings that wait for a restart.
func (s *settings) pending() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]string, len(s.waiting))
	for i, change := range s.waiting {
		keys[i] = change.Key
	}
	return keys
}

// tune brings the live settings to those who heed them.
func (a *App) tune(cfg *config.Config) {
	if tuned, ok := a.cluster.(interface{ Tune(watcher.Tuning) error }); ok {
		_ = tuned.Tune(watcher.Tuning{Thresholds: thresholds(cfg), Price: price(cfg)}) // It fails only for thresholds that judged refuses.
	}
	a.access.pace.SetPace(cfg.RequestsPerSecond, cfg.RequestBurst)
	if a.opts.SetLogLevel != nil {
		a.opts.SetLogLevel(cfg.Level())
	}
}

// tell publishes what became of the configuration.
func (s *settings) tell(eventType string, severity rightsizerv1.Severity, reason, message string) {
	cluster := s.app.cluster.ClusterID()
	if cluster == "" {
		return // nobody is told of a cluster that was never reached; the log has it
	}
	s.mu.Lock()
	s.told++
	ordinal := s.told
	s.mu.Unlock()
	sum := sha256.Sum256([]byte(strings.Join([]string{eventType, cluster, s.self, strconv.Itoa(ordinal)}, "\x00")))
	problem := hex.EncodeToString(sum[:16])
	now := timestamppb.Now()
	s.app.bus.Publish(&rightsizerv1.Event{
		Id: problem, ProblemId: problem, CorrelationId: problem, Phase: rightsizerv1.Phase_PHASE_POINT, Type: eventType, Severity: severity,
		OccurredTime: now, ObservedTime: now, Cluster: cluster, Object: &rightsizerv1.ObjectRef{Kind: "Operator", Name: "rightsizer"},
		Reason: reason, Message: text.Cut(message, maxReason),
	})
}

// withoutValues is what is wrong, without the values: an address may hold a secret,
// and health is for more people than the log.
func withoutValues(err error) string {
	problems := config.Problems(err)
	if len(problems) == 0 {
		return err.Error()
	}
	words := make([]string, len(problems))
	for i, p := range problems {
		p.Value = ""
		words[i] = p.Error()
	}
	return strings.Join(words, "; ")
}

func (a *App) settingsSteps() []step {
	if a.settings == nil {
		return nil
	}
	return []step{{name: "configuration", run: a.settings.run, grace: time.Second}}
}

func (s *settings) run(ctx context.Context) error {
	// What changed between the loading and the following.
	if now := s.files.Current(); len(config.Changes(&s.inForce, &now.Config)) > 0 {
		s.changed(now, nil)
	}
	return s.files.Run(ctx) //nolint:wrapcheck // it says what it is
}

// settingsHealth says whether the file is in force; nothing where none is followed.
func (a *App) settingsHealth() []*rightsizerv1.ComponentHealth {
	if a.settings == nil {
		return nil
	}
	out := &rightsizerv1.ComponentHealth{Component: "configuration", State: rightsizerv1.HealthState_HEALTH_STATE_OK, Since: timestamppb.New(a.started)}
	if waiting := a.settings.pending(); len(waiting) > 0 {
		out.Reason = text.Cut("changes wait for a restart: "+strings.Join(waiting, ", "), maxReason)
	}
	if refusal := a.settings.files.Refused(); refusal != nil {
		out.State, out.Since = rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, timestamppb.New(refusal.Since)
		out.Reason = text.Cut("the changed configuration is refused and the former one stays in force: "+withoutValues(refusal.Why), maxReason)
	}
	return []*rightsizerv1.ComponentHealth{out}
}
