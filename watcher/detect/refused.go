package detect

import (
	"regexp"
	"time"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

// The types of Refused, by who refuses.
const (
	typeQuota        = "quota.exceeded"
	typeLimitRange   = "limitrange.refused"
	typeAdmission    = "admission.refused"
	typeFailedCreate = "replicaset.failed_create"
)

// Refused tells controllers that may not create what they have to. A Deployment
// says so in its status, for its ReplicaSets; of the others only Kubernetes
// Events tell.
type Refused struct{}

const (
	// topicFailedCreate: a controller could not create a pod or a Job.
	topicFailedCreate Topic = "failed_create"
	// topicCreated: it could.
	topicCreated Topic = "created"
)

// refusedQuiet is how long a refusal lasts without being said again. The
// controllers try again after 1,000 s at the latest (the cap of their queues),
// which the Event must have time to follow.
const refusedQuiet = 20 * time.Minute

// Docs implements Detector.
func (Refused) Docs() []Doc {
	const (
		source = "condition ReplicaFailure of a Deployment; the Kubernetes Event FailedCreate of other ReplicaSets, " +
			"StatefulSets, DaemonSets, Jobs and CronJobs"
		severity = "error"
		resolves = "the condition is gone; the Event SuccessfulCreate, all pods wanted are there, the Job is over, or " +
			"nothing said for 20 min; it is deleted"
	)
	row := func(eventType, says string) Doc {
		return Doc{Type: eventType, Severity: severity, Source: source + ", " + says, Details: "RefusedDetails", Resolves: resolves}
	}
	return []Doc{
		row(typeQuota, "that says `exceeded quota`"),
		row(typeLimitRange, "in the words of a LimitRange (`maximum memory usage per Container is …`)"),
		row(typeAdmission, "in the words of an admission webhook, an admission policy, Pod Security, or of a quota "+
			"that wants requests or limits set or has no status yet"),
		row(typeFailedCreate, "that says anything else, for example a ServiceAccount that does not exist"),
	}
}

// Detect implements Detector.
func (Refused) Detect(in *ControllerInput, out []Finding) []Finding {
	c := in.Cur
	if in.Gone || c.Kind == "ReplicaSet" && c.Parent != nil && c.Parent.Kind == "Deployment" {
		return out
	}
	if c.Rollout != nil {
		if failure := c.Rollout.Condition("ReplicaFailure"); failure != nil && failure.Status == object.ConditionTrue {
			return append(out, refusal(in, failure.Message, failure.Since, unix(failure.Since)))
		}
	}
	note := in.Evidence.Find(topicFailedCreate, "")
	if note == nil || c.Failure != nil || c.Rollout != nil && c.Desired > 0 && c.Rollout.Replicas >= c.Desired {
		return out
	}
	if created := in.Evidence.Find(topicCreated, ""); created != nil && created.Last > note.Last {
		return out
	}
	quiet := note.Last + inSeconds(refusedQuiet)
	if in.Now.Unix() >= quiet {
		return out
	}
	f := refusal(in, note.Message, note.First, unix(note.Began))
	f.Wake = quiet
	return append(out, f)
}

// refusal makes the finding; episode, when it began, is part of its identity.
func refusal(in *ControllerInput, message string, since int64, episode string) Finding {
	c := in.Cur
	eventType, details := readRefusal(message)
	f := Finding{
		Problem: Identify(eventType, in.Cluster, c.UID, episode), Type: eventType,
		Severity: errored, Occurred: since, Reason: "FailedCreate", Details: details,
		Message: c.Kind + " " + c.Name + " may not create pods",
		Ending:  c.Kind + " " + c.Name + " creates pods again",
	}
	if c.Kind == "CronJob" {
		f.Message = "CronJob " + c.Name + " may not create Jobs"
		f.Ending = "CronJob " + c.Name + " creates Jobs again"
	}
	return withReason(f, message)
}

// The API server's words.
//
// Source: resourcequota/controller.go, limitranger/admission.go, webhook/errors.
var (
	quotaExceeded = regexp.MustCompile(`exceeded quota: ([^\s,]+)(?:, requested: (\S+?), used: (\S+?), limited: (\S+))?`)
	quotaUnset    = regexp.MustCompile(`failed quota: ([^\s:]+): must specify`)
	quotaUnknown  = regexp.MustCompile(`status unknown for quota: ([^\s,]+)`)
	limitRange    = regexp.MustCompile(`(?:maximum|minimum) \S+ usage per \S+ is|limit to request ratio per`)
	webhook       = regexp.MustCompile(`(?:admission webhook|failed calling webhook) "([^"]+)"`)
	policy        = regexp.MustCompile(`ValidatingAdmissionPolicy '([^']+)'`)
	podSecurity   = regexp.MustCompile(`violates PodSecurity "([^"]+)"`)
)

// readRefusal tells who refuses, and as much as the words say.
func readRefusal(message string) (eventType string, details *rightsizerv1.RefusedDetails) {
	details = &rightsizerv1.RefusedDetails{Message: message}
	if m := quotaExceeded.FindStringSubmatch(message); m != nil {
		details.RefusedBy = clip(m[1], 253)
		details.Requested, details.Used, details.Limited = clip(m[2], 256), clip(m[3], 256), clip(m[4], 256)
		return typeQuota, details
	}
	if limitRange.MatchString(message) {
		return typeLimitRange, details
	}
	for _, words := range []*regexp.Regexp{webhook, policy, quotaUnset, quotaUnknown, podSecurity} {
		if m := words.FindStringSubmatch(message); m != nil {
			details.RefusedBy = clip(m[1], 253)
			if words == podSecurity {
				details.RefusedBy = clip("PodSecurity "+m[1], 253)
			}
			return typeAdmission, details
		}
	}
	return typeFailedCreate, details
}

// readControllerEvent sorts the Events of controllers by what they are evidence
// of.
func readControllerEvent(e *object.KubeEvent) (topic Topic, part string, ok bool) {
	switch e.Reason {
	case "FailedCreate":
		return topicFailedCreate, "", true
	case "SuccessfulCreate":
		return topicCreated, "", true
	}
	return "", "", false
}
