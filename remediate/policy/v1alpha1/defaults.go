package v1alpha1

import "time"

// SetDefaults fills in what is unset as the API server does, for a spec that was
// not read from it.
func (s *PolicySpec) SetDefaults() {
	fill(&s.Mode, ModeRecommend)
	fill(&s.Persistence, PersistNewPods)
	fill(&s.RiskCeiling, RiskMedium)
	fill(&s.MaxCauseAge, Of(10*time.Minute))
	s.Bounds.setDefaults()
	s.Budgets.Workload.setDefaults(Budget{Per: Of(10 * time.Minute), Actions: 6, Disruptions: 2, Concurrent: 1})
	s.Budgets.Namespace.setDefaults(Budget{Per: Of(10 * time.Minute), Actions: 60, Disruptions: 5, Concurrent: 2})
	for i := range s.Windows {
		fill(&s.Windows[i].Type, WindowAllow)
		fill(&s.Windows[i].TimeZone, "UTC")
	}
	fill(&s.Cooldowns, Cooldowns{Raise: Of(10 * time.Second)})
	fill(&s.Cooldowns.Lower, Of(6*time.Hour))
	fill(&s.Cooldowns.Disrupt, Of(10*time.Minute))
	if s.Approval.FourEyes == nil {
		s.Approval.FourEyes = new(true)
	}
	fill(&s.Approval.Expiry, Of(time.Hour))
	s.Verification.SetDefaults()
	for i := range s.Webhooks {
		s.Webhooks[i].setDefaults()
	}
}

// SetDefaults fills in what is unset as the API server does.
func (v *Verification) SetDefaults() {
	fill(&v.Window, Of(5*time.Minute))
	fill(&v.ReadyWithin, Of(5*time.Minute))
	if v.MaxThrottledPercent == nil {
		v.MaxThrottledPercent = new(int32(25))
	}
	fill(&v.MaxMemoryPercent, 95)
	fill(&v.OnFailure, OnFailureRollBack)
}

func (b *Bounds) setDefaults() {
	b.CPU.setDefaults()
	b.Memory.setDefaults()
	for i := range b.Containers {
		if c := b.Containers[i].CPU; c != nil {
			c.setDefaults()
		}
		if m := b.Containers[i].Memory; m != nil {
			m.setDefaults()
		}
	}
	if b.MinReplicas == nil {
		b.MinReplicas = new(int32(1))
	}
}

func (b *ResourceBounds) setDefaults() {
	fill(&b.MaxIncreasePercent, 100)
	fill(&b.MaxDecreasePercent, 25)
}

// setDefaults fills in an unset budget, which is one without a time: the other
// fields may be 0 on purpose.
func (b *Budget) setDefaults(to Budget) {
	if b.Per.Duration == 0 {
		*b = to
	}
}

func (w *Webhook) setDefaults() {
	fill(&w.Timeout, Of(5*time.Second))
	fill(&w.Answer, WebhookIgnore)
	if w.SecretRef != nil {
		fill(&w.SecretRef.Key, "secret")
	}
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
