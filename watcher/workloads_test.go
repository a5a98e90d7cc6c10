package watcher_test

import (
	"fmt"
	"strings"
)

// deployment in YAML: how many are wanted, of the new revision, available.
func deployment(generation, revision string, wanted, updated, available int, conditions ...string) string {
	return fmt.Sprintf(`
metadata: {name: web, namespace: shop, uid: uweb, generation: %s, annotations: {deployment.kubernetes.io/revision: %q}}
spec: {replicas: %d}
status:
  observedGeneration: %s
  replicas: %d
  updatedReplicas: %d
  readyReplicas: %d
  availableReplicas: %d
  conditions: [%s]
`, generation, revision, wanted, generation, max(wanted, updated), updated, available, available, strings.Join(conditions, ", "))
}

const (
	progressed = `{type: Progressing, status: "True", reason: NewReplicaSetAvailable}`
	stuck      = `{type: Progressing, status: "False", reason: ProgressDeadlineExceeded, lastTransitionTime: "2026-11-23T12:11:00Z"}`
	tooFew     = `{type: Available, status: "False", reason: MinimumReplicasUnavailable, lastTransitionTime: "2026-11-23T11:58:30Z"}`
)

func statefulSet(current, update string, wanted, updated, available int) string {
	return fmt.Sprintf(`
metadata: {name: db, namespace: shop, uid: udb, generation: %d}
spec: {replicas: %d}
status: {observedGeneration: 9, replicas: %d, currentRevision: %s, updateRevision: %s, updatedReplicas: %d, readyReplicas: %d, availableReplicas: %d}
`, wanted, wanted, wanted, current, update, updated, available, available)
}

func daemonSet(template string, wanted, updated, available int) string {
	return fmt.Sprintf(`
metadata: {name: agent, namespace: shop, uid: uagent, generation: 1, annotations: {deprecated.daemonset.template.generation: %q}}
status: {observedGeneration: 1, desiredNumberScheduled: %d, currentNumberScheduled: %d, updatedNumberScheduled: %d, numberReady: %d, numberAvailable: %d}
`, template, wanted, wanted, updated, available, available)
}

func failedJob(reason string) string {
	return fmt.Sprintf(`
metadata: {name: nightly, namespace: shop, uid: unightly}
spec: {backoffLimit: 2}
status: {failed: 3, conditions: [{type: Failed, status: "True", reason: %s, message: Job has reached the specified backoff limit, lastTransitionTime: "2026-11-23T11:59:00Z"}]}
`, reason)
}

const cronJob = `metadata: {name: hourly, namespace: shop, uid: uhourly}`

// eventOf is a Kubernetes Event of an object in namespace shop.
func eventOf(at, kind, name, reason, message string) string {
	return fmt.Sprintf(`
metadata: {name: %s.%s, namespace: shop}
involvedObject: {kind: %s, name: %s, namespace: shop, uid: u%s}
reason: %s
message: %q
firstTimestamp: "2026-11-23T%sZ"
lastTimestamp: "2026-11-23T%sZ"
`, name, strings.ToLower(reason), kind, name, name, reason, message, at, at)
}

