// Command cluster brings up the Kubernetes cluster that demo, tests and bench
// share, and what they need around it. README.md tells of its verbs.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"learningplatform.dev/tests/cluster/internal/target"
	"learningplatform.dev/tests/cluster/internal/tools"
)

const usage = `usage: cluster VERB [ARGUMENTS]

  up                     bring the cluster up, with Prometheus in it; nothing happens where it is up
  down                   remove it
  status [-o json]       where everything is; exit code 1 where the cluster is not up
  kubeconfig             the path of the kubeconfig
  kubectl ARGUMENTS      run kubectl against the cluster
  load ARCHIVE...        bring image archives into the cluster
  image FLAGS            pack an image archive from files and Debian packages (image -h)
  tools [NAME...]        build or unpack the tools where missing; print name and path
  crds NAME...           print resource definitions: gateway-api, podmonitor, prometheusrule,
                         volume-snapshots, cloudnative-pg; cloudnative-pg-operator prints its manifests

Which cluster: the one of LP_KUBECONFIG or KUBECONFIG, else kind where Docker answers, else the
project's own node (root, Debian). LP_CLUSTER=node or kind chooses without asking.
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	// Others have to read what is unpacked for them, whatever the caller's mask is.
	syscall.Umask(0o022)
	if err := verb(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func verb(name string, arguments []string) error {
	// The folder of this module, told by the script that built this program.
	source := os.Getenv("LP_CLUSTER_SOURCE")
	if source == "" {
		return errors.New("start it by tests/cluster/cluster, which sets LP_CLUSTER_SOURCE")
	}
	switch name {
	case "image":
		return image(source, arguments)
	case "tools":
		return ensure(arguments)
	case "crds":
		documents, err := tools.Definitions(arguments...)
		if err == nil {
			_, err = os.Stdout.Write(documents)
		}
		return err
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	}
	cluster, err := target.Choose(source)
	if err != nil {
		return err
	}
	switch name {
	case "up":
		err := cluster.Up()
		if err == nil {
			fmt.Fprintln(os.Stderr, "cluster: up; export KUBECONFIG="+cluster.Kubeconfig())
		}
		return err
	case "down":
		return cluster.Down()
	case "load":
		if len(arguments) == 0 {
			return errors.New("load: name at least one image archive")
		}
		return cluster.Load(arguments...)
	case "kubeconfig":
		fmt.Println(cluster.Kubeconfig())
		return nil
	case "kubectl":
		return kubectl(cluster, arguments)
	case "status":
		return status(cluster, arguments)
	}
	return fmt.Errorf("no verb %q\n\n%s", name, usage)
}

func status(cluster target.Cluster, arguments []string) error {
	flags := flag.NewFlagSet("status", flag.ContinueOnError)
	format := flags.String("o", "text", "text or json")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	now := cluster.Status()
	if now.Kubectl == "" && now.Up {
		program, err := cluster.Kubectl()
		if err != nil {
			return err
		}
		now.Kubectl = program
	}
	content, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		return err
	}
	switch *format {
	case "json":
		fmt.Println(string(content))
	case "text":
		var fields map[string]any
		if err := json.Unmarshal(content, &fields); err != nil {
			return err
		}
		for _, name := range []string{
			"kind", "up", "reason", "kubeconfig", "server", "prometheus", "prometheusInCluster", "auditLog", "hostAddress", "storageClass", "logs",
		} {
			if value, found := fields[name]; found && value != "" {
				fmt.Printf("%-20s %v\n", name, value)
			}
		}
	default:
		return fmt.Errorf("status: -o %q: write text or json", *format)
	}
	if !now.Up {
		return errors.New("the cluster is not up: " + now.Reason)
	}
	return nil
}

func kubectl(cluster target.Cluster, arguments []string) error {
	program, err := cluster.Kubectl()
	if err != nil {
		return err
	}
	line := append([]string{program, "--kubeconfig", cluster.Kubeconfig()}, arguments...)
	return syscall.Exec(program, line, os.Environ())
}

// ensure prints the path of each tool; with no name, of those that demo, tests
// and bench call.
func ensure(names []string) error {
	if len(names) == 0 {
		names = []string{"helm", "k6", "promtool"}
	}
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("the Go toolchain is needed to build the tools: see go.dev/doc/install")
	}
	for _, name := range names {
		path, err := tools.Ensure(name)
		if err != nil {
			return err
		}
		fmt.Printf("%s\t%s\n", name, path)
	}
	return nil
}
