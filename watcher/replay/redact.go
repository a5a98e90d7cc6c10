package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
)

// maxAnnotation bounds the value of an annotation that is kept, in bytes.
const maxAnnotation = 256

// redact returns an object without what may be secret. It knows no kinds: a pod's
// template looks the same in all of them, and what a later watcher reads is
// treated alike. managedFields hold names alone; bulky
// leaves out most of them.
func redact(raw []byte, bulky bool) ([]byte, error) {
	fields, err := fieldsOf(raw)
	if err != nil {
		return nil, err
	}
	if kind := fields["kind"]; kind == "Secret" || kind == "ConfigMap" {
		for _, content := range []string{"data", "stringData", "binaryData"} {
			delete(fields, content)
		}
	}
	if meta, ok := fields["metadata"].(map[string]any); ok && bulky {
		kept := keptFields(fields["spec"], meta["managedFields"])
		delete(meta, "managedFields")
		if len(kept) > 0 {
			meta["managedFields"] = kept
		}
	}
	strip(fields)
	out, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	return out, nil
}

// keptFields are the managedFields by which a pod's problems are told apart: who
// said last that it finds no node, and when.
func keptFields(spec, managed any) (kept []any) {
	pod, _ := spec.(map[string]any)
	if node, _ := pod["nodeName"].(string); node != "" {
		return nil // The kubelet owns the condition, with all others.
	}
	entries, _ := managed.([]any)
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		fields, err := json.Marshal(entry["fieldsV1"])
		if err == nil && entry["subresource"] == "status" && bytes.Contains(fields, []byte("PodScheduled")) {
			kept = append(kept, entry)
		}
	}
	return kept
}

// fieldsOf keeps numbers as they are written.
func fieldsOf(raw []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var fields map[string]any
	if err := dec.Decode(&fields); err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	return fields, nil
}

// strip removes from a value and everything below it.
func strip(value any) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			strip(item)
		}
	case map[string]any:
		for name, below := range v {
			if !stripField(v, name, below) {
				strip(below)
			}
		}
	}
}

// stripField treats a field that needs it, and says whether it did.
func stripField(parent map[string]any, name string, value any) bool {
	switch name {
	case "managedFields": // Fields of these names are no fields.
		return true
	case "command", "args", // Of containers, probes and hooks.
		// Of volumes: parameters of their drivers.
		"volumeAttributes", "options":
		delete(parent, name)
	case "env", "httpHeaders":
		items, ok := value.([]any)
		if !ok {
			return false
		}
		for _, item := range items {
			if variable, ok := item.(map[string]any); ok {
				delete(variable, "value")
			}
		}
	case "annotations":
		annotations, ok := value.(map[string]any)
		if !ok {
			return false
		}
		for key, text := range annotations {
			if !keepsAnnotation(key, text) {
				delete(annotations, key)
			}
		}
	case "terminated":
		end, ok := value.(map[string]any)
		if ok && !ownWords(end["reason"]) {
			delete(end, "message")
		}
	default:
		return false
	}
	return true
}

// ownWords says that an end's message is the kubelet's or the runtime's. For any
// other reason it is what the program left behind, often the end of its log.
func ownWords(reason any) bool {
	switch reason {
	case "StartError", "ContainerCannotRun", "ContainerStatusUnknown":
		return true
	}
	return false
}

// keepsAnnotation keeps short annotations of Kubernetes and of this project, but
// not those that repeat a whole object or a command line.
func keepsAnnotation(key string, value any) bool {
	text, ok := value.(string)
	if key == appsv1.DeprecatedTemplateGeneration {
		return ok && len(text) <= maxAnnotation // The revision of a DaemonSet, which has no domain.
	}
	domain, _, found := strings.Cut(key, "/")
	if !ok || !found || len(text) > maxAnnotation ||
		key == "kubectl.kubernetes.io/last-applied-configuration" || key == "kubernetes.io/change-cause" {
		return false
	}
	for _, trusted := range []string{"kubernetes.io", "k8s.io", "rightsizer.dev"} {
		if domain == trusted || strings.HasSuffix(domain, "."+trusted) {
			return true
		}
	}
	return false
}
