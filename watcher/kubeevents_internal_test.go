package watcher

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// An Event that could not be read is let go as it can be, or is gone.
func TestAnEventLeavesQuarantine(t *testing.T) {
	event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1.18"}}
	for name, change := range map[string]watch.EventType{"mended": watch.Modified, "deleted": watch.Deleted} {
		t.Run(name, func(t *testing.T) {
			w, err := New(Options{Config: &rest.Config{Host: "http://unused"}, Publisher: &discard{}, ClusterID: "c"})
			require.NoError(t, err)
			w.quarantine.panicked(eventsResource, keyOf(event), inConversion, "boom")
			require.Contains(t, w.quarantine.report(eventsResource), "shop/web-1.18")
			stream := watch.NewFakeWithChanSize(1, false)
			stream.Action(change, event)
			stream.Stop()
			_, err = w.readKubeEvents(context.Background(), stream, "1")
			require.NoError(t, err)
			assert.Empty(t, w.quarantine.report(eventsResource))
		})
	}
}
