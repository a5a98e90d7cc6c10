// Package remediate repairs workloads: it decides by policy, checks again, acts,
// verifies, takes back what did not help, and leaves a record of each step.
//
//	bus ─pull─▶ causes ─▶ plan ─▶ guards ─▶ Remediation ─▶ effect ─▶ verification
//	                                            │ status, audit chain, Events, bus
//
// # Durable
//
// A decision is a Remediation object. Everything that is done next follows from its
// status and the live objects: after a crash, or under another leader, the same
// step is taken again, and an effect whose intent is recorded is read back first.
//
// # Concurrency
//
//   - Run follows the Remediations of the cluster, in every replica, until its
//     context ends. Lead carries out what is decided while this replica leads, and
//     returns when its own goroutines are gone. Both are called once at a time.
//   - What belongs to one workload is done by one worker at a time.
//   - All other methods may be called from any goroutine.
//   - Guards are asked one at a time, and what they let through counts for the next
//     one at once, so that two workers never share the last place in a budget.
//
// # Bounds
//
// Workloads that wait are kept by name, each once, MaxWaiting of them; causes of
// one workload MaxCauses. What is beyond is dropped, counted and told in Health;
// it comes back when the cluster shows it again. Remediations are kept seven days, and
// as long as new pods need their cure, 500 in a namespace; then new ones are refused.
package remediate
