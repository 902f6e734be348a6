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

// suiteName is the code name of a release of Debian.
var suiteName = regexp.MustCompile(`^[a-z]+$`)

// DebianPackages gives the packages' .deb files in the cache, downloading those
// that are not there. A package in the cache is kept until it is deleted: so
// the same input gives the same image. A name may have a suite, as apt-get has
// it: pgbouncer/trixie. Without one the machine's own sources count.
func DebianPackages(names ...string) ([]string, error) {
	files := make([]string, len(names))
	bySuite := map[string][]int{}
	for index, name := range names {
		name, suite := Suite(name)
		if !packageName.MatchString(name) || (suite != "" && !suiteName.MatchString(suite)) {
			return nil, fmt.Errorf("%q is not the name of a Debian package", names[index])
		}
		bySuite[suite] = append(bySuite[suite], index)
	}
	for suite, indexes := range bySuite {
		wanted := make([]string, len(indexes))
		for at, index := range indexes {
			wanted[at], _ = Suite(names[index])
		}
		found, err := packagesOf(suite, wanted)
		if err != nil {
			return nil, err
		}
		for at, index := range indexes {
			files[index] = found[at]
		}
	}
	return files, nil
}

// Suite splits the suite off a package's name; it is empty where there is none.
func Suite(name string) (base, suite string) {
	base, suite, _ = strings.Cut(name, "/")
	return base, suite
}

// packagesOf gives the .deb files of packages of one suite.
func packagesOf(suite string, names []string) ([]string, error) {
	dir, err := cache.Sub("debs", suite)
	if err != nil {
		return nil, err
	}
	unlock, err := cache.Lock(dir, "download")
	if err != nil {
		return nil, err
	}
	defer unlock()
	files := make([]string, len(names))
	var missing []string
	for index, name := range names {
		if files[index], err = newestPackage(dir, name); err != nil {
			return nil, err
		}
		if files[index] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return files, nil
	}
	if err := download(dir, suite, missing...); err != nil {
		return nil, err
	}
	for index, name := range names {
		files[index], err = newestPackage(dir, name)
		if err == nil && files[index] == "" {
			err = fmt.Errorf("apt-get download %s left no file %s_*.deb in %s", name, name, dir)
		}
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// library tells the packages of shared libraries by their names.
var library = regexp.MustCompile(`^(lib|zlib)`)

// WithLibraries gives the .deb files of the packages, by the packages' names,
// and of the libraries that they depend on, also by way of another library, of
// the same suite. What else they depend on is for installing them.
func WithLibraries(names ...string) (map[string]string, error) {
	found := map[string]string{}
	for len(names) > 0 {
		files, err := DebianPackages(names...)
		if err != nil {
			return nil, err
		}
		var next []string
		for index, name := range names {
			found[name] = files[index]
			needed, err := dependencies(files[index])
			if err != nil {
				return nil, err
			}
			_, suite := Suite(name)
			for _, one := range needed {
				if suite != "" {
					one += "/" + suite
				}
				if _, known := found[one]; !known && library.MatchString(one) && !slices.Contains(next, one) && !slices.Contains(names, one) {
					next = append(next, one)
				}
			}
		}
		names = next
	}
	return found, nil
}

// dependencies are the names of the packages that a .deb depends on, the first
// where it offers several.
func dependencies(file string) ([]string, error) {
	show := exec.Command("dpkg-deb", "--show", "--showformat", "${Pre-Depends}, ${Depends}", file)
	output, err := show.Output()
	if err != nil {
		return nil, fmt.Errorf("dpkg-deb (package dpkg) is needed to read %s: %w", file, err)
	}
	return dependencyNames(string(output)), nil
}

func dependencyNames(relations string) []string {
	var names []string
	for relation := range strings.SplitSeq(relations, ",") {
		name := strings.TrimSpace(relation)
		// A version, an alternative or an architecture may follow (Debian's policy manual, section 7.1).
		if end := strings.IndexAny(name, " (|:"); end >= 0 {
			name = name[:end]
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

func newestPackage(dir, name string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
	if err != nil || len(files) == 0 {
		return "", err
	}
	return slices.Max(files), nil
}

// mirror is where the machine gets Debian's packages from: it has those of all
// suites.
func mirror() (string, error) {
	for range 2 {
		targets := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Label: Debian")
		output, err := targets.Output()
		if err != nil {
			return "", fmt.Errorf("apt-get is needed to find Debian's packages: %w", err)
		}
		if uris := strings.Fields(string(output)); len(uris) > 0 {
			return uris[0], nil
		}
		// Only lists that were fetched tell whose they are.
		if output, err := exec.Command("apt-get", "-q", "update").CombinedOutput(); err != nil {
			return "", fmt.Errorf("apt-get update: %w: %s", err, bytes.TrimSpace(output))
		}
	}
	return "", errors.New("the sources of apt-get name no mirror of Debian's packages")
}

// sources makes apt-get read the lists of one suite alone, which are kept in
// the folder of its packages.
func sources(dir, suite string) ([]string, error) {
	if suite == "" {
		return nil, nil
	}
	archive, err := mirror()
	if err != nil {
		return nil, err
	}
	lists := filepath.Join(dir, "lists")
	if err := os.MkdirAll(filepath.Join(lists, "partial"), 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "sources.list")
	line := fmt.Sprintf("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n", archive, suite)
	if err := os.WriteFile(file, []byte(line), 0o644); err != nil {
		return nil, err
	}
	return []string{
		"-o", "Dir::Etc::SourceList=" + file, "-o", "Dir::Etc::SourceParts=-", "-o", "Dir::State::Lists=" + lists,
		"-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
	}, nil
}

func download(dir, suite string, names ...string) error {
	fmt.Fprintf(os.Stderr, "cluster: downloading from Debian: %s\n", strings.Join(names, ", "))
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
	of, err := sources(dir, suite)
	if err != nil {
		return err
	}
	apt := append([]string{"apt-get", "-q", "-o", "APT::Sandbox::User=root"}, of...)
	fetch := append(append(slices.Clone(apt), "download"), names...)
	if first := run(fetch...); first != nil {
		// The lists are missing or older than the archive.
		if err := run(append(apt, "update")...); err != nil {
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
