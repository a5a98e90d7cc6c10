package detect

import (
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/watcher/object"
)

const (
	typeJobFailed     = "job.failed"
	typeCronJobMissed = "cronjob.missed"
)

// JobFailed tells Jobs that gave up.
type JobFailed struct{}

// Docs implements Detector.
func (JobFailed) Docs() []Doc {
	return []Doc{{
		Type: typeJobFailed, Severity: "error",
		Source: "condition Failed that is True, with its reason (BackoffLimitExceeded, DeadlineExceeded, " +
			"PodFailurePolicy, FailedIndexes, …)",
		Details: "JobFailedDetails", Resolves: point,
	}}
}

// Detect implements Detector.
func (JobFailed) Detect(in *ControllerInput, out []Finding) []Finding {
	c, failure := in.Cur, in.Cur.Failure
	if failure == nil {
		return out
	}
	f := Finding{
		// A Job fails once in its life.
		Problem: Identify(typeJobFailed, in.Cluster, c.UID), Type: typeJobFailed, Point: true,
		Severity: errored, Occurred: failure.Time, Reason: failure.Reason,
		Message: "Job " + c.Name + " failed after " + count(failure.Failed, "failed pod"),
		Details: &rightsizerv1.JobFailedDetails{
			Failed: failure.Failed, Succeeded: failure.Succeeded, BackoffLimit: failure.BackoffLimit, Message: failure.Message,
		},
	}
	return append(out, withReason(f, failure.Message))
}

// CronJobMissed tells CronJobs that did not start a Job when they should have.
type CronJobMissed struct{}

// topicMissed: a CronJob did not start a Job. The part is the reason.
const topicMissed Topic = "missed"

// Docs implements Detector.
func (CronJobMissed) Docs() []Doc {
	return []Doc{{
		Type: typeCronJobMissed, Severity: "warning; error where its schedule cannot be understood",
		Source: "the Kubernetes Events MissSchedule, TooManyMissedTimes, InvalidSchedule, " +
			"UnparseableSchedule, UnParseableCronJobSchedule and UnknownTimeZone of a CronJob",
		Details: "none", Resolves: point,
	}}
}

// Detect implements Detector.
func (CronJobMissed) Detect(in *ControllerInput, out []Finding) []Finding {
	c := in.Cur
	for i := range in.Evidence {
		note := &in.Evidence[i]
		if note.Topic != topicMissed || in.Gone || in.Now.Unix() >= note.Last+inSeconds(noteLife) {
			continue
		}
		f := Finding{
			Problem: Identify(typeCronJobMissed, in.Cluster, c.UID, note.Reason, unix(note.Last)),
			Type:    typeCronJobMissed, Point: true,
			Severity: warning, Occurred: note.Last, Reason: note.Reason,
			Message: "CronJob " + c.Name + " did not start a Job",
		}
		switch note.Reason {
		case "InvalidSchedule", "UnparseableSchedule", "UnParseableCronJobSchedule", "UnknownTimeZone":
			f.Severity = errored
		}
		out = append(out, withReason(f, note.Message))
	}
	return out
}

// withReason ends a message with what the cluster says.
func withReason(f Finding, said string) Finding {
	if said != "" {
		f.Message += ": " + said
	}
	return f
}

// readCronJobEvent sorts the Events of CronJobs by what they are evidence of.
func readCronJobEvent(e *object.KubeEvent) (topic Topic, part string, ok bool) {
	switch e.Reason {
	case "MissSchedule", "TooManyMissedTimes",
		"InvalidSchedule", "UnparseableSchedule", "UnParseableCronJobSchedule", "UnknownTimeZone":
		return topicMissed, e.Reason, true
	}
	return readControllerEvent(e)
}
