package node

import (
	"os"
	"strings"
)

// part is one process of the node by its name and arguments.
type part struct {
	name string
	line []string
}

// FlagsVariable names the environment variable with further flags of a part,
// such as LP_NODE_CONTROLLER_MANAGER_FLAGS.
func FlagsVariable(name string) string {
	return "LP_NODE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "_FLAGS"
}

// storage are the parts that the others need first.
func (n *Node) storage(kubernetes string) []part {
	return []part{
		{"containerd", []string{"containerd", "--config", n.path("config", "containerd.toml")}},
		n.kubernetes(kubernetes, "etcd",
			"--name", Name,
			"--data-dir", n.path("etcd"),
			"--unsafe-no-fsync",
			"--log-level", "warn",
			"--listen-client-urls", "http://127.0.0.1:2379",
			"--advertise-client-urls", "http://127.0.0.1:2379",
			"--listen-peer-urls", "http://127.0.0.1:2380",
		),
		n.kubernetes(kubernetes, "apiserver",
			"--etcd-servers", "http://127.0.0.1:2379",
			"--bind-address", "0.0.0.0",
			"--advertise-address", Address,
			"--secure-port", "6443",
			"--service-cluster-ip-range", ServiceCIDR,
			"--cert-dir", n.path("pki"),
			"--tls-cert-file", n.certificate("apiserver"),
			"--tls-private-key-file", n.key("apiserver"),
			"--client-ca-file", n.certificate("ca"),
			"--service-account-issuer", "https://kubernetes.default.svc",
			"--service-account-key-file", n.path("pki", "sa.pub"),
			"--service-account-signing-key-file", n.key("sa"),
			"--authorization-mode", "Node,RBAC",
			"--allow-privileged",
			"--kubelet-client-certificate", n.certificate("admin"),
			"--kubelet-client-key", n.key("admin"),
			// The default asks for the node's name first, which no DNS knows.
			"--kubelet-preferred-address-types", "InternalIP",
			"--requestheader-client-ca-file", n.certificate("ca"),
			"--requestheader-allowed-names", "aggregator",
			"--requestheader-username-headers", "X-Remote-User",
			"--requestheader-group-headers", "X-Remote-Group",
			"--requestheader-extra-headers-prefix", "X-Remote-Extra-",
			"--proxy-client-cert-file", n.certificate("aggregator"),
			"--proxy-client-key-file", n.key("aggregator"),
			"--enable-aggregator-routing",
			"--audit-policy-file", n.path("config", "audit.yaml"),
			"--audit-log-path", n.AuditLog(),
			// Megabytes: a test that reads the log never meets a rotation.
			"--audit-log-maxsize", "1000",
			"--audit-log-maxbackup", "1",
		),
	}
}

// cluster are the parts that need the API server.
func (n *Node) cluster(kubernetes string) []part {
	config := func(name string) string { return n.path("pki", name+".kubeconfig") }
	return []part{
		n.kubernetes(kubernetes, "controller-manager",
			"--kubeconfig", config("controller-manager"),
			"--authentication-kubeconfig", config("controller-manager"),
			"--authorization-kubeconfig", config("controller-manager"),
			"--service-account-private-key-file", n.key("sa"),
			"--root-ca-file", n.certificate("ca"),
			"--cluster-signing-cert-file", n.certificate("ca"),
			"--cluster-signing-key-file", n.key("ca"),
			"--use-service-account-credentials",
			"--leader-elect=false",
		),
		n.kubernetes(kubernetes, "scheduler",
			"--kubeconfig", config("scheduler"),
			"--authentication-kubeconfig", config("scheduler"),
			"--authorization-kubeconfig", config("scheduler"),
			"--leader-elect=false",
		),
		n.kubernetes(kubernetes, "kubelet",
			"--config", n.path("config", "kubelet.yaml"),
			"--kubeconfig", config("kubelet"),
			"--hostname-override", Name,
			"--node-ip", Address,
			"--root-dir", n.path("kubelet"),
			"--cert-dir", n.path("kubelet", "pki"),
		),
		n.kubernetes(kubernetes, "proxy",
			"--kubeconfig", config("proxy"),
			"--proxy-mode", "iptables",
			"--hostname-override", Name,
			"--cluster-cidr", PodCIDR,
			// The limits belong to the whole machine and cannot be set here.
			"--conntrack-max-per-core", "0",
			"--conntrack-tcp-timeout-established", "0",
			"--conntrack-tcp-timeout-close-wait", "0",
		),
		n.kubernetes(kubernetes, "coredns", "-conf", n.path("config", "Corefile")),
		n.kubernetes(kubernetes, "metrics-server",
			"--kubeconfig", config("admin"),
			"--authentication-kubeconfig", config("admin"),
			"--authorization-kubeconfig", config("admin"),
			"--secure-port", "4443",
			"--cert-dir", n.path("metrics-server"),
			"--kubelet-insecure-tls",
			"--kubelet-preferred-address-types", "InternalIP",
			// The resolution must exceed the timeout, or it refuses to start.
			"--metric-resolution", "10s",
			"--kubelet-request-timeout", "5s",
		),
		n.kubernetes(kubernetes, "provisioner", "--kubeconfig", config("provisioner"), "--folder", n.path("volumes")),
	}
}

func (n *Node) kubernetes(binary, name string, arguments ...string) part {
	line := append([]string{binary, name}, arguments...)
	return part{name, append(line, strings.Fields(os.Getenv(FlagsVariable(name)))...)}
}
