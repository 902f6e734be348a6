// Package node runs one real Kubernetes node on a plain Debian machine: every
// process and every pod lives in a network namespace of the node's own, which
// has no default route, so nothing that it sends can leave the machine.
package node

import "path/filepath"

// The node's addresses come from 198.18.0.0/15, the range that RFC 2544 keeps
// for benchmarks, so they meet no network that the machine is part of.
const (
	// Name is the name of the node, of its network namespace and of its
	// kubeconfig's context.
	Name = "lp-node"
	// Address is the node's address, inside and from the host.
	Address = "198.18.0.1"
	// Server is the API server as the host sees it.
	Server = "https://" + Address + ":6443"
	// PodCIDR holds the pods; the node is its first address.
	PodCIDR = "198.18.0.0/17"
	// ServiceCIDR holds the services.
	ServiceCIDR = "198.19.0.0/16"
	// HostAddress is the host's end of the link into the namespace: where a
	// pod reaches a server that a test runs on the host.
	HostAddress = "198.18.128.1"

	// StorageClass is the default class in manifests/node/storage.yaml.
	StorageClass = "standard"

	linkAddress = "198.18.128.2"
	linkPrefix  = "/30"
	podPrefix   = "/17"
	apiService  = "198.19.0.1"
	dnsService  = "198.19.0.10"

	bridge   = "lp-pods"
	hostLink = "lp-host"
	nodeLink = "lp-link"

	netns   = "/run/netns/" + Name
	runDir  = "/run/learningplatform-node"
	cniName = "learningplatform"
	// The node's own image, packed from cmd/pause.
	pauseImage = "localhost/learningplatform-pause:1"
)

// Node is the node's folders and what it is built from.
type Node struct {
	// Dir holds everything that the node writes; it goes with the node.
	Dir string
	// Source is the folder of this module.
	Source string
}

// New is the node of this machine. There is only one, because the namespace,
// the link, the addresses and the folders have fixed names.
func New(source string) *Node {
	return &Node{Dir: "/var/lib/learningplatform-node", Source: source}
}

func (n *Node) path(names ...string) string {
	return filepath.Join(append([]string{n.Dir}, names...)...)
}

// Kubeconfig is the administrator's, for use on the host.
func (n *Node) Kubeconfig() string { return n.path("kubeconfig") }

// AuditLog is where the API server writes one JSON line for each write.
func (n *Node) AuditLog() string { return n.path("audit", "audit.log") }

// Logs is the folder with one file per process of the node.
func (n *Node) Logs() string { return n.path("logs") }

// Netns is the file by which nsenter enters the node's network.
func (n *Node) Netns() string { return netns }

func (n *Node) socket() string { return filepath.Join(runDir, "containerd.sock") }

func (n *Node) tasks() string {
	return filepath.Join(runDir, "containerd", "io.containerd.runtime.v2.task", "k8s.io")
}
