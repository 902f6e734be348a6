package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// RuntimeVariable names the environment variable that chooses between crun and
// runc.
const RuntimeVariable = "LP_NODE_RUNTIME"

const cgroups = "/sys/fs/cgroup"

// chooseRuntime names the program that containerd starts containers with. Each
// probe by a script is a run of it, and costs a third with crun of what it does
// with runc, which is left where crun cannot be had.
func chooseRuntime() (string, error) {
	switch chosen := os.Getenv(RuntimeVariable); chosen {
	case "runc":
		return chosen, nil
	case "", "crun":
		err := ensureCrun()
		if err == nil || chosen != "" {
			return "crun", err
		}
		progress("containers are started with runc: %v", err)
		return "runc", nil
	default:
		return "", fmt.Errorf("%s is %q: write crun or runc", RuntimeVariable, chosen)
	}
}

func ensureCrun() error {
	if _, err := exec.LookPath("crun"); err != nil {
		if err := apt("apt-get", "-q", "-y", "install", "--no-install-recommends", "crun"); err != nil {
			return err
		}
	}
	return separate(cgroups)
}

// separate mounts the controllers that the second version of control groups has
// beside the first: crun refuses a mix of both. The kernel refuses those that
// are in use.
func separate(root string) error {
	content, err := os.ReadFile(filepath.Join(root, "unified", "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // One version alone.
	}
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(content)) {
		folder := filepath.Join(root, controller)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("cgroup", folder, "cgroup", 0, controller); err != nil {
			return fmt.Errorf("mount the controller %s: %w", controller, err)
		}
	}
	return nil
}
