// Package effects reads from the API server's own audit log which effects of
// decisions it accepted, and holds them against the records of these decisions.
package effects

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// AuditPolicy has the API server log every resize of a pod, whoever asks for it,
// and nothing else.
const AuditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, verbs: [patch, update], resources: [{group: "", resources: [pods/resize]}]}
- {level: None}
`

// Effect is a change of a pod under a field manager.
type Effect struct{ Manager, Pod string }

// Log are the resizes of a namespace by the API server's audit log, in order, dry
// runs and refusals aside.
type Log struct {
	// Accepted were made and answered.
	Accepted []Effect
	// Unanswered were being made as whoever asked for them was killed. The API server
	// logs a timeout (code 504) for these, whether they are in force by then or not.
	Unanswered []Effect
}

// Read reads what the API server logged.
func Read(auditLog, namespace string) (Log, error) {
	file, err := os.Open(auditLog)
	if err != nil {
		return Log{}, fmt.Errorf("audit log: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was read
	var out Log
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct {
			RequestURI     string
			ObjectRef      struct{ Namespace, Name, Subresource string }
			ResponseStatus struct{ Code int }
		}
		if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
			return Log{}, fmt.Errorf("audit log: %w", err)
		}
		at, err := url.Parse(entry.RequestURI)
		if err != nil {
			return Log{}, fmt.Errorf("audit log: %w", err)
		}
		if entry.ObjectRef.Subresource != "resize" || entry.ObjectRef.Namespace != namespace || at.Query().Get("dryRun") != "" {
			continue
		}
		effect := Effect{at.Query().Get("fieldManager"), entry.ObjectRef.Name}
		switch code := entry.ResponseStatus.Code; {
		case code == http.StatusOK:
			out.Accepted = append(out.Accepted, effect)
		case code == 0 || code >= http.StatusInternalServerError:
			out.Unanswered = append(out.Unanswered, effect)
		}
	}
	if err := lines.Err(); err != nil {
		return Log{}, fmt.Errorf("audit log: %w", err)
	}
	return out, nil
}

// Wrong lists what is wrong: an effect that was made twice, one without its record,
// a record without its effect, a record that has not come to its end. What nobody
// got an answer to may be in force or not: it proves a record, and asks for none.
func (l Log) Wrong(records []unstructured.Unstructured) (wrong []string) {
	times, maybe, recorded := map[Effect]int{}, map[Effect]bool{}, map[Effect]bool{}
	for _, e := range l.Accepted {
		if times[e]++; times[e] == 2 {
			wrong = append(wrong, fmt.Sprintf("a second effect of %s on %s", e.Manager, e.Pod))
		}
	}
	for _, e := range l.Unanswered {
		maybe[e] = true
	}
	for i := range records {
		r := &records[i]
		if end, _, _ := unstructured.NestedString(r.Object, "status", "finishTime"); end == "" {
			wrong = append(wrong, "record "+r.GetName()+" has not come to its end")
		}
		for _, e := range made(r) {
			recorded[e] = true
			if times[e] == 0 && !maybe[e] {
				wrong = append(wrong, fmt.Sprintf("a record of %s without its effect on %s", e.Manager, e.Pod))
			}
		}
	}
	for e := range times {
		if strings.HasPrefix(e.Manager, "rightsizer") && !recorded[e] {
			wrong = append(wrong, fmt.Sprintf("an effect of %s on %s without its record", e.Manager, e.Pod))
		}
	}
	return wrong
}

// made are the effects that a Remediation tells of.
func made(r *unstructured.Unstructured) (out []Effect) {
	targets, _, _ := unstructured.NestedSlice(r.Object, "status", "targets")
	for _, raw := range targets {
		target, ok := raw.(map[string]any)
		if !ok || target["result"] != "Applied" && target["result"] != "Confirmed" {
			continue
		}
		pod, _ := target["pod"].(string)
		out = append(out, Effect{"rightsizer-" + r.GetName(), pod})
	}
	return out
}
