package store_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/rightsizer/rightsizer/watcher/object"
	"github.com/rightsizer/rightsizer/watcher/store"
)

func TestSelected(t *testing.T) {
	s := store.New()
	put := func(ns, kind, name string, parent *object.Owner, pods ...object.Label) *object.Controller {
		c := &object.Controller{Key: object.Key{Namespace: ns, Name: name}, Kind: kind, UID: ns + kind + name, Parent: parent, PodLabels: pods}
		s.PutController(c)
		return c
	}
	tier := object.Label{Key: "tier", Value: "front"}
	web := put("shop", "Deployment", "web", nil, object.Label{Key: "app", Value: "web"}, tier)
	api := put("shop", "StatefulSet", "api", nil, object.Label{Key: "app", Value: "api"}, tier)
	put("shop", "ReplicaSet", "web-5d4f", &object.Owner{Kind: "Deployment", Name: "web", UID: web.UID})
	put("shop", "Deployment", "managed", &object.Owner{Kind: "Shop", Name: "all", UID: "s"}, object.Label{Key: "app", Value: "managed"})
	put("other", "Deployment", "web", nil, object.Label{Key: "app", Value: "web"})
	put("other", "Deployment", "unlabelled", nil)

	selects := func(ns, text string) string {
		by, err := labels.Parse(text)
		require.NoError(t, err)
		k, ok := s.Selected(ns, by)
		if !ok {
			assert.Zero(t, k)
			return ""
		}
		return k.Namespace + " " + k.Kind + " " + k.Name
	}
	assert.Equal(t, "shop Deployment web", selects("shop", "app=web"))
	assert.Equal(t, "shop StatefulSet api", selects("shop", "app notin (web,managed),tier"))
	assert.Equal(t, "shop Shop all", selects("shop", "app=managed"), "the top of its owners")
	assert.Equal(t, "other Deployment web", selects("other", ""), "all that are known by their labels")
	assert.Empty(t, selects("shop", "tier=front"), "two workloads")
	assert.Empty(t, selects("shop", "app=none"))
	assert.Empty(t, selects("nowhere", "app=web"))
	_, ok := s.Selected("shop", nil)
	assert.False(t, ok)

	s.DeleteController(api.UID)
	assert.Equal(t, "shop Deployment web", selects("shop", "tier=front"))
	relabelled := *web
	relabelled.PodLabels = nil
	s.PutController(&relabelled)
	assert.Empty(t, selects("shop", "tier=front"))
}
