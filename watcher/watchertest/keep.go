package watchertest

import (
	"io"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// ConfigMaps returns what was written, by namespace/name; it belongs to the caller.
func (s *Server) ConfigMaps() map[string]*corev1.ConfigMap {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]*corev1.ConfigMap, len(s.configMaps))
	for key, c := range s.configMaps {
		out[key] = c.DeepCopy()
	}
	return out
}

// PutConfigMap writes one as somebody else would.
func (s *Server) PutConfigMap(c *corev1.ConfigMap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.configMaps == nil {
		s.configMaps = make(map[string]*corev1.ConfigMap)
	}
	s.configMaps[c.Namespace+"/"+c.Name] = c.DeepCopy()
}

// configMap serves GET, PUT and POST of ConfigMaps; false for other paths.
func (s *Server) configMap(w http.ResponseWriter, r *http.Request) bool {
	namespace, name, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, namespaces+"/"), "/configmaps")
	if !ok {
		return false
	}
	key := namespace + name
	if r.Method == http.MethodGet {
		if held := s.ConfigMaps()[key]; held != nil {
			held.TypeMeta = metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}
			writeJSON(w, http.StatusOK, held)
			return true
		}
		writeStatus(w, status(http.StatusNotFound, metav1.StatusReasonNotFound, key+" not found"))
		return true
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(raw, nil, nil)
	c, isMap := obj.(*corev1.ConfigMap)
	if err != nil || !isMap {
		panic(err) // What the watcher sends is a test's own matter.
	}
	if r.Method == http.MethodPut && s.ConfigMaps()[c.Namespace+"/"+c.Name] == nil {
		writeStatus(w, status(http.StatusNotFound, metav1.StatusReasonNotFound, key+" not found"))
		return true
	}
	s.PutConfigMap(c)
	writeJSON(w, http.StatusOK, c)
	return true
}
