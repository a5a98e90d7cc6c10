// Package correlate joins events that share a probable cause into incidents.
//
// It remembers problems: what the events of one problem_id say, taken together.
// Each problem has at most one parent, the problem that most probably caused it,
// so that problems form trees. A tree is an incident and the problem at its top
// the incident's root.
//
//	event ─▶ problem ─▶ links of the rules ─▶ parent ─▶ tree = incident
//
// Rules says which problem may be the parent of which: links by place (the same
// node, workload, image, quota, or the cluster) and by time. The rules stand in
// one slice, the most telling first. The first rule that explains a problem has
// it; within a rule the surest link, then the nearest cause. A problem that a rule
// knows as a cause takes no parent from a rule further down. What no rule explains
// joins the other unexplained problems of its workload.
//
// # What holds
//
//   - The parents are a function of the set of remembered problems, not of the
//     order in which they came: an effect that is seen before its root moves under
//     it when the root comes. This holds for events that come no later than 10 min
//     after they occurred, and as long as nothing was forgotten for a bound.
//   - A problem is in one incident at a time. When it moves, the incident that it
//     leaves is returned once more without it, or, if nothing is left there, as
//     RESOLVED with the members it had and a summary that names the other one. A
//     problem belongs to the incident that last listed it.
//   - The id of an incident is the hash of the problem that was its root when it
//     opened: the same in all replicas and processes that saw that root first. It
//     stays when a better root comes. When two incidents become one, the id of the
//     one whose first member is older stays, whichever root wins.
//   - An incident is OPEN while a problem with a life goes on in it, or while its
//     latest POINT is younger than Options.Linger; else RESOLVED. A new member
//     opens it again.
//   - Its severity is the highest that any event of a member had. Problems that
//     never were more than info make no incident of their own; they are members of
//     the incidents of what they explain, or of what explains them.
//   - Its confidence is the mean over its members of how well the links on the way
//     to the root are founded, each way being as sure as its weakest link. The
//     figures are those of the rules' links, each with its basis. An incident of
//     one problem has 0.5: nothing speaks against it being its own root, and
//     nothing for it.
//   - What opens or ends an incident, changes its root or raises its severity is
//     returned at once. Other changes wait until Options.Settle has passed since
//     the incident was last returned (longer for a large one, up to 5 times), so
//     that a storm in one incident does not drive everything else out of the bus.
//
// # Bounds
//
// Options.MaxProblems bounds what is remembered, Options.MaxIncidents what is
// published and listed, 256 what one incident lists of its members. Each loss is
// counted in Stats; member_count of an incident includes what it does not list.
//
// # Concurrency
//
// A Correlator has no clock, no goroutine and no lock: its owner serializes the
// calls. The incidents that it returns are never changed afterwards and may be
// shared; so must be the events that it is given.
package correlate
