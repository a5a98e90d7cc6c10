package detect

import (
	"cmp"
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

const (
	reasonFailedCreate = "FailedCreate"
	// reasonSetRefused is the Deployment controller's, of a ReplicaSet.
	reasonSetRefused = "ReplicaSetCreateError"
)

// Refused tells controllers that may not create, or delete, what they have to. A
// Deployment says so in its status, of its ReplicaSets and for them; of the others
// only Kubernetes Events tell.
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
		source = "condition ReplicaFailure of a Deployment, or Progressing with reason ReplicaSetCreateError; the " +
			"Kubernetes Event FailedCreate of other ReplicaSets, StatefulSets, DaemonSets, Jobs and CronJobs"
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
	told := len(out)
	if out = refusedRollout(in, out); len(out) > told {
		return out
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
	act := refusedAct{reason: reasonFailedCreate, verb: "create", what: "pods"}
	if c.Kind == "CronJob" {
		act.what = "Jobs"
	}
	f := refusal(in, act, note.Message, note.First, unix(note.Began))
	f.Wake = quiet
	return append(out, f)
}

// refusedRollout reads a Deployment's conditions. Once it may not create a
// ReplicaSet it no longer looks at what it said of pods.
//
// Source: getNewReplicaSet and calculateStatus of the Deployment and ReplicaSet
// controllers.
func refusedRollout(in *ControllerInput, out []Finding) []Finding {
	r := in.Cur.Rollout
	if r == nil {
		return out
	}
	if f := r.Condition("ReplicaFailure"); f != nil && f.Status == object.ConditionTrue {
		act := refusedAct{reason: cmp.Or(f.Reason, reasonFailedCreate), verb: "create", what: "pods"}
		if f.Reason == "FailedDelete" {
			act.verb = "delete"
		}
		out = append(out, refusal(in, act, f.Message, f.Since, unix(f.Since)))
	}
	if p := r.Condition("Progressing"); p != nil && p.Status == object.ConditionFalse && p.Reason == reasonSetRefused {
		act := refusedAct{reason: p.Reason, verb: "create", what: "ReplicaSets"}
		out = append(out, refusal(in, act, p.Message, p.Since, p.Reason+unix(p.Since)))
	}
	return out
}

// refusedAct is what a controller may not do.
type refusedAct struct{ reason, verb, what string }

// refusal makes the finding; episode, when it began, is part of its identity.
func refusal(in *ControllerInput, act refusedAct, message string, since int64, episode string) Finding {
	c := in.Cur
	eventType, details := readRefusal(message)
	return withReason(Finding{
		Problem: Identify(eventType, in.Cluster, c.UID, episode), Type: eventType,
		Severity: errored, Occurred: since, Reason: act.reason, Details: details,
		Message: c.Kind + " " + c.Name + " may not " + act.verb + " " + act.what,
		Ending:  c.Kind + " " + c.Name + " " + act.verb + "s " + act.what + " again",
	}, message)
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
	case reasonFailedCreate:
		return topicFailedCreate, "", true
	case "SuccessfulCreate":
		return topicCreated, "", true
	}
	return "", "", false
}
