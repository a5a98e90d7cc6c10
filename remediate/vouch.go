package remediate

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// A status is what is gone by, and others may be able to write it: where no
// admission policy keeps them from it, whoever may update remediations/status can
// write that something was approved, or carried out and by what it can be taken
// back. The audit chain is the operator's alone. So what others' words would bring
// about is believed where the chain has it, or where nobody else can have written it.

// Evidence in a record that ties it to one Remediation, and to its effects.
const (
	evidenceUID     = "remediation_uid"
	evidenceIntents = "intents"
	intentDigits    = 11 // 64 bits in base64
	intentsInOne    = 46 // in a value of 512 bytes
)

const (
	// readChainFor bounds a look into the chain.
	readChainFor = 30 * time.Second
	// clocksDiffer is by how much a replica's clock may be behind the API server's.
	clocksDiffer = 10 * time.Minute
)

// word is what the audit chain says of one Remediation.
type word struct {
	uid    string
	claims map[claim]bool
	seen   int64 // what there is in the chain up to here is known
}

// claim is what a status says: that it came to a state, or that an effect was
// intended.
type claim struct {
	state  rightsizerv1.RemediationState
	intent string
}

// words are those of the Remediations in the book: what this process recorded itself
// is known without reading.
type words struct {
	mu sync.Mutex
	of map[objectKey]*word
}

// note keeps what a record says.
func (w *words) note(record *rightsizerv1.AuditRecord) {
	uid := record.GetEvidence()[evidenceUID]
	if uid == "" || record.GetRemediation() == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.at(objectKey{record.GetNamespace(), record.GetRemediation()}, uid)
	at.claims[claim{state: record.GetStateAfter()}] = true
	for _, intent := range intentsIn(record.GetEvidence()) {
		at.claims[claim{intent: intent}] = true
	}
}

// believe notes a claim without a record.
func (w *words) believe(o origin, c claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at(o.key, o.uid).claims[c] = true
}

// at is the word of a Remediation, of which there may have been another by that
// name; w.mu is held.
func (w *words) at(key objectKey, uid string) *word {
	if at := w.of[key]; at != nil && at.uid == uid {
		return at
	}
	if w.of == nil {
		w.of = map[objectKey]*word{}
	}
	at := &word{uid: uid, claims: map[claim]bool{}}
	w.of[key] = at
	return at
}

// has returns whether a claim is known to hold, and up to where the chain is known.
func (w *words) has(o origin, c claim) (bool, int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.of[o.key]
	if at == nil || at.uid != o.uid {
		return false, 0
	}
	return at.claims[c], at.seen
}

func (w *words) read(o origin, upTo int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.at(o.key, o.uid)
	at.seen = max(at.seen, upTo)
}

// keep forgets all but those that hold says are held.
func (w *words) keep(holds func(objectKey) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.of {
		if !holds(key) {
			delete(w.of, key)
		}
	}
}

func (w *words) forget(key objectKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.of, key)
}

// origin is which Remediation a word is about; none of it can be forged.
type origin struct {
	key     objectKey
	uid     string
	created time.Time
}

func originOf(r *v1alpha1.Remediation) origin {
	return origin{objectKey{r.Namespace, r.Name}, string(r.UID), r.CreationTimestamp.Time}
}

// vouched says whether it is sure that a Remediation came to a state by the
// operator. An error says that it is not known now.
func (e *Engine) vouched(ctx context.Context, o origin, state v1alpha1.RemediationState) (bool, error) {
	return e.holds(ctx, o, claim{state: states[state]})
}

// holds says whether what the status of a Remediation claims is in the chain, or
// nobody but the operator could write it since the Remediation was made.
func (e *Engine) holds(ctx context.Context, o origin, c claim) (bool, error) {
	ok, seen := e.words.has(o, c)
	if ok {
		return true, nil
	}
	since, err := e.opts.Policies.ApprovalsBound(ctx, o.key.namespace)
	switch {
	case err == nil && since.Before(o.created):
		e.words.believe(o, c) // whoever writes the status later
		return true, nil
	case err != nil && !errors.Is(err, policy.ErrUnbound):
		return false, fmt.Errorf("whether the status of remediations is guarded: %w", err)
	}
	if err := e.readChain(ctx, o, seen); err != nil {
		return false, fmt.Errorf("what the audit chain says of it: %w", err)
	}
	ok, _ = e.words.has(o, c)
	return ok, nil
}

// readChain notes what the chain says of a Remediation, from its latest record to
// what was read before, or to when the Remediation was made.
func (e *Engine) readChain(ctx context.Context, o origin, seen int64) error {
	ctx, cancel := context.WithTimeout(ctx, readChainFor)
	defer cancel()
	newest := seen
	err := e.opts.Audit.Records(ctx, 0, func(record *rightsizerv1.AuditRecord) bool {
		if record.GetSequence() <= seen || record.GetTime().AsTime().Before(o.created.Add(-clocksDiffer)) {
			return false
		}
		newest = max(newest, record.GetSequence())
		if record.GetNamespace() == o.key.namespace && record.GetRemediation() == o.key.name && record.GetEvidence()[evidenceUID] == o.uid {
			e.words.note(record)
		}
		return true
	})
	if err != nil {
		return err
	}
	e.words.read(o, newest)
	return nil
}

// intent is an effect in so few letters that a record has room for those of every
// pod: what is changed, from what to what.
func intent(t *v1alpha1.Target) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{t.UID, t.Pod, valueText(t.Before), valueText(t.Desired)}, "\n")))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:intentDigits]
}

// putIntents writes the intents of targets into the evidence of a record.
func putIntents(evidence map[string]string, targets []v1alpha1.Target) {
	var text strings.Builder
	for i := range targets {
		text.WriteString(intent(&targets[i]))
		if at := i + 1; at%intentsInOne == 0 || at == len(targets) {
			evidence[intentsKey((at-1)/intentsInOne)] = text.String()
			text.Reset()
		}
	}
}

func intentsKey(n int) string {
	if n == 0 {
		return evidenceIntents
	}
	return fmt.Sprintf("%s_%d", evidenceIntents, n+1)
}

func intentsIn(evidence map[string]string) (out []string) {
	for n := 0; evidence[intentsKey(n)] != ""; n++ {
		for text := evidence[intentsKey(n)]; len(text) >= intentDigits; text = text[intentDigits:] {
			out = append(out, text[:intentDigits])
		}
	}
	return out
}