var workloadStories = map[string]story{
	"a Deployment that is there is no news": {
		start: map[string][]string{"deployments": {deployment("1", "1", 2, 2, 2, progressed)}},
	},
	"a new Deployment rolls out": {
		moments: []moment{
			{at: "12:00:01", resource: "deployments", object: deployment("1", "", 2, 0, 0)},
			{
				at: "12:00:02", resource: "deployments", object: deployment("1", "1", 2, 2, 0),
				want: []string{"POINT deployment.rollout_started"}, said: []string{"Deployment web rolls out revision 1"},
			},
			{at: "12:00:03", resource: "deployments", object: deployment("1", "1", 2, 2, 1)},
			{
				at: "12:00:12", resource: "deployments", object: deployment("1", "1", 2, 2, 2, progressed),
				want: []string{"POINT deployment.rolled"}, said: []string{"has rolled out revision 1 to 2 pods in 10 s"},
			},
			{at: "12:00:13", resource: "deployments", object: deployment("1", "1", 2, 2, 1, progressed)},
			{at: "12:00:14", resource: "deployments", object: deployment("1", "1", 2, 2, 2, progressed)},
		},
	},
	"a rollout that was under way at start ends": {
		start: map[string][]string{"deployments": {deployment("2", "2", 2, 1, 2, `{type: Progressing, status: "True", reason: ReplicaSetUpdated}`)}},
		moments: []moment{
			{at: "12:01:00", resource: "deployments", object: deployment("2", "2", 2, 2, 2, progressed), want: []string{"POINT deployment.rolled"}},
		},
	},
	"a rollout is stuck, then taken back": {
		start: map[string][]string{"deployments": {deployment("1", "1", 4, 4, 4, progressed)}},
		moments: []moment{
			{at: "12:01:00", resource: "deployments", object: deployment("2", "2", 4, 1, 4), want: []string{"POINT deployment.rollout_started"}},
			{
				at: "12:11:00", resource: "deployments", object: deployment("2", "2", 4, 1, 4, stuck), want: []string{"OPENED deployment.stuck"},
				said: []string{"The rollout of Deployment web is stuck: 1 of 4 pods are of revision 2, 4 available"},
			},
			{
				at: "12:12:00", resource: "deployments", object: deployment("3", "3", 4, 4, 4, progressed),
				want: []string{"POINT deployment.rollout_started", "POINT deployment.rolled", "RESOLVED deployment.stuck"},
			},
		},
	},
	"scaled, to nothing and back": {
		start: map[string][]string{"deployments": {deployment("1", "1", 2, 2, 2, progressed)}, "statefulsets": {statefulSet("r1", "r1", 1, 1, 1)}},
		moments: []moment{
			{
				at: "12:01:00", resource: "deployments", object: deployment("2", "1", 0, 0, 0, progressed),
				want: []string{"POINT deployment.scaled"}, said: []string{"Deployment web was scaled from 2 to 0 pods"},
			},
			{at: "12:02:00", resource: "deployments", object: deployment("3", "1", 2, 2, 2, progressed), want: []string{"POINT deployment.scaled"}},
			{at: "12:03:00", resource: "statefulsets", object: statefulSet("r1", "r1", 3, 3, 3), want: []string{"POINT statefulset.scaled"}},
		},
	},
	"short of pods, then without, then whole, then short again": {
		start: map[string][]string{"deployments": {deployment("1", "1", 4, 4, 4, progressed)}},
		moments: []moment{
			{at: "12:01:00", resource: "deployments", object: deployment("1", "1", 4, 4, 3, progressed)},
			{at: "12:02:59"},
			{
				at: "12:03:00", want: []string{"OPENED deployment.unavailable"},
				said: []string{"Deployment web has been short of pods for 2 min: 3 of 4 available"},
			},
			{at: "12:04:00", resource: "deployments", object: deployment("1", "1", 4, 4, 0, progressed), want: []string{"UPDATED deployment.unavailable"}},
			{
				at: "12:04:10", resource: "deployments", object: deployment("1", "1", 4, 4, 1, progressed),
				want: []string{"UPDATED deployment.unavailable"}, said: []string{"1 of 4 available"},
			},
			{at: "12:04:20", resource: "deployments", object: deployment("1", "1", 4, 4, 2, progressed)},
			{at: "12:04:20", resource: "deployments", object: deployment("1", "1", 4, 4, 0, progressed), want: []string{"UPDATED deployment.unavailable"}},
			{at: "12:05:00", resource: "deployments", object: deployment("1", "1", 4, 4, 4, progressed), want: []string{"RESOLVED deployment.unavailable"}},
			{at: "12:06:00", resource: "deployments", object: deployment("1", "1", 4, 4, 3, progressed)},
			{at: "12:08:00", want: []string{"OPENED deployment.unavailable"}},
		},
	},
	"short of pods since before the start": {
		start: map[string][]string{"deployments": {deployment("1", "1", 2, 2, 1, progressed, tooFew)}},
		moments: []moment{
			{at: "12:00:29"},
			{at: "12:00:30", want: []string{"OPENED deployment.unavailable"}},
		},
	},
	"a StatefulSet rolls, falls short, and is deleted": {
		start: map[string][]string{"statefulsets": {statefulSet("r1", "r1", 2, 2, 2)}},
		moments: []moment{
			{at: "12:01:00", resource: "statefulsets", object: statefulSet("r1", "r2", 2, 0, 2), want: []string{"POINT statefulset.rollout_started"}},
			{at: "12:02:00", resource: "statefulsets", object: statefulSet("r1", "r2", 2, 1, 1)},
			{at: "12:04:00", want: []string{"OPENED statefulset.unavailable"}},
			{
				at: "12:05:00", resource: "statefulsets", object: statefulSet("r2", "r2", 2, 2, 2),
				want: []string{"POINT statefulset.rolled", "RESOLVED statefulset.unavailable"},
			},
			{at: "12:06:00", resource: "statefulsets", object: statefulSet("r2", "r2", 2, 2, 0)},
			{at: "12:08:00", want: []string{"OPENED statefulset.unavailable"}},
			{
				at: "12:09:00", resource: "statefulsets", object: statefulSet("r2", "r2", 2, 2, 0), deleted: true,
				want: []string{"RESOLVED statefulset.unavailable"}, said: []string{"was deleted"},
			},
		},
	},
	"a DaemonSet rolls and falls short": {
		start: map[string][]string{"daemonsets": {daemonSet("1", 2, 2, 2)}},
		moments: []moment{
			{at: "12:01:00", resource: "daemonsets", object: daemonSet("2", 2, 0, 2), want: []string{"POINT daemonset.rollout_started"}},
			{at: "12:01:10", resource: "daemonsets", object: daemonSet("2", 2, 2, 2), want: []string{"POINT daemonset.rolled"}},
			{at: "12:02:00", resource: "daemonsets", object: daemonSet("2", 3, 3, 2)},
			{at: "12:04:00", want: []string{"OPENED daemonset.unavailable"}},
		},
	},
	"a Job fails": {
		moments: []moment{
			{at: "12:00:01", resource: "jobs", object: `metadata: {name: nightly, namespace: shop, uid: unightly}`},
			{
				at: "12:01:00", resource: "jobs", object: failedJob("BackoffLimitExceeded"), want: []string{"POINT job.failed"},
				said: []string{"Job nightly failed after 3 failed pods: Job has reached the specified backoff limit"},
			},
			{at: "12:01:01", resource: "jobs", object: failedJob("BackoffLimitExceeded")},
		},
	},
	"a Job that failed before": {
		start: map[string][]string{"jobs": {failedJob("DeadlineExceeded")}}, found: []string{"POINT job.failed"},
	},
	"a CronJob misses its time": {
		start: map[string][]string{"cronjobs": {cronJob}},
		moments: []moment{
			{
				at: "12:01:00", resource: "events", object: eventOf("12:00:59", "CronJob", "hourly", "MissSchedule", "Missed scheduled time to start a job: now"),
				want: []string{"POINT cronjob.missed"}, said: []string{"CronJob hourly did not start a Job: Missed scheduled time"},
			},
			{
				at: "12:02:00", resource: "events", object: eventOf("12:01:59", "CronJob", "hourly", "UnknownTimeZone", `invalid timeZone: "Mars"`),
				want: []string{"POINT cronjob.missed"},
			},
		},
	},
}

