package tools

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"learningplatform.dev/tests/cluster/internal/cache"
	"learningplatform.dev/tests/cluster/internal/oci"
)

// bundle is a set of Debian packages that tests run as they are, with their
// libraries and beside whatever is installed. The first package names it.
type bundle struct {
	packages []string
	// folder has the programs, as the packages place it.
	folder string
}

var (
	postgres = bundle{[]string{"postgresql-15", "postgresql-client-15"}, "usr/lib/postgresql/15/bin"}
	redis    = bundle{[]string{"redis-server", "redis-tools"}, "usr/bin"}
	// Debian 12's own keeps no prepared statements in transaction mode.
	pgbouncer = bundle{[]string{"pgbouncer/trixie"}, "usr/sbin"}
)

// bundled are the tools that come in a bundle. All programs of a bundle are in
// the folder of any of them: initdb is beside postgres.
var bundled = map[string]bundle{"postgres": postgres, "psql": postgres, "redis-server": redis, "redis-cli": redis, "pgbouncer": pgbouncer}

// program gives the path of the program called so, unpacking the bundle first.
func (b bundle) program(called string) (string, error) {
	files, err := oci.WithLibraries(b.packages...)
	if err != nil {
		return "", err
	}
	// The C library comes with the machine's loader: those two belong together. Of another suite both are taken.
	delete(files, "libc6")
	name, _ := oci.Suite(b.packages[0])
	archives := slices.Sorted(maps.Values(files))
	sum := sha256.New()
	for _, archive := range archives {
		fmt.Fprintln(sum, filepath.Base(archive))
	}
	// PostgreSQL refuses to run as root, so another user has to reach all of it.
	parent, err := cache.Shared("tools")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(parent, name+"-"+hex.EncodeToString(sum.Sum(nil))[:16])
	program := filepath.Join(dir, "bin", called)
	unlock, err := cache.Lock(parent, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	temporary, err := os.MkdirTemp(parent, ".unpack-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temporary)
	if err := b.unpack(archives, temporary, dir); err != nil {
		return "", err
	}
	if err := os.Rename(temporary, dir); err != nil {
		return "", err
	}
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("the packages %s hold no %s: %w", strings.Join(b.packages, ", "), called, err)
	}
	return program, nil
}

// unpack fills a folder that will be called final: the packages in root, and
// in bin a script for each program, which starts it with its libraries.
func (b bundle) unpack(archives []string, folder, final string) error {
	root := filepath.Join(folder, "root")
	if err := errors.Join(os.Chmod(folder, 0o755), os.Mkdir(root, 0o755), os.Mkdir(filepath.Join(folder, "bin"), 0o755)); err != nil {
		return err
	}
	for _, archive := range archives {
		if output, err := exec.Command("dpkg-deb", "--extract", archive, root).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w: %s", archive, err, output)
		}
	}
	var libraries []string
	for _, pattern := range []string{"usr/lib/*-linux-gnu*", "lib/*-linux-gnu*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, one := range found {
			libraries = append(libraries, filepath.Join(final, strings.TrimPrefix(one, folder)))
		}
	}
	programs, err := os.ReadDir(filepath.Join(root, b.folder))
	if err != nil {
		return err
	}
	loaders, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu*/ld-linux-*.so.*"))
	if err != nil {
		return err
	}
	for _, program := range programs {
		path, paths := filepath.Join(final, "root", b.folder, program.Name()), strings.Join(libraries, ":")
		script := fmt.Sprintf("#!/bin/sh\nLD_LIBRARY_PATH='%s' exec '%s' \"$@\"\n", paths, path)
		if len(loaders) > 0 {
			loader := filepath.Join(final, strings.TrimPrefix(loaders[0], folder))
			script = fmt.Sprintf("#!/bin/sh\nexec '%s' --library-path '%s' '%s' \"$@\"\n", loader, paths, path)
		}
		if err := os.WriteFile(filepath.Join(folder, "bin", program.Name()), []byte(script), 0o755); err != nil {
			return err
		}
	}
	return nil
}
