package oci

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"learningplatform.dev/tests/cluster/internal/cache"
)

// dropped are the folders of a package that no program reads.
var dropped = []string{"usr/share/doc/", "usr/share/man/", "usr/share/lintian/", "usr/share/locale/", "usr/share/bug/"}

// packageName is a package's name by Debian's policy manual, section 5.6.1.
var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)

// DebianPackage gives the package's .deb file in the cache, downloading it
// when there is none. A package in the cache is kept until it is deleted: so
// the same input gives the same image.
func DebianPackage(name string) (string, error) {
	if !packageName.MatchString(name) {
		return "", fmt.Errorf("%q is not the name of a Debian package", name)
	}
	dir, err := cache.Sub("debs")
	if err != nil {
		return "", err
	}
	unlock, err := cache.Lock(dir, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if file, err := newestPackage(dir, name); err != nil || file != "" {
		return file, err
	}
	if err := download(dir, name); err != nil {
		return "", err
	}
	file, err := newestPackage(dir, name)
	if err == nil && file == "" {
		err = fmt.Errorf("apt-get download %s left no file %s_*.deb in %s", name, name, dir)
	}
	return file, err
}

func newestPackage(dir, name string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
	if err != nil || len(files) == 0 {
		return "", err
	}
	return slices.Max(files), nil
}

func download(dir, name string) error {
	fmt.Fprintf(os.Stderr, "cluster: downloading the Debian package %s\n", name)
	// A folder of its own, so that a broken download is never taken for a package.
	temporary, err := os.MkdirTemp(dir, ".download-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	run := func(command ...string) error {
		process := exec.Command(command[0], command[1:]...)
		process.Dir = temporary
		if output, err := process.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, bytes.TrimSpace(output))
		}
		return nil
	}
	fetch := []string{"apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name}
	if first := run(fetch...); first != nil {
		// The lists are missing or older than the archive.
		if err := run("apt-get", "-q", "update"); err != nil {
			return errors.Join(first, err)
		}
		if err := run(fetch...); err != nil {
			return err
		}
	}
	files, err := filepath.Glob(filepath.Join(temporary, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := os.Rename(file, filepath.Join(dir, filepath.Base(file))); err != nil {
			return err
		}
	}
	return nil
}

// addPackage unpacks a .deb into the tree. Nothing of it is run.
func (t *tree) addPackage(file string) error {
	process := exec.Command("dpkg-deb", "--fsys-tarfile", file)
	var failure bytes.Buffer
	process.Stderr = &failure
	output, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return fmt.Errorf("dpkg-deb (package dpkg) is needed to unpack %s: %w", file, err)
	}
	readErr := t.addTar(output)
	if readErr != nil {
		_, _ = io.Copy(io.Discard, output)
	}
	if err := process.Wait(); err != nil {
		return fmt.Errorf("unpack %s: %w: %s", file, err, bytes.TrimSpace(failure.Bytes()))
	}
	return readErr
}

func (t *tree) addTar(input io.Reader) error {
	archive := tar.NewReader(input)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(header.Name, "./")
		if slices.ContainsFunc(dropped, func(folder string) bool { return strings.HasPrefix(name, folder) }) {
			continue
		}
		switch header.Typeflag {
		case tar.TypeReg:
			content, err := io.ReadAll(archive)
			if err != nil {
				return err
			}
			t.add(name, *header, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
		case tar.TypeDir:
			// A folder that other packages see as a link stays a link.
			if _, link := t.links[t.resolve(name)]; !link {
				t.add(name, *header, nil)
			}
		case tar.TypeSymlink:
			t.add(name, *header, nil)
		case tar.TypeLink:
			header.Linkname = t.resolve(header.Linkname)
			t.add(name, *header, nil)
		default:
			return fmt.Errorf("entry %s has the unsupported type %q", name, header.Typeflag)
		}
	}
}

// addCertificates writes the bundle that Debian's ca-certificates makes when
// it is installed, from the certificates that the package brought.
func (t *tree) addCertificates() error {
	var names []string
	for name := range t.nodes {
		if strings.HasPrefix(name, "usr/share/ca-certificates/") && strings.HasSuffix(name, ".crt") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	var bundle bytes.Buffer
	for _, name := range names {
		content, err := t.nodes[name].open()
		if err != nil {
			return err
		}
		_, err = bundle.ReadFrom(content)
		if err := errors.Join(err, content.Close()); err != nil {
			return err
		}
		bundle.WriteByte('\n')
	}
	t.addBytes("etc/ssl/certs/ca-certificates.crt", bundle.Bytes(), 0o644)
	return nil
}