const (
	overQuota  = `pods "web-1" is forbidden: exceeded quota: tight, requested: requests.memory=64Mi, used: requests.memory=64Mi, limited: requests.memory=100Mi`
	overLimit  = `pods "web-1" is forbidden: maximum memory usage per Container is 32Mi, but limit is 64Mi`
	overPolicy = `admission webhook "policy.example.com" denied the request: no latest tags`
	noLimits   = `pods "web-1" is forbidden: failed quota: explicit: must specify limits.cpu for: app`
	newQuota   = `pods "web-1" is forbidden: status unknown for quota: explicit, resources: limits.cpu`
	noAccount  = `pods "web-1" is forbidden: error looking up service account shop/web: serviceaccount "web" not found`
)

func refused(message string) string {
	return deployment("1", "1", 2, 1, 1, progressed,
		fmt.Sprintf(`{type: ReplicaFailure, status: "True", reason: FailedCreate, lastTransitionTime: "2026-11-23T12:00:30Z", message: %q}`, message))
}

// setRefused: the Deployment's next ReplicaSet is; the pods of the former stay.
func setRefused(message string) string {
	return fmt.Sprintf(`{type: Progressing, status: "False", reason: ReplicaSetCreateError, lastTransitionTime: "2026-11-23T12:00:30Z", message: %q}`,
		`Failed to create new replica set "web-5d4f": `+message)
}

