// Package target is the cluster that demo, tests and bench run against: one
// that the user names, else kind where Docker answers, else the project's own
// node. Its users never know which.
package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"learningplatform.dev/tests/cluster/internal/build"
	"learningplatform.dev/tests/cluster/internal/node"
)

// Cluster is one of the three. All of it can be called again and again.
type Cluster interface {
	// Up makes the cluster usable and returns when it is.
	Up() error
	// Down removes it, or does nothing where it is the user's.
	Down() error
	// Load brings image archives into the cluster.
	Load(archives ...string) error
	// Kubectl is the path of a kubectl that fits.
	Kubectl() (string, error)
	// Kubeconfig is the path of the kubeconfig, whether or not it is there.
	Kubeconfig() string
	// Status says where everything is; it starts nothing.
	Status() Status
}

// Status is what the users of a cluster need to know. A string is empty where
// this kind of cluster has no such thing.
type Status struct {
	// Kind is "node", "kind" or "given".
	Kind string `json:"kind"`
	// Up says that the API server serves, and Reason why it does not.
	Up     bool   `json:"up"`
	Reason string `json:"reason,omitempty"`
	// Kubeconfig is the file, and Kubectl a program that fits.
	Kubeconfig string `json:"kubeconfig"`
	Kubectl    string `json:"kubectl"`
	// Server is the API server's URL as the host sees it.
	Server string `json:"server"`
	// Prometheus is the server's URL as the host sees it, PrometheusInCluster
	// as pods do.
	Prometheus          string `json:"prometheus"`
	PrometheusInCluster string `json:"prometheusInCluster"`
	// AuditLog has one JSON line for each write to the API server.
	AuditLog string `json:"auditLog"`
	// HostAddress is where a pod reaches a server that listens on the host.
	HostAddress string `json:"hostAddress"`
	// PodCIDR and ServiceCIDR are the networks that the host reaches.
	PodCIDR     string `json:"podCIDR"`
	ServiceCIDR string `json:"serviceCIDR"`
	// Netns is the file of the network namespace that all of it is in.
	Netns string `json:"netns"`
	// StorageClass is the default class, for claims that name none.
	StorageClass string `json:"storageClass"`
	// Logs is a folder with the logs of the cluster's processes.
	Logs string `json:"logs"`
}

// Choose picks the cluster by the environment. Source is this module's folder.
func Choose(source string) (Cluster, error) {
	own := &Own{node.New(source)}
	kind, err := newKind(source)
	if err != nil {
		return nil, err
	}
	switch wanted := os.Getenv("LP_CLUSTER"); wanted {
	case "node":
		return own, nil
	case "kind":
		return kind, nil
	case "":
	default:
		return nil, fmt.Errorf("LP_CLUSTER is %q: write node or kind, or leave it out", wanted)
	}
	for _, variable := range []string{"LP_KUBECONFIG", "KUBECONFIG"} {
		file := os.Getenv(variable)
		if file == "" {
			continue
		}
		if same(file, own.node.Kubeconfig()) {
			return own, nil
		}
		if same(file, kind.Kubeconfig()) {
			return kind, nil
		}
		for _, one := range filepath.SplitList(file) {
			if _, err := os.Stat(one); err != nil {
				return nil, fmt.Errorf("%s names a kubeconfig that cannot be read: %w", variable, err)
			}
		}
		return &Given{source: source, variable: variable, kubeconfig: file}, nil
	}
	if dockerAnswers() {
		return kind, nil
	}
	return own, nil
}

func same(one, other string) bool {
	first, err := filepath.Abs(one)
	return err == nil && first == other
}

func dockerAnswers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").Run() == nil
}

// output runs a command and gives what it printed, or its complaint.
func output(input io.Reader, command ...string) (string, error) {
	process := exec.Command(command[0], command[1:]...)
	var failure bytes.Buffer
	process.Stdin, process.Stderr = input, &failure
	content, err := process.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, bytes.TrimSpace(failure.Bytes()))
	}
	return strings.TrimSpace(string(content)), nil
}

// kubectl runs kubectl against the cluster.
func kubectl(cluster Cluster, input io.Reader, arguments ...string) (string, error) {
	program, err := cluster.Kubectl()
	if err != nil {
		return "", err
	}
	return output(input, append([]string{program, "--kubeconfig", cluster.Kubeconfig()}, arguments...)...)
}

// Own is the project's node.
type Own struct{ node *node.Node }

// Up implements Cluster.
func (o *Own) Up() error {
	if err := o.node.Up(); err != nil {
		return err
	}
	return monitor(o, o.node.Source)
}

// Down implements Cluster.
func (o *Own) Down() error {
	unlock, err := node.Lock()
	if err != nil {
		return err
	}
	return errors.Join(o.node.Down(), unlock())
}

// Load implements Cluster.
func (o *Own) Load(archives ...string) error { return o.node.Load(archives...) }

// Kubectl implements Cluster.
func (o *Own) Kubectl() (string, error) { return build.NodeKubectl(o.node.Source) }

// Kubeconfig implements Cluster.
func (o *Own) Kubeconfig() string { return o.node.Kubeconfig() }

// Status implements Cluster.
func (o *Own) Status() Status {
	status := Status{
		Kind: "node", Up: true, Kubeconfig: o.node.Kubeconfig(), Server: node.Server,
		Prometheus:          fmt.Sprintf("http://%s:%d", node.Address, prometheusNodePort),
		PrometheusInCluster: prometheusInCluster,
		AuditLog:            o.node.AuditLog(), HostAddress: node.HostAddress,
		PodCIDR: node.PodCIDR, ServiceCIDR: node.ServiceCIDR, Netns: o.node.Netns(), Logs: o.node.Logs(),
		StorageClass: node.StorageClass,
	}
	if err := o.node.Check(); err != nil {
		status.Up, status.Reason = false, err.Error()
	}
	return status
}
