package remediate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rightsizer/rightsizer/remediate/policy/v1alpha1"
)

// What rests is forgotten as its Remediation ends or is deleted, however long it was
// to rest.
func TestWhatIsNotOpenDoesNotRest(t *testing.T) {
	t.Parallel()
	e := &Engine{}
	e.book, e.teller = newBook(e), newTeller(e)
	open := func(name string) *v1alpha1.Remediation {
		r := &v1alpha1.Remediation{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, ResourceVersion: "1"}}
		r.Status.State = v1alpha1.StateExecuting
		require.True(t, e.book.put(r))
		e.resting.until(objectKey{"shop", name}, time.Now().Add(time.Hour))
		return r
	}
	ended := open("ended").DeepCopy()
	ended.ResourceVersion, ended.Status.State = "2", v1alpha1.StateSucceeded
	require.True(t, e.book.put(ended))
	open("deleted")
	e.book.remove(objectKey{"shop", "deleted"})
	open("unlisted")
	open("open")
	e.book.forgetOthers(map[objectKey]bool{{"shop", "ended"}: true, {"shop", "open"}: true})
	assert.Len(t, e.resting.over, 1)
	assert.Contains(t, e.resting.over, objectKey{"shop", "open"})
}
