package live_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"github.com/rightsizer/rightsizer/deploy/admission"
	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/remediate/policy"
	"github.com/rightsizer/rightsizer/remediate/policy/live"
	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

var (
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	pods       = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// api is a fake API server with what a Store reads.
type api struct {
	*fake.FakeDynamicClient
	t *testing.T
}

func newAPI(t *testing.T, objs ...runtime.Object) api {
	t.Helper()
	return api{fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		v1alpha1.PolicyResource: "RightSizerPolicyList", v1alpha1.ClusterPolicyResource: "ClusterRightSizerPolicyList",
		namespaces: "NamespaceList", configMaps: "ConfigMapList", pods: "PodList",
	}, objs...), t}
}

func object(apiVersion, kind, namespace, name string, more map[string]any) *unstructured.Unstructured {
	out := &unstructured.Unstructured{Object: map[string]any{}}
	maps.Copy(out.Object, more)
	out.SetAPIVersion(apiVersion)
	out.SetKind(kind)
	out.SetNamespace(namespace)
	out.SetName(name)
	out.SetGeneration(1)
	return out
}

func policyIn(namespace, name string, spec map[string]any) *unstructured.Unstructured {
	return object("rightsizer.dev/v1alpha1", v1alpha1.KindPolicy, namespace, name, map[string]any{"spec": spec})
}

// start runs a Store in a synctest bubble; it is gone when the test ends.
func start(t *testing.T, client api, registerer prometheus.Registerer) *live.Store {
	t.Helper()
	return startWith(t, live.Options{Client: client, Registerer: registerer})
}

func startWith(t *testing.T, opts live.Options) *live.Store {
	t.Helper()
	opts.OperatorNamespace, opts.Logger = "rightsizer", slog.New(slog.DiscardHandler)
	store, err := live.New(opts)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- store.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	synctest.Wait()
	return store
}

func governs(t *testing.T, s *live.Store, w *policy.Workload) string {
	t.Helper()
	set, err := s.Set()
	require.NoError(t, err)
	return set.Govern(w).String()
}

func TestPoliciesAreFollowedAndTheirConditionsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newAPI(t, policyIn("shop", "default", map[string]any{"mode": "Auto"}))
		registry := prometheus.NewRegistry()
		s := start(t, client, registry)
		w := &policy.Workload{Namespace: "shop", Kind: "Deployment", Name: "web"}
		assert.Equal(t, "RightSizerPolicy/shop/default", governs(t, s, w))

		in := client.Resource(v1alpha1.PolicyResource).Namespace("shop")
		conditions := func(name string) (accepted, ready *metav1.Condition) {
			obj, err := in.Get(t.Context(), name, metav1.GetOptions{})
			require.NoError(t, err)
			read := &v1alpha1.RightSizerPolicy{}
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, read))
			return meta.FindStatusCondition(read.Status.Conditions, "Accepted"), meta.FindStatusCondition(read.Status.Conditions, "Ready")
		}
		accepted, ready := conditions("default")
		require.NotNil(t, accepted)
		assert.Equal(t, metav1.ConditionTrue, accepted.Status)
		assert.EqualValues(t, 1, accepted.ObservedGeneration)
		assert.Equal(t, "InForce", ready.Reason)

		// One that cannot be followed is told so, keeps its place, and acts on nothing.
		bad := policyIn("shop", "windows", map[string]any{
			"mode": "Auto", "selector": map[string]any{"names": []any{"web"}},
			"windows": []any{map[string]any{"name": "night", "timeZone": "Mars/Olympus", "start": "22:00", "end": "06:00"}},
		})
		_, err := in.Create(t.Context(), bad, metav1.CreateOptions{})
		require.NoError(t, err)
		synctest.Wait()
		set, err := s.Set()
		require.NoError(t, err)
		governing := set.Govern(w)
		assert.Equal(t, "RightSizerPolicy/shop/windows", governing.String())
		assert.Equal(t, v1alpha1.ModeRecommend, governing.ModeFor(v1alpha1.ActionRestartPod))
		accepted, ready = conditions("windows")
		assert.Equal(t, metav1.ConditionFalse, accepted.Status)
		assert.Contains(t, accepted.Message, `timeZone "Mars/Olympus" is not known: must be an IANA name`)
		assert.Equal(t, metav1.ConditionFalse, ready.Status)
		assert.Equal(t, "GovernsAsRecommend", ready.Reason)
		n, err := testutil.GatherAndCount(registry, "rightsizer_policies")
		require.NoError(t, err)
		assert.Equal(t, 4, n)

		writes := func() (n int) {
			for _, a := range client.Actions() {
				if a.GetVerb() == "patch" {
					n++
				}
			}
			return n
		}
		before := writes()
		time.Sleep(time.Hour) // of the bubble: nothing is written again
		assert.Equal(t, before, writes())

		require.NoError(t, in.Delete(t.Context(), "windows", metav1.DeleteOptions{}))
		synctest.Wait()
		assert.Equal(t, "RightSizerPolicy/shop/default", governs(t, s, w))
	})
}

func TestASilentStoreWritesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newAPI(t, policyIn("shop", "default", map[string]any{"mode": "Auto"}))
		s := startWith(t, live.Options{Client: client, Silent: true})
		assert.Equal(t, "RightSizerPolicy/shop/default", governs(t, s, &policy.Workload{Namespace: "shop", Kind: "Deployment", Name: "web"}))
		time.Sleep(time.Minute)
		for _, action := range client.Actions() {
			assert.Contains(t, []string{"get", "list", "watch"}, action.GetVerb())
		}
	})
}

func TestReservedNamespacesGovernNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newAPI(t, policyIn("kube-system", "grab", map[string]any{"mode": "Auto"}), policyIn("rightsizer", "self", map[string]any{"mode": "Auto"}))
		s := start(t, client, nil)
		for _, namespace := range []string{"kube-system", "rightsizer"} {
			assert.Equal(t, "none", governs(t, s, &policy.Workload{Namespace: namespace, Kind: "Deployment", Name: "web"}))
		}
		all, err := s.Policies()
		require.NoError(t, err)
		for _, p := range all {
			assert.False(t, p.GetReady())
			assert.Contains(t, p.GetMessage(), "out of reach")
		}
	})
}

func TestNamespaceLabelsAndExplain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shop := object("v1", "Namespace", "", "shop", nil)
		shop.SetLabels(map[string]string{"env": "prod"})
		prod := object("rightsizer.dev/v1alpha1", v1alpha1.KindClusterPolicy, "", "prod", map[string]any{"spec": map[string]any{
			"mode": "Approve", "modes": []any{map[string]any{"action": "scale", "mode": "Off"}},
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{"env": "prod"}},
		}})
		pod := object("v1", "Pod", "shop", "web-0", nil)
		s := start(t, newAPI(t, shop, prod, pod), nil)

		resp, err := s.Explain(t.Context(), "shop", "Pod", "web-0")
		require.NoError(t, err)
		assert.Equal(t, "prod", resp.GetPolicy().GetName())
		assert.Equal(t, rightsizerv1.PolicyMode_POLICY_MODE_OFF, resp.GetPolicy().GetModeByAction()["scale"])
		require.Len(t, resp.GetMatches(), 1)
		assert.Contains(t, resp.GetMatches()[0].GetReason(), "governs: a cluster policy for the labels of this namespace")

		_, err = s.Explain(t.Context(), "shop", "Pod", "gone")
		assert.True(t, apierrors.IsNotFound(err), err)
		_, err = s.Explain(t.Context(), "shop", "Widget", "w")
		assert.ErrorAs(t, err, &live.UnknownKindError{})
	})
}

