package node

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Down removes the node: its processes and pods, mounts, network, control
// groups and files. It is content with any state that an earlier run left.
func (n *Node) Down() error {
	if os.Geteuid() != 0 {
		return errors.New("the project's node needs root: run this as root, or name a cluster with KUBECONFIG")
	}
	known, err := n.readRecord()
	if err != nil {
		return err
	}
	if err := kill(n.parts(known)); err != nil {
		return err
	}
	containers := n.containers()
	if err := kill(podProcesses(containers)); err != nil {
		return err
	}
	if err := n.unmount(); err != nil {
		return err
	}
	if err := removeNetwork(); err != nil {
		return err
	}
	n.removePodCgroups()
	n.removeTraces(containers)
	for _, folder := range []string{runDir, n.Dir} {
		// Nothing is mounted in there any more: unmount has made sure.
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}

// parts are the recorded processes and, where the record was lost, those
// whose command line names the node's folders.
func (n *Node) parts(known *record) []process {
	found := slices.Clone(known.Processes)
	eachProcess(func(pid int, now stat) {
		arguments := commandLine(pid)
		ours := slices.ContainsFunc(arguments, func(argument string) bool {
			return strings.Contains(argument, n.Dir+"/") || strings.Contains(argument, runDir+"/")
		})
		if !ours || pid == os.Getpid() || len(arguments) == 0 {
			return
		}
		// Only what the node starts: not an editor or a `tail -f` of a log.
		switch filepath.Base(arguments[0]) {
		case "kubernetes", "containerd", "containerd-shim-runc-v2", "containerd-shim":
			found = append(found, process{Name: filepath.Base(arguments[0]), PID: pid, Started: now.started})
		}
	})
	return found
}

// containers maps the ids of the node's containers to their shims' sockets.
func (n *Node) containers() map[string]string {
	found := map[string]string{}
	entries, err := os.ReadDir(n.tasks())
	if err != nil {
		return found
	}
	for _, entry := range entries {
		address, err := os.ReadFile(filepath.Join(n.tasks(), entry.Name(), "address"))
		if err != nil {
			address = nil
		}
		found[entry.Name()] = strings.TrimPrefix(strings.TrimSpace(string(address)), "unix://")
	}
	return found
}

// podProcesses are those in a control group of a container of ours. Their
// shim may be gone already, so nothing else connects them to the node.
func podProcesses(containers map[string]string) []process {
	var found []process
	eachProcess(func(pid int, now stat) {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if err != nil {
			return
		}
		for line := range strings.Lines(string(content)) {
			for name := range strings.SplitSeq(strings.TrimSpace(line), "/") {
				if _, ours := containers[name]; ours {
					found = append(found, process{Name: "container " + name, PID: pid, Started: now.started})
					return
				}
			}
		}
	})
	return found
}

func eachProcess(visit func(pid int, now stat)) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if now, found := readStat(pid); found {
			visit(pid, now)
		}
	}
}

func commandLine(pid int) []string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(content) == 0 {
		return nil
	}
	return strings.Split(strings.TrimRight(string(content), "\x00"), "\x00")
}

// mounts are the mount points at or below the node's folders, the last first.
func (n *Node) mounts() ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var found []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		point := unescape.Replace(fields[4])
		if strings.HasPrefix(point, n.Dir+"/") || strings.HasPrefix(point, runDir+"/") {
			found = append(found, point)
		}
	}
	slices.Reverse(found)
	return found, lines.Err()
}

func (n *Node) unmount() error {
	points, err := n.mounts()
	if err != nil {
		return err
	}
	for _, point := range points {
		if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			return fmt.Errorf("unmount %s: %w", point, err)
		}
	}
	left, err := n.mounts()
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("still mounted: %s", strings.Join(left, ", "))
	}
	return err
}

// removePodCgroups removes the empty control groups that the kubelet left.
// A group with a process in it cannot be removed, so none of another node is
// touched that is in use.
func (n *Node) removePodCgroups() {
	roots, err := filepath.Glob(cgroups + "/*/kubepods")
	if err != nil {
		return
	}
	roots = append(roots, cgroups+"/kubepods")
	for _, root := range roots {
		var folders []string
		_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders = append(folders, path)
			}
			return nil
		})
		slices.Reverse(folders)
		for _, folder := range folders {
			_ = syscall.Rmdir(folder)
		}
	}
}

// removeTraces removes what the parts write outside the node's folders, at
// places that are fixed in them.
func (n *Node) removeTraces(containers map[string]string) {
	patterns := []string{"/var/lib/cni/results/" + cniName + "-*"}
	for id, socket := range containers {
		patterns = append(patterns, "/var/lib/cni/results/*-"+id+"-*")
		if socket != "" {
			_ = os.Remove(socket)
		}
	}
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		for _, file := range files {
			_ = os.Remove(file)
		}
	}
	// The kubelet's own folder is elsewhere, but not for this socket.
	_ = os.Remove("/var/lib/kubelet/device-plugins/kubelet.sock")
	for _, folder := range []string{"/var/lib/kubelet/device-plugins", "/var/lib/kubelet", "/var/lib/cni/results", "/var/lib/cni"} {
		_ = syscall.Rmdir(folder) // only where it is empty
	}
	links, err := filepath.Glob("/var/log/containers/*.log")
	if err != nil {
		return
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, n.Dir+"/") {
			_ = os.Remove(link)
		}
	}
}
