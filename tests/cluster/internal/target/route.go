package target

import (
	"fmt"
	"os"
	"strings"
)

// routeToPods lets programs on the host reach pods by their addresses, as the
// tests do that send load to them: Docker's network has kind's node in it, and
// the pods are behind that. Only root may set a route. Without it the cluster
// is complete for everything else, so that this is told and ends nothing.
func (k *Kind) routeToPods() error {
	node, err := nodeAddress()
	if err != nil {
		return err
	}
	pods, err := kubectl(k, nil, "get", "nodes", "--output", "jsonpath={.items[0].spec.podCIDR}")
	if err != nil {
		return err
	}
	if routed(node) == pods {
		return nil
	}
	route := []string{"ip", "route", "replace", pods, "via", node}
	if err := asRoot(route...); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: pods cannot be reached from here, and tests that do so are skipped: run as root `%s` (%v)\n",
			strings.Join(route, " "), err)
	}
	return nil
}

// removeRoute takes the route away, while the node it leads to is still there.
func removeRoute() {
	node, err := nodeAddress()
	if err != nil || routed(node) == "" {
		return
	}
	route := []string{"ip", "route", "flush", "via", node}
	if err := asRoot(route...); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: the route to the pods stays: run as root `%s` (%v)\n", strings.Join(route, " "), err)
	}
}

// nodeAddress is the address of kind's node in Docker's network.
func nodeAddress() (string, error) {
	const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
	return output(nil, "docker", "inspect", "--format", format, kindName+"-control-plane")
}

// routed is the network that the host reaches through the node; empty where
// there is none, or where routes are not told by ip.
func routed(node string) string {
	route, err := output(nil, "ip", "route", "show", "via", node)
	if err != nil {
		return ""
	}
	network, _, _ := strings.Cut(route, " ")
	return network
}

// asRoot runs a command as root: directly, or by a sudo that asks nothing.
func asRoot(command ...string) error {
	if os.Geteuid() != 0 {
		command = append([]string{"sudo", "--non-interactive"}, command...)
	}
	_, err := output(nil, command...)
	return err
}
