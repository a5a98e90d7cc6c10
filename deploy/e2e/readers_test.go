package e2e_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
)

// reader makes an account with rights on resources of ours in all namespaces, and
// returns its name and a token.
func (c *callers) reader(t *testing.T, account string, resources ...string) (name, token string) {
	t.Helper()
	c.account(t, account)
	_, err := c.kube.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: account},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"rightsizer.dev"}, Resources: resources, Verbs: []string{"get", "list", "watch"}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = c.kube.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: account},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: ours}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return "system:serviceaccount:" + ours + ":" + account, c.token(t, account, "rightsizer.dev")
}

// Who reads is told by the real rights of real tokens: to whom they let list
// connections, and to nobody else, though he may read all that is of the cluster.
func TestWhoReadsIsToldToAdministratorsAlone(t *testing.T) {
	t.Parallel()
	who := newCallers(t)
	admin, adminToken := who.reader(t, "reads-and-knows", "events", "connections")
	viewer, viewerToken := who.reader(t, "reads-all", "events")
	o := guarded(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	family := &rightsizerv1.EventFilter{EventTypes: []string{"dashboard.*"}}
	open := func(ctx context.Context, token string) (next func() *rightsizerv1.Event) {
		stream, err := o.eventsAs(token).StreamEvents(ctx, &rightsizerv1.StreamEventsRequest{Filter: family})
		require.NoError(t, err)
		for synced := false; !synced; synced = stream.Msg().GetSynced() != nil {
			require.True(t, stream.Receive(), "%v", stream.Err())
		}
		return func() *rightsizerv1.Event {
			for {
				require.True(t, stream.Receive(), "%v", stream.Err())
				if ev := stream.Msg().GetEvent(); ev != nil {
					return ev
				}
			}
		}
	}
	told := open(ctx, adminToken)
	visit, leave := context.WithCancel(ctx)
	open(visit, viewerToken)
	came := told()
	assert.Equal(t, "dashboard.connected", came.GetType())
	assert.Equal(t, "User", came.GetObject().GetKind())
	assert.Equal(t, viewer, came.GetObject().GetName())
	assert.Equal(t, "kubernetes", came.GetDashboard().GetVia())
	left := time.Now()
	leave()
	gone := told()
	assert.Equal(t, "dashboard.disconnected", gone.GetType())
	assert.Equal(t, viewer, gone.GetObject().GetName())
	assert.GreaterOrEqual(t, time.Since(left), 29*time.Second, "he might have come back")

	list := func(token string) (types []string) {
		resp, err := o.eventsAs(token).ListEvents(ctx, &rightsizerv1.ListEventsRequest{Filter: family, OrderBy: "asc"})
		require.NoError(t, err)
		for _, ev := range resp.GetEvents() {
			types = append(types, ev.GetType()+" "+ev.GetObject().GetName())
		}
		return types
	}
	assert.Equal(t, []string{"dashboard.connected " + admin, "dashboard.connected " + viewer, "dashboard.disconnected " + viewer}, list(adminToken))
	assert.Empty(t, list(viewerToken))
	_, err := o.eventsAs(viewerToken).ListConnections(ctx, &rightsizerv1.ListConnectionsRequest{})
	assert.Equal(t, connect.CodePermissionDenied, connect.CodeOf(err))
	connections, err := o.eventsAs(adminToken).ListConnections(ctx, &rightsizerv1.ListConnectionsRequest{})
	require.NoError(t, err)
	assert.True(t, slices.ContainsFunc(connections.GetConnections(), func(c *rightsizerv1.Connection) bool { return c.GetIdentity() == admin }))
}
