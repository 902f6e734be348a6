package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"learningplatform.dev/tests/cluster/internal/cache"
	"learningplatform.dev/tests/cluster/internal/oci"
)

// Kubernetes builds the node's binary and gives its path. It is kept in the
// cache by what it is made of, so only the first run of a version waits.
func (n *Node) Kubernetes() (string, error) {
	version, err := n.Version()
	if err != nil {
		return "", err
	}
	key, err := cache.Key(n.Source, []string{"go.mod", "go.sum", "cmd/kubernetes"}, version)
	if err != nil {
		return "", err
	}
	dir, err := cache.Sub("kubernetes", version+"-"+key)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "kubernetes")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	unlock, err := cache.Lock(dir, "build")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	started := time.Now()
	fmt.Fprintf(os.Stderr, "cluster: building Kubernetes %s (about 5 minutes on two idle cores, once)\n", version)
	major, minor, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	const place = "k8s.io/component-base/version."
	flags := fmt.Sprintf("-s -w -X %[1]sgitVersion=%[2]s -X %[1]sgitMajor=%[3]s -X %[1]sgitMinor=%[4]s", place, version, major, minor)
	if err := GoBuild(n.Source, "./cmd/kubernetes", binary, "-ldflags", flags); err != nil {
		return "", fmt.Errorf("build Kubernetes: %w", err)
	}
	fmt.Fprintf(os.Stderr, "cluster: built Kubernetes in %s\n", time.Since(started).Round(time.Second))
	return binary, nil
}

var requirement = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes\s+(v\S+)`)

// Version is the Kubernetes version that go.mod requires.
func (n *Node) Version() (string, error) {
	file := filepath.Join(n.Source, "go.mod")
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	found := requirement.FindSubmatch(content)
	if found == nil {
		return "", fmt.Errorf("%s requires no k8s.io/kubernetes", file)
	}
	return string(found[1]), nil
}

// GoBuild builds a static binary of this module and puts it in place whole.
func GoBuild(source, target, output string, arguments ...string) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("the Go toolchain is needed, in the version that tests/cluster/go.mod names or newer: see go.dev/doc/install")
	}
	temporary := output + ".new"
	line := append([]string{"build", "-trimpath", "-o", temporary}, arguments...)
	build := exec.Command("go", append(line, target)...)
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("go build %s: %w", target, err)
	}
	return os.Rename(temporary, output)
}

// pause packs the image of every pod's sandbox.
func (n *Node) pause() (string, error) {
	dir, err := cache.Sub("images")
	if err != nil {
		return "", err
	}
	unlock, err := cache.Lock(dir, "pause")
	if err != nil {
		return "", err
	}
	defer unlock()
	binary := filepath.Join(dir, "pause")
	if err := GoBuild(n.Source, "./cmd/pause", binary, "-ldflags", "-s -w"); err != nil {
		return "", err
	}
	archive := filepath.Join(dir, "pause.tar")
	image := oci.Spec{
		Name: pauseImage, Files: []oci.File{{Source: binary, Destination: "/pause"}},
		Entrypoint: []string{"/pause"}, User: "65535:65535",
	}
	_, err = image.Pack(archive)
	return archive, err
}
