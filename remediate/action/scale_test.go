package action_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/remediate/action"
	"github.com/rightsizer/rightsizer/remediate/kube"
	"github.com/rightsizer/rightsizer/remediate/kubetest"
)

var errTimeout = errors.New("timeout")

// mute does not answer requests for paths that end in suffix.
type mute struct {
	http.RoundTripper

	suffix string
}

func (m *mute) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, m.suffix) {
		return nil, errTimeout
	}
	return m.RoundTripper.RoundTrip(req)
}

// Where nobody knows whether there is an autoscaler by now, that is no refusal: it is
// asked again.
func TestAnAnswerThatDoesNotComeIsNoRefusal(t *testing.T) {
	t.Parallel()
	api := kubetest.New()
	api.Put(deployment(nil))
	config := api.Client().Config()
	config.Transport = &mute{config.Transport, "/horizontalpodautoscalers"}
	client, err := kube.New(config)
	require.NoError(t, err)
	s := subject(t, client, "Deployment", 0)
	s.Want.Replicas = new(int32(6))
	_, err = (&action.Scale{Client: client}).Preconditions(t.Context(), s, action.Object{UID: s.Workload.UID})
	require.ErrorIs(t, err, errTimeout)
	require.False(t, action.Known(err), "%v", err)
}
