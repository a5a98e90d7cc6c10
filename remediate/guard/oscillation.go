package guard

// oscillation: what went up, down and up again is not moved once more without a
// person. More memory after an OOM kill is not held up.
func oscillation(f *Facts) Verdict {
	d := &f.Decision
	if d.OOM && d.memory() == Raise && !d.lowers() {
		return pass("it answers an OOM kill with more memory")
	}
	since := f.Now.Add(-f.Limits.ReversalsWithin)
	cpu, memory, replicas := &trace{}, &trace{}, &trace{}
	for i := range f.History {
		p := &f.History[i]
		if p.sameContainer(f) && p.Started.After(since) {
			cpu.move(p.CPU)
			memory.move(p.Memory)
			replicas.move(p.Replicas)
		}
	}
	cpu.move(d.cpu())
	memory.move(d.memory())
	replicas.move(direction(int64(d.CurrentReplicas), int64(d.DesiredReplicas)))
	// Only what this action moves itself can be its fault.
	worst := max(cpu.reversals(d.cpu()), memory.reversals(d.memory()),
		replicas.reversals(direction(int64(d.CurrentReplicas), int64(d.DesiredReplicas))))
	v := pass("it does not go up and down")
	if worst >= f.Limits.Reversals {
		v = pass("it goes up and down, and was approved")
		if !d.Approved {
			v = approve("it goes up and down: a person should look")
		}
	}
	return v.with("reversals", worst).with("most", f.Limits.Reversals-1).with("within", f.Limits.ReversalsWithin)
}

// trace counts how often one value changed its direction.
type trace struct {
	last Direction
	n    int
}

func (t *trace) move(d Direction) {
	if d == Same {
		return
	}
	if t.last != Same && t.last != d {
		t.n++
	}
	t.last = d
}

func (t *trace) reversals(moved Direction) int {
	if moved == Same {
		return 0
	}
	return t.n
}
