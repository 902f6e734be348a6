package node

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"learningplatform.dev/tests/cluster/internal/build"
	"learningplatform.dev/tests/cluster/internal/cache"
	"learningplatform.dev/tests/cluster/internal/oci"
)

// Lock keeps two runs from starting or removing the node at the same time.
func Lock() (unlock func() error, err error) { return cache.Lock("/run", "learningplatform-node") }

func progress(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "cluster: "+format+"\n", values...)
}

// Up brings the node up, or leaves it alone where it is up and is the one
// that this module describes. Anything less is removed first: a node made
// anew in seconds is worth more than one that was mended.
func (n *Node) Up() error {
	if os.Geteuid() != 0 {
		return errors.New("no cluster named, no Docker answers, and the project's own node needs root: " +
			"run this as root, start Docker, or name a cluster with KUBECONFIG")
	}
	if err := ensurePackages(); err != nil {
		return err
	}
	kubernetes, err := build.Kubernetes(n.Source)
	if err != nil {
		return err
	}
	runtime, err := chooseRuntime()
	if err != nil {
		return err
	}
	files, err := n.configuration(runtime)
	if err != nil {
		return err
	}
	// By the name of its folder, which has the hash of what it is made of: the
	// cache may be elsewhere for another user.
	fingerprint, err := n.fingerprint(filepath.Base(filepath.Dir(kubernetes)), files)
	if err != nil {
		return err
	}
	unlock, err := Lock()
	if err != nil {
		return err
	}
	defer unlock()
	reason := n.defect(fingerprint, 20*time.Second)
	if reason == nil {
		return nil
	}
	if _, err := os.Stat(n.Dir); err == nil {
		progress("making the node anew: %v", reason)
	}
	if err := n.Down(); err != nil {
		return fmt.Errorf("clear away an earlier node: %w", err)
	}
	return n.create(kubernetes, files, fingerprint)
}

// fingerprint is over all that makes the node what it is.
func (n *Node) fingerprint(kubernetes string, files map[string][]byte) (string, error) {
	var lines [][]string
	for _, part := range slices.Concat(n.storage(kubernetes), n.cluster(kubernetes)) {
		lines = append(lines, part.line)
	}
	content, err := json.Marshal(map[string]any{"lines": lines, "files": files})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8]), nil
}

// Check says why the node cannot be used, or nil. It changes nothing.
func (n *Node) Check() error { return n.defect("", 0) }

// defect is why the node that is there cannot be used, or nil.
func (n *Node) defect(fingerprint string, patience time.Duration) error {
	known, err := n.readRecord()
	switch {
	case err != nil:
		return err
	case len(known.Processes) == 0:
		return errors.New("it is not there")
	case !known.Complete:
		return errors.New("it was not started to the end, or not since the machine's last start")
	case fingerprint != "" && known.Fingerprint != fingerprint:
		return errors.New("it was made with other settings or another version")
	}
	for _, part := range known.Processes {
		if !part.alive() {
			return fmt.Errorf("its %s has ended", part.Name)
		}
	}
	if _, err := os.Stat(netns); err != nil {
		return fmt.Errorf("its network is not there: %w", err)
	}
	client, err := n.client()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for {
		err := errors.Join(apiReady(client), nodeReady(client))
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// create makes the node where there is none.
func (n *Node) create(kubernetes string, files map[string][]byte, fingerprint string) error {
	begin := time.Now()
	pause, err := n.pause()
	if err != nil {
		return err
	}
	loadModules()
	for _, step := range []func() error{
		func() error { return n.writeConfiguration(files) },
		n.issueCertificates,
		createNetwork,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	launch := &launch{node: n, record: &record{Boot: bootID(), Fingerprint: fingerprint}}
	if err := launch.start(n.storage(kubernetes)); err != nil {
		return err
	}
	if err := launch.wait("containerd", time.Minute, n.containerdReady); err != nil {
		return err
	}
	if err := n.Load(pause); err != nil {
		return err
	}
	client, err := n.client()
	if err != nil {
		return err
	}
	if err := launch.wait("the API server", 2*time.Minute, func() error { return apiReady(client) }); err != nil {
		return err
	}
	progress("API server ready after %s", time.Since(begin).Round(time.Second))
	if err := launch.start(n.cluster(kubernetes)); err != nil {
		return err
	}
	if err := run(kubernetes, "kubectl", "--kubeconfig", n.Kubeconfig(), "apply", "--server-side",
		"--kustomize", n.Source+"/manifests/node"); err != nil {
		return err
	}
	if err := launch.wait("the node", 3*time.Minute, func() error { return nodeReady(client) }); err != nil {
		return err
	}
	progress("node Ready after %s", time.Since(begin).Round(time.Second))
	if err := launch.wait("pod metrics", 3*time.Minute, func() error { return metricsReady(client) }); err != nil {
		return err
	}
	progress("pod metrics served after %s", time.Since(begin).Round(time.Second))
	launch.record.Complete = true
	return n.writeRecord(launch.record)
}

// loadModules asks for kernel modules that are often not loaded yet. Where
// they are built in, or modprobe is missing, the first use tells.
func loadModules() {
	for _, module := range []string{"overlay", "br_netfilter"} {
		_ = exec.Command("modprobe", module).Run()
	}
}

// launch is the start of a node: what runs already, and how it would end.
type launch struct {
	node   *Node
	record *record
	ended  map[string]<-chan struct{}
}

func (l *launch) start(parts []part) error {
	if l.ended == nil {
		l.ended = map[string]<-chan struct{}{}
	}
	for _, part := range parts {
		started, ended, err := l.node.start(part.name, part.line)
		if err != nil {
			return err
		}
		l.ended[part.name] = ended
		l.record.Processes = append(l.record.Processes, started)
		// At once: an interrupted start is found by the next one.
		if err := l.node.writeRecord(l.record); err != nil {
			return err
		}
	}
	return nil
}

// wait asks until the answer is good. It gives up at the deadline, or when a
// part has ended, with the end of that part's log.
func (l *launch) wait(what string, patience time.Duration, ready func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		for name, ended := range l.ended {
			select {
			case <-ended:
				return fmt.Errorf("%s ended while waiting for %s; %s", name, what, l.node.logTail(name))
			default:
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s was not ready within %s: %w; the logs are in %s", what, patience, err, l.node.Logs())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (n *Node) containerdReady() error {
	connection, err := net.Dial("unix", n.socket())
	if err != nil {
		return err
	}
	connection.Close()
	return run("ctr", "--address", n.socket(), "version")
}

// Load imports image archives, but for those whose image is there already.
func (n *Node) Load(archives ...string) error {
	for _, archive := range archives {
		image, err := oci.ReadArchive(archive)
		if err != nil {
			return err
		}
		ctr := []string{"ctr", "--address", n.socket(), "--namespace", "k8s.io", "images"}
		list := append(slices.Clone(ctr), "list", "name=="+image.Name)
		if present, err := exec.Command(list[0], list[1:]...).Output(); err == nil && image.Name != "" && strings.Contains(string(present), image.Digest) {
			continue
		}
		if err := run(append(ctr, "import", archive)...); err != nil {
			return fmt.Errorf("load %s: %w", archive, err)
		}
		progress("loaded %s", image.Name)
	}
	return nil
}