const (
	setsOverQuota = `replicasets.apps "web-5d4f" is forbidden: exceeded quota: objects, requested: count/replicasets.apps=1, used: count/replicasets.apps=4, limited: count/replicasets.apps=4`
	notDeleted    = `{type: ReplicaFailure, status: "True", reason: FailedDelete, lastTransitionTime: "2026-11-23T12:00:30Z", message: 'admission webhook "keep.example.com" denied the request: kept'}`
)

var refusalStories = map[string]story{
	"a quota refuses the ReplicaSet of a Deployment that has all its pods": {
		start: map[string][]string{"deployments": {deployment("1", "1", 2, 2, 2, progressed)}},
		moments: []moment{
			{
				at: "12:00:31", resource: "deployments", object: deployment("2", "1", 2, 2, 2, setRefused(setsOverQuota)), want: []string{"OPENED quota.exceeded"},
				said: []string{`Deployment web may not create ReplicaSets: Failed to create new replica set "web-5d4f": replicasets.apps "web-5d4f" is forbidden: exceeded quota: objects`},
			},
			{
				at: "12:01:00", resource: "deployments", object: deployment("2", "2", 2, 1, 2, `{type: Progressing, status: "True", reason: NewReplicaSetCreated}`),
				want: []string{"POINT deployment.rollout_started", "RESOLVED quota.exceeded"}, said: []string{"", "Deployment web creates ReplicaSets again"},
			},
		},
	},
	"found with a ReplicaSet that is refused, and pods": {
		start: map[string][]string{"deployments": {deployment("1", "1", 2, 1, 1, setRefused(setsOverQuota),
			`{type: ReplicaFailure, status: "True", reason: FailedCreate, lastTransitionTime: "2026-11-23T12:00:30Z", message: 'exceeded quota: tight'}`)}},
		found: []string{"OPENED quota.exceeded", "OPENED quota.exceeded"},
	},
	"pods may not be deleted": {
		start: map[string][]string{"deployments": {deployment("1", "1", 2, 2, 2, progressed)}},
		moments: []moment{
			{
				at: "12:00:31", resource: "deployments", object: deployment("1", "1", 2, 2, 2, progressed, notDeleted), want: []string{"OPENED admission.refused"},
				said: []string{"Deployment web may not delete pods: admission webhook"},
			},
			{
				at: "12:01:00", resource: "deployments", object: deployment("1", "1", 2, 2, 2, progressed), want: []string{"RESOLVED admission.refused"},
				said: []string{"Deployment web deletes pods again"},
			},
		},
	},
	"a quota refuses a Deployment's pods, then something else does": {
		moments: []moment{
			{at: "12:00:01", resource: "deployments", object: deployment("1", "", 2, 0, 0)},
			{
				at: "12:00:30", resource: "deployments", object: refused(overQuota), want: []string{"POINT deployment.rollout_started", "OPENED quota.exceeded"},
				said: []string{"", "Deployment web may not create pods: pods \"web-1\" is forbidden: exceeded quota: tight"},
			},
			{at: "12:00:40", resource: "deployments", object: refused(overLimit), want: []string{"OPENED limitrange.refused", "RESOLVED quota.exceeded"}},
			{at: "12:00:50", resource: "deployments", object: refused(overPolicy), want: []string{"OPENED admission.refused", "RESOLVED limitrange.refused"}},
			{at: "12:01:00", resource: "deployments", object: refused(noAccount), want: []string{"OPENED replicaset.failed_create", "RESOLVED admission.refused"}},
			{
				at: "12:01:10", resource: "deployments", object: deployment("1", "1", 2, 2, 2, progressed),
				want: []string{"POINT deployment.rolled", "RESOLVED replicaset.failed_create"},
			},
		},
	},
	"found refused": {
		start: map[string][]string{"deployments": {refused(overQuota)}}, found: []string{"OPENED quota.exceeded"},
	},
	"found refused for want of limits, which a quota counts": {
		start: map[string][]string{"deployments": {refused(noLimits)}}, found: []string{"OPENED admission.refused"},
	},
	"found refused by a quota without a status": {
		start: map[string][]string{"deployments": {refused(newQuota)}}, found: []string{"OPENED admission.refused"},
	},
	"a StatefulSet's pods are refused until one is created": {
		start: map[string][]string{"statefulsets": {statefulSet("r1", "r1", 2, 1, 2)}},
		moments: []moment{
			{at: "12:00:30", resource: "events", object: eventOf("12:00:30", "StatefulSet", "db", "SuccessfulCreate", "create Pod db-0 in StatefulSet db successful")},
			{
				at: "12:01:00", resource: "statefulsets", object: strings.Replace(statefulSet("r1", "r1", 2, 1, 1), "replicas: 2, currentRevision", "replicas: 1, currentRevision", 1),
			},
			{
				at: "12:01:01", resource: "events", object: eventOf("12:01:01", "StatefulSet", "db", "FailedCreate", "create Pod db-1 in StatefulSet db failed error: "+overQuota),
				want: []string{"OPENED quota.exceeded"},
			},
			{
				at: "12:01:30", resource: "events", object: eventOf("12:01:30", "StatefulSet", "db", "SuccessfulCreate", "create Pod db-1 in StatefulSet db successful"),
				want: []string{"RESOLVED quota.exceeded"},
			},
		},
	},
	"a Job's pods are refused until it is quiet": {
		start: map[string][]string{"jobs": {`metadata: {name: nightly, namespace: shop, uid: unightly}`}},
		moments: []moment{
			{at: "12:01:00", resource: "events", object: eventOf("12:01:00", "Job", "nightly", "FailedCreate", "Error creating: "+overQuota), want: []string{"OPENED quota.exceeded"}},
			{at: "12:16:00", resource: "events", object: eventOf("12:16:00", "Job", "nightly", "FailedCreate", "Error creating: "+overQuota)},
			{at: "12:35:59"},
			{at: "12:36:00", want: []string{"RESOLVED quota.exceeded"}},
		},
	},
}