// Without the CRDs there are no policies, which is known; they are found when the
// CRDs come.
func TestAbsentCRDs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newAPI(t, policyIn("shop", "default", map[string]any{"mode": "Auto"}))
		var installed atomic.Bool
		client.PrependReactor("list", v1alpha1.PolicyResource.Resource, func(clienttesting.Action) (bool, runtime.Object, error) {
			return !installed.Load(), nil, apierrors.NewNotFound(v1alpha1.PolicyResource.GroupResource(), "")
		})
		s := start(t, client, nil)
		w := &policy.Workload{Namespace: "shop", Kind: "Deployment", Name: "web"}
		assert.Equal(t, "none", governs(t, s, w))
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_OK, s.Health().GetState())
		assert.Contains(t, s.Health().GetReason(), "the CRDs are not installed")

		time.Sleep(time.Hour)
		assert.Equal(t, "none", governs(t, s, w))
		installed.Store(true)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, "RightSizerPolicy/shop/default", governs(t, s, w))
		assert.Empty(t, s.Health().GetReason())
	})
}

// What is not known is not decided by: before the first list, and when it has not
// been followed for a while. The last that was seen holds in between.
func TestASetThatIsNotCurrentIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newAPI(t, policyIn("shop", "default", map[string]any{"mode": "Auto"}))
		var down atomic.Bool
		down.Store(true)
		refuse := func(clienttesting.Action) (bool, runtime.Object, error) {
			return down.Load(), nil, errors.New("it is down")
		}
		client.PrependReactor("list", "namespaces", refuse)
		s := start(t, client, nil)
		_, err := s.Set()
		require.ErrorContains(t, err, "namespaces: not read yet: it is down")
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DOWN, s.Health().GetState())

		down.Store(false)
		time.Sleep(10 * time.Second)
		_, err = s.Set()
		require.NoError(t, err)
	})
}

func TestTooManyPolicies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newAPI(t)
		many := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "rightsizer.dev/v1alpha1", "kind": "RightSizerPolicyList"}}
		for range live.MaxPolicies + 1 {
			many.Items = append(many.Items, *policyIn("shop", "p", nil))
		}
		client.PrependReactor("list", v1alpha1.PolicyResource.Resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, many, nil })
		s := start(t, client, nil)
		_, err := s.Set()
		assert.ErrorContains(t, err, "rightsizerpolicies: there are more than 2000")
	})
}

func TestFreezeSwitch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newAPI(t)
		s := start(t, client, nil)
		assert.Empty(t, s.Frozen())
		in := client.Resource(configMaps).Namespace("rightsizer")
		set := func(value string) map[string]any {
			return map[string]any{"data": map[string]any{live.FreezeKey: value}}
		}
		_, err := in.Create(t.Context(), object("v1", "ConfigMap", "rightsizer", live.FreezeConfigMap, set("incident 42")), metav1.CreateOptions{})
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, "incident 42", s.Frozen())
		assert.Equal(t, rightsizerv1.HealthState_HEALTH_STATE_DEGRADED, s.Health().GetState())
		assert.Contains(t, s.Health().GetReason(), "incident 42")
		_, err = in.Update(t.Context(), object("v1", "ConfigMap", "rightsizer", live.FreezeConfigMap, set("false")), metav1.UpdateOptions{})
		require.NoError(t, err)
		synctest.Wait()
		assert.Empty(t, s.Frozen())
	})
}

// What cannot be read is frozen.
func TestAFreezeSwitchThatCannotBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newAPI(t)
		client.PrependReactor("list", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(configMaps.GroupResource(), "", errors.New("no right"))
		})
		assert.Contains(t, start(t, client, nil).Frozen(), "it cannot be read whether everything is frozen")
	})
}

