package detect

const (
	typeDNSFailed = "pod.dns_failed"

	topicDNS Topic = "dns"
)

// DNS finds pods whose resolver configuration the kubelet had to cut or could
// not make: names may not resolve as meant.
type DNS struct{}

// Docs implements Detector.
func (DNS) Docs() []Doc {
	return []Doc{{
		Type: typeDNSFailed, Severity: "warning", Source: "Kubernetes Event DNSConfigForming", Details: "–",
		Resolves: point,
	}}
}

// Detect implements Detector.
func (DNS) Detect(in *PodInput, out []Finding) []Finding {
	n := in.Evidence.Find(topicDNS, "")
	if n == nil {
		return out
	}
	return append(out, Finding{
		Problem:  Identify(typeDNSFailed, in.Cluster, in.Cur.UID, n.Reason, unix(n.Began)),
		Type:     typeDNSFailed,
		Point:    true,
		Severity: warning,
		Occurred: n.First,
		Reason:   n.Reason,
		Message:  "Pod " + in.Cur.Name + " does not get the DNS configuration that it asks for: " + sentence(n.Message),
	})
}