func autoscaler(current int, conditions string) string {
	return fmt.Sprintf(`
metadata: {name: web, namespace: shop, uid: uhpa}
spec: {maxReplicas: 5, scaleTargetRef: {kind: Deployment, name: web}}
status: {currentReplicas: %d, desiredReplicas: %d, conditions: [%s]}
`, current, current, conditions)
}

func budget(expected, healthy, required, allowed int, status string) string {
	return fmt.Sprintf(`
metadata: {name: web, namespace: shop, uid: updb}
status: {expectedPods: %d, currentHealthy: %d, desiredHealthy: %d, disruptionsAllowed: %d, conditions: [
  {type: DisruptionAllowed, status: %q, lastTransitionTime: "2026-11-23T11:55:00Z"}]}
`, expected, healthy, required, allowed, status)
}

// uncounted is a budget whose pods' owner has no scale.
func uncounted(expected, healthy, required int) string {
	return strings.Replace(budget(expected, healthy, required, 0, "False"), `status: "False"`,
		`status: "False", reason: SyncFailed, message: "found no controllers for pod \"web-0\"\e[2J"`, 1)
}

const (
	limited = `{type: ScalingLimited, status: "True", reason: TooManyReplicas, lastTransitionTime: "2026-11-23T12:00:30Z"}`
	blind   = `{type: ScalingActive, status: "False", reason: FailedGetResourceMetric, message: no metrics, lastTransitionTime: "2026-11-23T12:00:30Z"}`
	idle    = `{type: ScalingActive, status: "False", reason: ScalingDisabled, lastTransitionTime: "2026-11-23T12:00:30Z"}`
)

