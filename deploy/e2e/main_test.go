// Package e2e_test holds the finished binary against a real control plane, the
// way its users meet it.
package e2e_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/rightsizer/rightsizer/deploy/devcluster"
)

// cluster is the control plane that the tests share; those that break it start
// one of their own.
var cluster *devcluster.Cluster

func TestMain(m *testing.M) {
	if os.Getenv(auditWriterVariable) != "" { // see audit_test.go
		os.Exit(auditWriter())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	forwarding, err := newForwarding()
	if err != nil {
		fmt.Fprintln(os.Stderr, "listen for forwarded ports:", err)
		return 1
	}
	forwarded = forwarding
	c, err := devcluster.Start(context.Background(), devcluster.Options{
		Nodes: 3, AuditPolicy: auditPolicy, Progress: devcluster.ProgressPrinter(os.Stderr, false), Stages: []string{forwarding.rule()},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the devcluster:", err)
		return 1
	}
	defer func() {
		if err := c.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the devcluster:", err)
		}
	}()
	cluster = c
	return m.Run()
}
