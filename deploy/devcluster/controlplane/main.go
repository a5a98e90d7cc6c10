// Command controlplane is a whole Kubernetes control plane in one binary: its
// first argument names the component, the rest are that component's own
// arguments, as its upstream binary takes them.
//
// One binary instead of six because the components share most of their
// packages: each is compiled once and there is one link instead of six. It is a
// module of its own, so that these dependencies never reach a module that
// somebody imports; package devcluster builds it and runs it.
package main

import (
	"fmt"
	"os"
	"strings"
	_ "time/tzdata" // CronJobs with a time zone, on machines that have no zone files

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics on each component's /metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // kubernetes_build_info on each component's /metrics
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	kwoksignals "sigs.k8s.io/kwok/pkg/utils/signals"
	metricsserver "sigs.k8s.io/metrics-server/cmd/metrics-server/app"
)

// component is one program that the binary holds.
type component struct {
	name string
	// run does what the upstream main function does and returns the exit code.
	// os.Args is already the component's own: several of them read it directly.
	run func() int
}

func components() []component {
	return []component{
		{"etcd", func() int { etcdmain.Main(os.Args); return 0 }},
		{"kube-apiserver", func() int { return cli.Run(apiserver.NewAPIServerCommand()) }},
		{"kube-controller-manager", func() int { return cli.Run(controllermanager.NewControllerManagerCommand()) }},
		{"kube-scheduler", func() int { return cli.Run(scheduler.NewSchedulerCommand()) }},
		{"kwok", runKwok},
		{"metrics-server", func() int {
			return cli.Run(metricsserver.NewMetricsServerCommand(genericapiserver.SetupSignalHandler()))
		}},
	}
}

// runKwok reads the flags that kwok keeps outside its command (verbosity and
// --config, where its stages come from), then runs the command.
//
// cobra gives every command the process's global flags, and Kubernetes packages
// have put theirs there (a --version that is no bool, which kwok chokes on).
func runKwok() int {
	pflag.CommandLine = pflag.NewFlagSet("kwok", pflag.ExitOnError)
	global := pflag.NewFlagSet("global", pflag.ContinueOnError)
	global.ParseErrorsAllowlist.UnknownFlags = true // the command's own flags are not known here
	global.Usage = func() {}
	ctx, logger := kwoklog.InitFlags(kwoksignals.SetupSignalContext(), global)
	ctx, err := kwokconfig.InitFlags(ctx, global)
	if err != nil {
		logger.Error("kwok: read the files given with --config", "err", err)
		return 1
	}
	command := kwok.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(global)
	if err := command.ExecuteContext(ctx); err != nil {
		logger.Error("kwok: run", "err", err)
		return 1
	}
	return 0
}

func main() {
	var names []string
	for _, c := range components() {
		if len(os.Args) > 1 && os.Args[1] == c.name {
			os.Args = os.Args[1:]
			os.Exit(c.run())
		}
		names = append(names, c.name)
	}
	fmt.Fprintf(os.Stderr, "usage: %s COMPONENT [ARGS...]; COMPONENT is one of %s\n", os.Args[0], strings.Join(names, ", "))
	os.Exit(2)
}