func TestApprovalsBound(t *testing.T) {
	t.Parallel()
	const group = "admissionregistration.k8s.io/v1"
	vap := func(failure string, changes ...string) *unstructured.Unstructured {
		text, _, _ := strings.Cut(string(admission.Approval), "\n---\n")
		changed := strings.NewReplacer(append(changes, "failurePolicy: Fail", "failurePolicy: "+failure)...).Replace(text)
		found := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(changed), &found.Object))
		return found
	}
	binding := func(action string, match map[string]any) *unstructured.Unstructured {
		spec := map[string]any{"policyName": live.ApprovalPolicy, "validationActions": []any{action}}
		if match != nil {
			spec["matchResources"] = match
		}
		return object(group, "ValidatingAdmissionPolicyBinding", "", live.ApprovalPolicy, map[string]any{"spec": spec})
	}
	only := func(name string) map[string]any {
		return map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": name}}}
	}
	for name, c := range map[string]struct {
		objs []runtime.Object
		err  string
	}{
		"none":                {nil, "not found"},
		"no binding":          {[]runtime.Object{vap("Fail")}, "ValidatingAdmissionPolicyBinding"},
		"in force":            {[]runtime.Object{vap("Fail"), binding("Deny", nil)}, ""},
		"another operator":    {[]runtime.Object{vap("Fail", "rightsizer:rightsizer'", "ops:fixer'"), binding("Deny", nil)}, ""},
		"lets bob":            {[]runtime.Object{vap("Fail", "== request.userInfo.username", "== request.userInfo.username || request.userInfo.username == 'bob'"), binding("Deny", nil)}, "is another than"},
		"looks away":          {[]runtime.Object{vap("Fail", "resources: [remediations, remediations/status]", "resources: [remediations]"), binding("Deny", nil)}, "is another than"},
		"nothing but a name":  {[]runtime.Object{object(group, "ValidatingAdmissionPolicy", "", live.ApprovalPolicy, map[string]any{"spec": map[string]any{"failurePolicy": "Fail"}}), binding("Deny", nil)}, "is another than"},
		"some namespaces":     {[]runtime.Object{vap("Fail", "  matchConstraints:\n", "  matchConstraints:\n    namespaceSelector: {matchLabels: {a: b}}\n"), binding("Deny", nil)}, "namespaceSelector"},
		"ignores failures":    {[]runtime.Object{vap("Ignore"), binding("Deny", nil)}, "must be Fail"},
		"only warns":          {[]runtime.Object{vap("Fail"), binding("Warn", nil)}, "must bind"},
		"this namespace":      {[]runtime.Object{vap("Fail"), binding("Deny", only("shop"))}, ""},
		"another namespace":   {[]runtime.Object{vap("Fail"), binding("Deny", only("bank"))}, "leaves this namespace out"},
		"some objects":        {[]runtime.Object{vap("Fail"), binding("Deny", map[string]any{"objectSelector": map[string]any{"matchLabels": map[string]any{"a": "b"}}})}, "objectSelector"},
		"some resources":      {[]runtime.Object{vap("Fail"), binding("Deny", map[string]any{"excludeResourceRules": []any{}})}, "excludeResourceRules"},
		"selectors for all":   {[]runtime.Object{vap("Fail"), binding("Deny", map[string]any{"objectSelector": map[string]any{}, "namespaceSelector": map[string]any{}, "matchPolicy": "Equivalent"})}, ""},
		"unreadable selector": {[]runtime.Object{vap("Fail"), binding("Deny", map[string]any{"namespaceSelector": map[string]any{"matchLabels": "x"}})}, "ValidatingAdmissionPolicyBinding"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				shop := object("v1", "Namespace", "", "shop", nil)
				shop.SetLabels(map[string]string{"kubernetes.io/metadata.name": "shop"})
				_, err := start(t, newAPI(t, append(c.objs, shop)...), nil).ApprovalsBound(t.Context(), "shop")
				if c.err == "" {
					assert.NoError(t, err)
					return
				}
				assert.ErrorContains(t, err, "approvals by kubectl are not heeded")
				assert.ErrorContains(t, err, c.err)
			})
		})
	}
}
