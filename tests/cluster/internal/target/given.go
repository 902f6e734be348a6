package target

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"learningplatform.dev/tests/cluster/internal/build"
)

// Given is a cluster of the user's, by a kubeconfig. Nothing of it is removed.
type Given struct{ source, variable, kubeconfig string }

// loadVariable names a command that brings an image archive into a cluster of
// the user's; the archive's path is its last argument.
const loadVariable = "LP_CLUSTER_LOAD"

// Up implements Cluster.
func (g *Given) Up() error {
	fmt.Fprintf(os.Stderr, "cluster: using the cluster of %s=%s\n", g.variable, g.kubeconfig)
	if _, err := kubectl(g, nil, "get", "--raw", "/readyz"); err != nil {
		return fmt.Errorf("the cluster of %s does not answer: %w", g.variable, err)
	}
	if os.Getenv(loadVariable) == "" {
		fmt.Fprintf(os.Stderr, "cluster: %s is not set, so no image is brought in: Prometheus has to be there as %s\n",
			loadVariable, prometheusInCluster)
		return nil
	}
	return monitor(g, g.source)
}

// Down implements Cluster.
func (g *Given) Down() error {
	fmt.Fprintf(os.Stderr, "cluster: the cluster of %s is yours and stays\n", g.variable)
	return nil
}

// Load implements Cluster.
func (g *Given) Load(archives ...string) error {
	command := strings.Fields(os.Getenv(loadVariable))
	if len(command) == 0 {
		return fmt.Errorf("set %s to the command that brings an image archive into the cluster of %s, such as `minikube image load`",
			loadVariable, g.variable)
	}
	for _, archive := range archives {
		if _, err := output(nil, append(command, archive)...); err != nil {
			return err
		}
	}
	return nil
}

// Kubectl implements Cluster.
func (g *Given) Kubectl() (string, error) { return anyKubectl(g.source) }

// Kubeconfig implements Cluster.
func (g *Given) Kubeconfig() string { return g.kubeconfig }

// Status implements Cluster.
func (g *Given) Status() Status {
	return outsideStatus(g, Status{Kind: "given", Kubeconfig: g.kubeconfig})
}

// outsideStatus asks a cluster that is not the project's node.
func outsideStatus(cluster Cluster, status Status) Status {
	status.PrometheusInCluster = prometheusInCluster
	program, err := cluster.Kubectl()
	if err != nil {
		status.Reason = err.Error()
		return status
	}
	status.Kubectl = program
	line := []string{program, "--kubeconfig", status.Kubeconfig, "--request-timeout", "10s"}
	if _, err := output(nil, append(line, "get", "--raw", "/readyz")...); err != nil {
		status.Reason = err.Error()
		return status
	}
	server, err := output(nil, append(line, "config", "view", "--minify", "--output", "jsonpath={.clusters[0].cluster.server}")...)
	if err != nil {
		status.Reason = err.Error()
		return status
	}
	classes, err := output(nil, append(line, "get", "storageclasses", "--output", "jsonpath="+defaultClasses)...)
	if err != nil {
		status.Reason = err.Error()
		return status
	}
	status.StorageClass = defaultClass(classes)
	status.Up, status.Server = true, server
	return status
}

// defaultClasses prints each storage class on a line of its own: name, time of creation, and whether it is a default.
const defaultClasses = `{range .items[*]}{.metadata.name}{"\t"}{.metadata.creationTimestamp}{"\t"}` +
	`{.metadata.annotations.storageclass\.kubernetes\.io/is-default-class}{"\n"}{end}`

// defaultClass is the newest of the classes that are marked as default, which
// is the one that Kubernetes takes.
func defaultClass(lines string) string {
	var name, newest string
	for line := range strings.Lines(lines) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) == 3 && fields[2] == "true" && fields[1] > newest {
			name, newest = fields[0], fields[1]
		}
	}
	return name
}

// anyKubectl is the kubectl on PATH, else one built from this module.
func anyKubectl(source string) (string, error) {
	if program, err := exec.LookPath("kubectl"); err == nil {
		return program, nil
	}
	return build.Kubectl(source)
}
