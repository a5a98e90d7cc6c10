package v1alpha1_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// schema reads the schema of a CRD's spec.
func schema(t *testing.T, file string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../../deploy/crd", file))
	require.NoError(t, err)
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema struct {
						Properties map[string]map[string]any `json:"properties"`
					} `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	require.NoError(t, yaml.Unmarshal(raw, &crd))
	require.Len(t, crd.Spec.Versions, 1)
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
}

// fill fills defaults in, as the API server does.
func fill(value any, schema map[string]any) any {
	properties, _ := schema["properties"].(map[string]any)
	object, ok := value.(map[string]any)
	if !ok {
		items, _ := schema["items"].(map[string]any)
		if list, ok := value.([]any); ok && items != nil {
			for i := range list {
				list[i] = fill(list[i], items)
			}
		}
		return value
	}
	for name, p := range properties {
		property := p.(map[string]any)
		if _, set := object[name]; !set && property["default"] != nil {
			raw, _ := json.Marshal(property["default"])
			var value any
			_ = json.Unmarshal(raw, &value)
			object[name] = value
		}
		if object[name] != nil {
			object[name] = fill(object[name], property)
		}
	}
	return object
}

// The defaults in code are those of the CRDs.
func TestDefaultsAreTheCRDs(t *testing.T) {
	t.Parallel()
	sparse := `{"windows":[{"name":"w","start":"22:00","end":"06:00"}],
		"webhooks":[{"name":"h","url":"https://example.com","secretRef":{"name":"s"}}],
		"bounds":{"containers":[{"name":"app","cpu":{"max":"2"},"memory":{"max":"2Gi"}}]}}`
	for _, file := range []string{"rightsizer.dev_rightsizerpolicies.yaml", "rightsizer.dev_clusterrightsizerpolicies.yaml"} {
		for _, given := range []string{`{}`, sparse} {
			var filled any
			require.NoError(t, json.Unmarshal([]byte(given), &filled))
			raw, err := json.Marshal(fill(filled, schema(t, file)))
			require.NoError(t, err)
			var server, code v1alpha1.PolicySpec
			require.NoError(t, json.Unmarshal(raw, &server))
			require.NoError(t, json.Unmarshal([]byte(given), &code))
			code.SetDefaults()
			want, err := json.Marshal(server)
			require.NoError(t, err)
			got, err := json.Marshal(code)
			require.NoError(t, err)
			assert.JSONEq(t, string(want), string(got), "%s %s", file, given)
		}
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := v1alpha1.Of(time.Duration(rapid.Int64().Draw(t, "d")))
		raw, err := json.Marshal(d)
		require.NoError(t, err)
		var back v1alpha1.Duration
		require.NoError(t, json.Unmarshal(raw, &back))
		require.Equal(t, d, back)
	})
	var d v1alpha1.Duration
	assert.ErrorContains(t, json.Unmarshal([]byte(`"5 minutes"`), &d), `duration "5 minutes": must be one such as 90s, 5m or 1h30m`)
	assert.ErrorContains(t, json.Unmarshal([]byte(`5`), &d), `must be a string such as "5m"`)
}

func FuzzDuration(f *testing.F) {
	for _, seed := range []string{`"5m"`, `5`, `"`, `null`, `"-1ns"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var d v1alpha1.Duration
		if json.Unmarshal(raw, &d) == nil {
			_, err := json.Marshal(d)
			require.NoError(t, err)
		}
	})
}

func TestScheme(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	for _, kind := range []string{v1alpha1.KindPolicy, v1alpha1.KindClusterPolicy, v1alpha1.KindRemediation} {
		assert.True(t, scheme.Recognizes(v1alpha1.GroupVersion.WithKind(kind)))
		assert.True(t, scheme.Recognizes(v1alpha1.GroupVersion.WithKind(kind+"List")))
	}
}
