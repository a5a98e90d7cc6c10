package main

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/rightsizer/rightsizer/deploy/devcluster"
)

// controlPlane is an API server with Ready nodes and nobody else who writes.
type controlPlane struct {
	*devcluster.Cluster

	kube *kubernetes.Clientset
}

// startControlPlane starts a devcluster and stops what would write on its own
// account. Nodes stay Ready, since nobody is left to say otherwise.
func startControlPlane(ctx context.Context, nodes int) (*controlPlane, error) {
	c, err := devcluster.Start(ctx, devcluster.Options{Nodes: nodes, Optimized: true, Progress: devcluster.ProgressPrinter(os.Stderr, false)})
	if err != nil {
		return nil, fmt.Errorf("start the devcluster: %w", err)
	}
	p := &controlPlane{Cluster: c}
	for _, name := range []devcluster.Component{
		devcluster.MetricsServer, devcluster.Scheduler, devcluster.Kwok, devcluster.ControllerManager,
	} {
		if err == nil {
			err = c.Kill(name)
		}
	}
	if err == nil {
		p.kube, err = kubernetes.NewForConfig(unthrottled(c))
	}
	if err != nil {
		_ = c.Stop()
		return nil, err
	}
	return p, nil
}

// unthrottled is a client configuration that leaves the pace to us, and speaks
// protobuf as controllers and kubelets do.
func unthrottled(c *devcluster.Cluster) *rest.Config {
	config := c.RESTConfig()
	config.QPS = -1
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return config
}

// namespace makes a namespace with the service account that a controller would
// put there: admission refuses pods without.
func (p *controlPlane) namespace(ctx context.Context, name string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := p.kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if _, err := p.kube.CoreV1().ServiceAccounts(name).Create(ctx, account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create the service account of %s: %w", name, err)
	}
	return nil
}

// loseHistory has the API server come back without the positions of its
// watches: it restarts after a write of which none of them knows, and begins its
// history there, so that every list has to be read again.
func (p *controlPlane) loseHistory(ctx context.Context) error {
	unseen := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "unseen-"}}
	if _, err := p.kube.CoreV1().ConfigMaps("default").Create(ctx, unseen, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("write what no watch sees: %w", err)
	}
	if err := p.Kill(devcluster.APIServer); err != nil {
		return fmt.Errorf("kill the API server: %w", err)
	}
	if err := p.Restart(ctx, devcluster.APIServer); err != nil {
		return fmt.Errorf("start the API server again: %w", err)
	}
	return nil
}

// writes is how many requests that write the API server has answered so far, also
// such that only tried it out.
func (p *controlPlane) writes(ctx context.Context) (float64, error) {
	text, err := p.kube.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the API server's metrics: %w", err)
	}
	total := 0.0
	for _, verb := range []string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"} {
		total += sum(text, "apiserver_request_total", `verb="`+verb+`"`)
	}
	return total, nil
}
