// Package build makes the programs of this module, each once for what it is
// made of, into the cache.
package build

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
)

// Program builds the command cmd/NAME and gives the path of the binary.
func Program(source, name string) (string, error) {
	return program(source, name, "./cmd/"+name, "-s -w", "cmd/"+name)
}

// Kubernetes builds every part of the node, as one binary.
func Kubernetes(source string) (string, error) {
	version, err := KubernetesVersion(source)
	if err != nil {
		return "", err
	}
	major, minor, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	const place = "k8s.io/component-base/version."
	flags := fmt.Sprintf("-s -w -X %[1]sgitVersion=%[2]s -X %[1]sgitMajor=%[3]s -X %[1]sgitMinor=%[4]s", place, version, major, minor)
	return program(source, "kubernetes", "./cmd/kubernetes", flags, "cmd/kubernetes", "internal/storage")
}

// NodeKubectl is kubectl as a part of the node's binary.
func NodeKubectl(source string) (string, error) {
	kubernetes, err := Kubernetes(source)
	if err != nil {
		return "", err
	}
	kubectl := filepath.Join(filepath.Dir(kubernetes), "kubectl")
	if err := os.Symlink("kubernetes", kubectl); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return kubectl, nil
}

// Kubectl builds kubectl alone, where no node is needed.
func Kubectl(source string) (string, error) {
	return program(source, "kubectl", "k8s.io/kubernetes/cmd/kubectl", "-s -w")
}

var requirement = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes\s+(v\S+)`)

// KubernetesVersion is the version that go.mod requires, such as v1.36.3.
func KubernetesVersion(source string) (string, error) {
	file := filepath.Join(source, "go.mod")
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

// program builds a static binary, kept by the hash of the module's
// requirements and of the given sources.
func program(source, name, target, flags string, sources ...string) (string, error) {
	key, err := cache.Key(source, append([]string{"go.mod", "go.sum"}, sources...), flags)
	if err != nil {
		return "", err
	}
	dir, err := cache.Sub("programs", name+"-"+key)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, name)
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
	if _, err := exec.LookPath("go"); err != nil {
		return "", errors.New("the Go toolchain is needed, in the version that tests/cluster/go.mod names or newer: see go.dev/doc/install")
	}
	hint := ""
	if name == "kubernetes" {
		hint = " (about 6 minutes on two idle cores, once)"
	}
	fmt.Fprintf(os.Stderr, "cluster: building %s%s\n", name, hint)
	started := time.Now()
	temporary := binary + ".new"
	build := exec.Command("go", "build", "-trimpath", "-ldflags", flags, "-o", temporary, target)
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("go build %s: %w", target, err)
	}
	fmt.Fprintf(os.Stderr, "cluster: built %s in %s\n", name, time.Since(started).Round(time.Second))
	return binary, os.Rename(temporary, binary)
}
