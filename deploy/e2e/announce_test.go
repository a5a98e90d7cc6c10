package e2e_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/rightsizer/rightsizer/remediate/announce"
)

// What is announced is what a real API server shows among the Events of the object.
func TestAnnouncementsAreEventsOfTheObject(t *testing.T) {
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	require.NoError(t, err)
	a, err := announce.New(announce.Options{Config: cluster.RESTConfig(), Replica: "e2e", Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	defer func() {
		cancel()
		assert.NoError(t, <-done)
	}()
	for _, regarding := range []announce.Object{
		{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "default", Name: "announced", UID: "u-1"},
		{APIVersion: "rightsizer.dev/v1alpha1", Kind: "ClusterRightSizerPolicy", Name: "announced", UID: "u-2"},
	} {
		require.NoError(t, a.Say(announce.Notice{Regarding: regarding, Reason: "Resized", Action: "ResizeInPlace", Note: "memory 256Mi → 512Mi"}))
		require.Eventually(t, func() bool {
			found, err := client.EventsV1().Events("default").List(t.Context(), metav1.ListOptions{})
			return err == nil && slices.ContainsFunc(found.Items, func(e eventsv1.Event) bool {
				return string(e.Regarding.UID) == regarding.UID && e.Reason == "Resized" && e.ReportingController == "rightsizer.dev/operator"
			})
		}, patience, poll, regarding.Kind)
	}
}
