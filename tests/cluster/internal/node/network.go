package node

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// run executes a command and puts what it printed into the error.
func run(command ...string) error {
	output, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, bytes.TrimSpace(output))
	}
	return nil
}

// inside is a command line that runs in the node's network. nsenter, because
// `ip netns exec` mounts sysfs anew and hides the cgroup mounts from kubelet.
func inside(command ...string) []string {
	return append([]string{"nsenter", "--net=" + netns, "--"}, command...)
}

// createNetwork makes the namespace, the bridge for the pods and the link to
// the host. The namespace has routes to these and to nothing else.
func createNetwork() error {
	steps := [][]string{
		{"ip", "netns", "add", Name},
		{"ip", "link", "add", hostLink, "type", "veth", "peer", "name", nodeLink, "netns", Name},
		{"ip", "addr", "add", HostAddress + linkPrefix, "dev", hostLink},
		{"ip", "link", "set", hostLink, "up"},
		inside("ip", "link", "set", "lo", "up"),
		inside("ip", "link", "add", bridge, "type", "bridge"),
		inside("ip", "addr", "add", Address+podPrefix, "dev", bridge),
		inside("ip", "link", "set", bridge, "up"),
		inside("ip", "addr", "add", linkAddress+linkPrefix, "dev", nodeLink),
		inside("ip", "link", "set", nodeLink, "up"),
		// Only so that a service's address counts as reachable: kube-proxy
		// rewrites it first, and one without a rule ends at the bridge.
		inside("ip", "route", "add", ServiceCIDR, "dev", bridge),
		{"ip", "route", "add", PodCIDR, "via", linkAddress},
		{"ip", "route", "add", ServiceCIDR, "via", linkAddress},
	}
	for _, step := range steps {
		if err := run(step...); err != nil {
			return fmt.Errorf("set up the node's network: %w", err)
		}
	}
	settings := []string{
		"net.ipv4.ip_forward=1",
		// The answer of a pod to another pod behind the same bridge has to
		// pass the rules too, or its service address is not put back.
		"net.bridge.bridge-nf-call-iptables=1",
	}
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		file := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
		if err := run(inside("sh", "-c", `echo "$1" >"$2"`, "sh", value, file)...); err != nil {
			return fmt.Errorf("set %s in the node's network (is the kernel module br_netfilter there?): %w", setting, err)
		}
	}
	return nil
}

// removeNetwork takes away the namespace and the host's end of the link, and
// is content where there is none.
func removeNetwork() error {
	var failures []error
	if _, err := os.Stat("/sys/class/net/" + hostLink); err == nil {
		failures = append(failures, run("ip", "link", "delete", hostLink))
	}
	if _, err := os.Stat(netns); err == nil {
		failures = append(failures, run("ip", "netns", "delete", Name))
	}
	return errors.Join(failures...)
}
