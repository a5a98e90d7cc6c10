package kubetest

import (
	"encoding/json"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Room says whether disruption budgets have room for an eviction, from now on.
func (a *API) Room(has bool) { a.locked(func() { a.full = !has }) }

// Replacements says whether the pods that controllers make from now on in place of
// others become ready.
func (a *API) Replacements(ready bool) { a.locked(func() { a.unready = !ready }) }

// evict evicts a pod, whose controller makes another one at once; a.mu is held.
func (a *API) evict(w Write, body []byte, dry bool) (any, error) {
	w.Verb = "create"
	if !dry {
		a.announce(w)
	}
	in := &policyv1.Eviction{}
	if err := json.Unmarshal(body, in); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	k := key{w.Namespace, w.Name}
	pod := a.pods[k]
	if pod == nil {
		return nil, notFound("pods", w.Name)
	}
	if p := in.DeleteOptions.Preconditions; p.UID != nil && *p.UID != pod.UID || p.ResourceVersion != nil && *p.ResourceVersion != pod.ResourceVersion {
		return nil, conflict("pods", w.Name, "the precondition does not match")
	}
	done := metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess, Code: 201}
	switch {
	case a.full:
		return nil, apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 10)
	case dry:
		return done, nil
	}
	delete(a.pods, k)
	for _, workload := range a.workloads {
		for i := range pod.OwnerReferences {
			if uid := pod.OwnerReferences[i].UID; uid == workload.GetUID() || uid == workload.GetUID()+"-rs" {
				a.makePod(workload, now().Time, !a.unready)
			}
		}
	}
	a.accept(w)
	return done, nil
}