var policyStories = map[string]story{
	"an autoscaler wants more than it may": {
		start: map[string][]string{"horizontalpodautoscalers": {autoscaler(3, "")}},
		moments: []moment{
			{at: "12:00:30", resource: "horizontalpodautoscalers", object: autoscaler(4, limited)},
			{
				at: "12:00:45", resource: "horizontalpodautoscalers", object: autoscaler(5, limited), want: []string{"OPENED hpa.at_maximum"},
				said: []string{"Deployment web is at the maximum of its autoscaler web, 5 replicas, and needs more"},
			},
			{at: "12:01:00", resource: "horizontalpodautoscalers", object: autoscaler(4, ""), want: []string{"RESOLVED hpa.at_maximum"}},
		},
	},
	"an autoscaler without metrics": {
		start: map[string][]string{"horizontalpodautoscalers": {autoscaler(3, "")}},
		moments: []moment{
			{at: "12:00:30", resource: "horizontalpodautoscalers", object: autoscaler(3, blind)},
			{at: "12:01:29"},
			{at: "12:01:30", want: []string{"OPENED hpa.failing"}, said: []string{"does not work: FailedGetResourceMetric, no metrics"}},
			{at: "12:02:00", resource: "horizontalpodautoscalers", object: autoscaler(0, idle), want: []string{"RESOLVED hpa.failing"}},
			{at: "12:09:00"},
		},
	},
	"an autoscaler is deleted": {
		start: map[string][]string{"horizontalpodautoscalers": {autoscaler(5, limited)}}, found: []string{"OPENED hpa.at_maximum"},
		moments: []moment{
			{at: "12:01:00", resource: "horizontalpodautoscalers", object: autoscaler(5, limited), deleted: true, want: []string{"RESOLVED hpa.at_maximum"}},
		},
	},
	"a disruption budget blocks": {
		start: map[string][]string{"poddisruptionbudgets": {budget(3, 2, 2, 0, "False")}},
		moments: []moment{
			{at: "12:04:59"},
			{
				at: "12:05:00", want: []string{"OPENED pdb.blocking"},
				said: []string{"PodDisruptionBudget web allows no eviction: 2 of its 3 pods are healthy and 2 must be"},
			},
			{at: "12:06:00", resource: "poddisruptionbudgets", object: budget(3, 3, 2, 1, "True"), want: []string{"RESOLVED pdb.blocking"}},
		},
	},
	"a disruption budget whose pods cannot be counted": {
		start: map[string][]string{"poddisruptionbudgets": {uncounted(0, 0, 0)}},
		moments: []moment{
			{at: "12:04:59"},
			{
				at: "12:05:00", want: []string{"OPENED pdb.blocking"},
				said: []string{`PodDisruptionBudget web allows no eviction, since its pods cannot be counted: found no controllers for pod "web-0" [2J`},
			},
			{at: "12:06:00", resource: "poddisruptionbudgets", object: budget(3, 3, 2, 1, "True"), want: []string{"RESOLVED pdb.blocking"}},
		},
	},
	"a disruption budget whose pods can be counted no more": {
		start: map[string][]string{"poddisruptionbudgets": {uncounted(3, 3, 2)}},
		moments: []moment{
			{
				at: "12:05:00", want: []string{"OPENED pdb.blocking"},
				said: []string{"PodDisruptionBudget web allows no eviction, since its pods cannot be counted: found no"},
			},
		},
	},
	"a disruption budget of none, and one that can never allow": {
		start: map[string][]string{"poddisruptionbudgets": {budget(0, 0, 0, 0, "False")}},
		moments: []moment{
			{at: "12:06:00"},
			{
				at: "12:07:00", resource: "poddisruptionbudgets", object: budget(2, 2, 2, 0, "False"), want: []string{"OPENED pdb.blocking"},
				said: []string{"so that it can never allow one"},
			},
		},
	},
}
