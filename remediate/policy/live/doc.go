// Package live keeps the policies of a cluster current: it follows the CRDs, the
// labels of namespaces and the freeze switch, and writes back what becomes of each
// policy as its conditions Accepted and Ready.
//
// Whoever acts on a policy has to know all of them as they are: Set gives an error
// where that is not so, because the first list is not complete, because a watch
// has been down for longer than StaleAfter, or because there are more policies
// than MaxPolicies. A cluster without the CRDs has no policies; they are looked
// for again and again, and found when they are installed.
//
// # Freeze switch
//
// ConfigMap rightsizer-freeze in the operator's namespace, key freeze: any value
// but an empty one and "false" freezes every effect at once, and is the reason
// that is shown. While it cannot be read, everything is frozen.
//
//	kubectl create configmap rightsizer-freeze -n rightsizer --from-literal=freeze='incident 42'
//
// # Concurrency
//
// All methods may be called from any goroutine. Run blocks until ctx ends and its
// goroutines are gone, and is called once.
package live
