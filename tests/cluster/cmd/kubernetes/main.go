// Command kubernetes is every part of a Kubernetes node in one binary. The
// first argument names the part, the rest are that part's own arguments:
//
//	kubernetes apiserver --etcd-servers http://127.0.0.1:2379 ...
//
// One binary is linked once and its pages are shared by all the processes of
// the node, which matters on two cores. It only calls the published command
// constructors; what they do is theirs.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	_ "time/tzdata"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	genericapiserver "k8s.io/apiserver/pkg/server"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	metricsserver "sigs.k8s.io/metrics-server/cmd/metrics-server/app"

	"learningplatform.dev/tests/cluster/internal/storage"
)

// parts maps the first argument to the main function of that part. Each
// returns the exit code; a part that never returns exits by itself.
var parts = map[string]func(args []string) int{
	"apiserver":          server(apiserver.NewAPIServerCommand),
	"controller-manager": server(controllermanager.NewControllerManagerCommand),
	"scheduler":          server(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kubelet":            server(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
	"proxy":              server(proxy.NewProxyCommand),
	"metrics-server":     server(newMetricsServer),
	"kubectl":            runKubectl,
	"etcd":               runEtcd,
	"coredns":            runCoreDNS,
	"provisioner":        runProvisioner,
}

func main() {
	// A link by the name of a part is that part: so `kubectl` is a program.
	if part := parts[filepath.Base(os.Args[0])]; part != nil {
		os.Exit(part(os.Args))
	}
	if len(os.Args) < 2 || parts[os.Args[1]] == nil {
		names := make([]string, 0, len(parts))
		for name := range parts {
			names = append(names, name)
		}
		slices.Sort(names)
		fmt.Fprintf(os.Stderr, "usage: kubernetes PART [ARGUMENTS]\nparts: %s\n", strings.Join(names, ", "))
		os.Exit(2)
	}
	part := parts[os.Args[1]]
	// The parts parse os.Args themselves, so the part's name takes the place
	// of the program's.
	os.Args = os.Args[1:]
	os.Exit(part(os.Args))
}

// server runs a command of Kubernetes with its usual logging set-up. The
// command is only constructed when its part is the one asked for, because the
// constructors register process-wide feature gates and flags.
func server(construct func() *cobra.Command) func([]string) int {
	return func([]string) int { return cli.Run(construct()) }
}

func newMetricsServer() *cobra.Command {
	return metricsserver.NewMetricsServerCommand(genericapiserver.SetupSignalHandler())
}

func runEtcd(args []string) int {
	etcdmain.Main(args)
	return 0
}

func runKubectl(args []string) int {
	if _, err := logs.GlogSetter(kubectl.GetLogVerbosity(args)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
	return 0
}

func runProvisioner(args []string) int {
	if err := storage.Run(genericapiserver.SetupSignalContext(), args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
