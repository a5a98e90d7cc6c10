package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/tunnel"
)

// kubeFlags name a cluster as kubectl's do.
type kubeFlags struct{ kubeconfig, context string }

// clusterFlags reach the operator through its cluster, as kubectl reaches pods.
type clusterFlags struct {
	kubeFlags

	operatorNamespace string
	serviceAccount    string
	audience          string
}

// Flags of which one alone asks for the way through the cluster.
const (
	kubeconfigFlag        = "kubeconfig"
	contextFlag           = "context"
	operatorNamespaceFlag = "operator-namespace"
	serviceAccountFlag    = "service-account"
)

func (o *kubeFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.kubeconfig, kubeconfigFlag, "", "kubeconfig of the cluster; default: KUBECONFIG, then the home folder's, as kubectl's")
	f.StringVar(&o.context, contextFlag, "", "context of the kubeconfig")
	// It fails only for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc(contextFlag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return o.contexts(), cobra.ShellCompDirectiveNoFileComp
	})
}

func (o *clusterFlags) add(cmd *cobra.Command) {
	o.kubeFlags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.operatorNamespace, operatorNamespaceFlag, "rightsizer", "namespace of the operator's pods, which have the label "+tunnel.Selector)
	f.StringVar(&o.serviceAccount, serviceAccountFlag, "", "NAMESPACE/NAME for whom the cluster makes a token for the operator; default: the kubeconfig's user, where it is one")
	f.StringVar(&o.audience, "token-audience", "rightsizer.dev", "audience of that token, as the operator's setting of this name says")
}

// wanted tells whether to go through the cluster: the plugin of kubectl does unless
// told an address, rightsizer itself where a flag speaks of a cluster.
func (o *clusterFlags) wanted(cmd *cobra.Command) (bool, error) {
	var spoken string
	for _, name := range []string{kubeconfigFlag, contextFlag, operatorNamespaceFlag, serviceAccountFlag} {
		if cmd.Flags().Changed(name) {
			spoken = name
			break
		}
	}
	if cmd.Flags().Changed(serverFlag) {
		if spoken != "" {
			return false, fmt.Errorf("--%s: says how to reach the operator through its cluster, --%s where it is: give one of them", spoken, serverFlag)
		}
		return false, nil
	}
	return spoken != "" || isPlugin(cmd), nil
}

func (o *kubeFlags) loader() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.context})
}

// rest is how to reach the cluster; in a pod without any kubeconfig it is the pod's.
func (o *kubeFlags) rest() (*rest.Config, error) {
	kube, err := o.loader().ClientConfig()
	if err != nil {
		return nil, usageError{fmt.Errorf("kubeconfig: %w", err)}
	}
	kube.UserAgent = "rightsizer/" + version
	return kube, nil
}

func (o *kubeFlags) contexts() []string {
	raw, err := o.loader().RawConfig()
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(raw.Contexts))
}

// throughCluster makes a tunnel to the operator's pod and a client through it.
func (o *connectFlags) throughCluster(ctx context.Context) (*connection, error) {
	kube, err := o.cluster.rest()
	if err != nil {
		return nil, err
	}
	namespace, _, err := o.cluster.loader().Namespace()
	if err != nil {
		return nil, usageError{fmt.Errorf("kubeconfig: %w", err)}
	}
	transport, err := o.transport()
	if err != nil {
		return nil, usageError{err}
	}
	token, err := o.token(ctx, kube)
	if err != nil {
		return nil, err
	}
	way, err := tunnel.New(tunnel.Options{Config: kube, Namespace: o.cluster.operatorNamespace})
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what it is
	}
	secure, err := way.SpeaksTLS(ctx)
	if err != nil {
		_ = way.Close()
		return nil, err //nolint:wrapcheck // it names the pod
	}
	o.trustTunnel(transport, kube)
	transport.DialContext, transport.Proxy = way.DialContext, nil
	c := &connection{client: &http.Client{Transport: transport, CheckRedirect: stay}, url: "http://localhost", namespace: namespace, close: func() { _ = way.Close() }}
	if token != nil {
		c.client.Transport = withToken{RoundTripper: transport, token: token}
	}
	if secure {
		c.url = "https://localhost"
	}
	return c, nil
}

// trustTunnel takes the certificate of whoever answers, unless the flags say which:
// the API server vouches for the pod. The kubeconfig's certificate is shown to an
// operator that takes such.
func (o *connectFlags) trustTunnel(transport *http.Transport, kube *rest.Config) {
	conf := transport.TLSClientConfig
	conf.ServerName = "rightsizer." + o.cluster.operatorNamespace + ".svc"
	if o.caFile == "" {
		conf.InsecureSkipVerify = true
	}
	if own, err := rest.TLSConfigFor(kube); err == nil && own != nil {
		conf.Certificates, conf.GetClientCertificate = own.Certificates, own.GetClientCertificate
	}
}

// token is what shows the operator who is calling; nil where nothing can: the
// kubeconfig's own token is for the API server, and never sent to anybody else.
func (o *connectFlags) token(ctx context.Context, kube *rest.Config) (func(context.Context) (string, error), error) {
	if o.tokenFile != "" {
		return o.tokenOfFile, nil
	}
	opts := tunnel.TokenOptions{Config: kube, Audience: o.cluster.audience}
	if o.cluster.serviceAccount != "" {
		var ok bool
		if opts.Namespace, opts.Name, ok = strings.Cut(o.cluster.serviceAccount, "/"); !ok || opts.Namespace == "" || opts.Name == "" {
			return nil, usageError{fmt.Errorf("--%s: wants NAMESPACE/NAME, not %s", serviceAccountFlag, codec.Quote(o.cluster.serviceAccount))}
		}
	}
	tokens, err := tunnel.NewTokens(ctx, opts)
	switch {
	case errors.Is(err, tunnel.ErrNoServiceAccount):
		return nil, nil //nolint:nilnil // none is needed where the operator is open or takes certificates
	case err != nil:
		return nil, err //nolint:wrapcheck // it says what it is
	}
	return tokens.Token, nil
}

// scopeFlag is kubectl's --all-namespaces.
type scopeFlag struct{ all bool }

func (o *scopeFlag) add(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&o.all, "all-namespaces", "A", false, "in all namespaces; what holds without --namespace, except through a cluster, where that is the kubeconfig's own")
}

// namespaces are those that are asked about: the ones given, else all, or the
// kubeconfig's where the way is through a cluster.
func (o *scopeFlag) namespaces(given []string, c *connection) ([]string, error) {
	switch {
	case o.all && len(given) > 0:
		return nil, usageError{errors.New("--all-namespaces: contradicts --namespace: give one of them")}
	case len(given) > 0, o.all, c.namespace == "":
		return given, nil
	default:
		return []string{c.namespace}, nil
	}
}
