package effects_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/rightsizer/rightsizer/deploy/e2e/effects"
)

func record(name, finished, pod, result string) unstructured.Unstructured {
	r := unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": name},
		"status":   map[string]any{"finishTime": finished, "targets": []any{map[string]any{"pod": pod, "result": result}}},
	}}
	return r
}

// What the checks of kills and of two leaders rest on finds what it is for.
func TestWhatIsWrongIsFound(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "audit.log")
	const line = `{"requestURI":"/api/v1/namespaces/n/pods/p/resize?fieldManager=rightsizer-a&timeout=9s","objectRef":{"namespace":"n","name":"p","subresource":"resize"},"responseStatus":{"code":200}}` + "\n"
	require.NoError(t, os.WriteFile(log, []byte(line+
		`{"requestURI":"/x?fieldManager=rightsizer-a&dryRun=All","objectRef":{"namespace":"n","name":"p","subresource":"resize"},"responseStatus":{"code":200}}`+"\n"+
		`{"requestURI":"/x?fieldManager=rightsizer-a","objectRef":{"namespace":"n","name":"p","subresource":"resize"},"responseStatus":{"code":409}}`+"\n"+
		`{"requestURI":"/x?fieldManager=rightsizer-a","objectRef":{"namespace":"other","name":"p","subresource":"resize"},"responseStatus":{"code":200}}`+"\n"+
		`{"requestURI":"/x?fieldManager=rightsizer-b","objectRef":{"namespace":"n","name":"q","subresource":"resize"},"responseStatus":{"code":504}}`+"\n"), 0o600))
	made, err := effects.Read(log, "n")
	require.NoError(t, err)
	require.Equal(t, effects.Log{
		Accepted:   []effects.Effect{{Manager: "rightsizer-a", Pod: "p"}},
		Unanswered: []effects.Effect{{Manager: "rightsizer-b", Pod: "q"}},
	}, made)
	good := record("a", "now", "p", "Confirmed")
	wrong := func(l effects.Log, records ...unstructured.Unstructured) []string { return l.Wrong(records) }
	assert.Empty(t, wrong(made, good), "nobody knows whether b's is in force")
	assert.Empty(t, wrong(made, good, record("b", "now", "q", "Applied")))
	assert.Contains(t, wrong(effects.Log{Accepted: append(made.Accepted, made.Accepted...)}, good)[0], "a second effect")
	assert.Contains(t, wrong(made)[0], "without its record")
	assert.Contains(t, wrong(effects.Log{}, good)[0], "without its effect")
	assert.Contains(t, wrong(made, record("a", "", "p", "Applied"))[0], "not come to its end")
	assert.Contains(t, wrong(made, record("a", "now", "p", "Intended"))[0], "without its record")
}
