// Package plan decides what a repair is: how it moves from state to state, what
// it is called, how large a container becomes, and how risky that is. It is pure:
// it reads no clock and talks to nobody.
//
// # States
//
// [Move] is the only way in which a Remediation changes its state, and the table
// in states.go the only place that says which state follows which.
//
// # Names
//
// [Name] is hash(cluster, workload UID, container, action, episode). Episodes of
// one key are numbered: the next begins when the one before has come to an end, so
// that every process that knows the same Remediations gives the same name, and one
// that knows fewer finds the name taken and looks again.
//
// # Size of a cure
//
// [CureOOM] gives a container that was OOM-killed more memory: the larger of what
// is recommended and of a rule that grows from kill to kill, so that a need of up
// to four times the limit is met after at most three kills (where the policy lets
// one step double it). It never gives less than there is.
package plan
