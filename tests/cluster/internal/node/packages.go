package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// needed are the programs of the node that come from Debian, each with the
// package that brings it.
var needed = []struct{ program, pkg string }{
	{"containerd", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{"/usr/lib/cni/bridge", "containernetworking-plugins"},
	{"iptables", "iptables"},
	{"conntrack", "conntrack"},
	{"ethtool", "ethtool"},
	{"socat", "socat"},
	{"ip", "iproute2"},
	{"nsenter", "util-linux"},
	{"mount", "mount"},
}

func missingPackages() []string {
	var missing []string
	for _, one := range needed {
		if _, err := exec.LookPath(one.program); err == nil {
			continue
		}
		if len(missing) == 0 || missing[len(missing)-1] != one.pkg {
			missing = append(missing, one.pkg)
		}
	}
	return missing
}

// ensurePackages installs what is missing.
func ensurePackages() error {
	missing := missingPackages()
	if len(missing) == 0 {
		return nil
	}
	remedy := "apt-get install --no-install-recommends " + strings.Join(missing, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("the node needs programs that are missing here; on Debian: %s", remedy)
	}
	fmt.Fprintf(os.Stderr, "cluster: installing %s\n", strings.Join(missing, ", "))
	install := append([]string{"apt-get", "-q", "-y", "install", "--no-install-recommends"}, missing...)
	if err := apt(install...); err == nil {
		return nil
	}
	// The lists are missing or older than the archive.
	if err := apt("apt-get", "-q", "update"); err != nil {
		return err
	}
	if err := apt(install...); err != nil {
		return fmt.Errorf("%w; try by hand: %s", err, remedy)
	}
	if missing := missingPackages(); len(missing) > 0 {
		return errors.New("still missing after the installation: " + strings.Join(missing, ", "))
	}
	return nil
}

func apt(command ...string) error {
	process := exec.Command(command[0], command[1:]...)
	process.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	output, err := process.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, output[max(0, len(output)-1000):])
	}
	return nil
}
