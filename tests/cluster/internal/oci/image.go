// Package oci packs container images without a container engine: files and
// Debian packages become a root filesystem of one layer in an OCI archive.
package oci

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

var platform = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}

// Spec is what goes into an image.
type Spec struct {
	// Name is the full reference, such as localhost/sample-app:dev.
	Name string
	// Files are copied to their destination, folders with all they hold.
	Files []File
	// Packages are Debian packages to unpack, without their dependencies.
	Packages []string
	// Programs are Debian packages to unpack with the libraries they need.
	Programs []string
	// Links are symbolic links: what each points to, and its place in the image.
	Links []File
	// Accounts are users with a name and a group, as name:user:group. A program
	// such as initdb refuses a user that has no name.
	Accounts []string
	// Entrypoint is the command; Args are its defaults.
	Entrypoint, Args []string
	// Env are lines of the form NAME=value.
	Env []string
	// User is a numeric user, or user:group. Numeric, because the kubelet
	// cannot prove runAsNonRoot for a name.
	User    string
	Workdir string
	Labels  map[string]string
}

// File is a file or folder of the host and its place in the image.
type File struct{ Source, Destination string }

var accountForm = regexp.MustCompile(`^[a-z][a-z0-9-]*:[0-9]+:[0-9]+$`)

func (s *Spec) validate() error {
	repository, tag, found := strings.Cut(s.Name[strings.LastIndex(s.Name, "/")+1:], ":")
	if !found || repository == "" || tag == "" {
		return fmt.Errorf("image name %q: write it as repository:tag, such as localhost/sample-app:dev", s.Name)
	}
	if len(s.Entrypoint) == 0 {
		return fmt.Errorf("image %s has no entrypoint: name the program it starts", s.Name)
	}
	if strings.Trim(s.User, "0123456789:") != "" {
		return fmt.Errorf("image %s: user %q must be numeric, such as 65532", s.Name, s.User)
	}
	for _, account := range s.Accounts {
		if !accountForm.MatchString(account) {
			return fmt.Errorf("image %s: account %q must have the form name:user:group with numbers", s.Name, account)
		}
	}
	for _, line := range s.Env {
		if !strings.Contains(line, "=") {
			return fmt.Errorf("image %s: environment %q must have the form NAME=value", s.Name, line)
		}
	}
	return nil
}

// Build makes the image. The same input gives the same digest.
func (s *Spec) Build() (v1.Image, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	root, err := s.root()
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", s.Name, err)
	}
	var layer bytes.Buffer
	if err := root.writeTar(&layer); err != nil {
		return nil, fmt.Errorf("image %s: %w", s.Name, err)
	}
	// Not compressed: the archive never leaves this machine, and gzip would
	// cost more time than all the rest.
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	image, err = mutate.AppendLayers(image, static.NewLayer(layer.Bytes(), types.OCIUncompressedLayer))
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = platform.OS, platform.Architecture
	config.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	config.History = nil
	env := s.Env
	if !slices.ContainsFunc(env, func(line string) bool { return strings.HasPrefix(line, "PATH=") }) {
		env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, env...)
	}
	config.Config = v1.Config{
		Entrypoint: s.Entrypoint, Cmd: s.Args, User: s.User, WorkingDir: s.Workdir, Labels: s.Labels, Env: env,
	}
	return mutate.ConfigFile(image, config)
}

// root is the image's root filesystem: what every program expects, then the
// packages, then the files.
func (s *Spec) root() (*tree, error) {
	root := newTree()
	for _, folder := range []string{"usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "run", "var"} {
		root.makeFolder(folder, 0o755)
	}
	root.makeFolder("tmp", 0o1777)
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		root.addLink(link, "usr/"+link)
	}
	users, groups := "root:x:0:0:root:/root:/sbin/nologin\n", "root:x:0:\n"
	for _, account := range append([]string{"nonroot:65532:65532"}, s.Accounts...) {
		fields := strings.Split(account, ":")
		users += fmt.Sprintf("%[1]s:x:%[2]s:%[3]s:%[1]s:/:/sbin/nologin\n", fields[0], fields[1], fields[2])
		groups += fmt.Sprintf("%s:x:%s:\n", fields[0], fields[2])
	}
	root.addBytes("etc/passwd", []byte(users), 0o644)
	root.addBytes("etc/group", []byte(groups), 0o644)
	root.addBytes("etc/nsswitch.conf", []byte("passwd: files\ngroup: files\nhosts: files dns\n"), 0o644)
	packages, err := s.debs()
	if err != nil {
		return nil, err
	}
	for _, file := range packages {
		if err := root.addPackage(file); err != nil {
			return nil, err
		}
	}
	if err := root.addCertificates(); err != nil {
		return nil, err
	}
	for _, file := range s.Files {
		if err := root.addPath(file.Source, file.Destination); err != nil {
			return nil, err
		}
	}
	for _, link := range s.Links {
		root.add(link.Destination, tar.Header{Typeflag: tar.TypeSymlink, Linkname: link.Source, Mode: 0o777}, nil)
	}
	return root, nil
}

// debs are the .deb files of all packages, in the order of the packages' names.
func (s *Spec) debs() ([]string, error) {
	files, err := WithLibraries(s.Programs...)
	if err != nil {
		return nil, err
	}
	plain, err := DebianPackages(s.Packages...)
	if err != nil {
		return nil, err
	}
	for index, name := range s.Packages {
		files[name] = plain[index]
	}
	var ordered []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		ordered = append(ordered, files[name])
	}
	return ordered, nil
}

// format is part of the inputs' key: raise it when the same input is to
// give another image.
const format = "1"

// Inputs is a hash over all that the image is made of, in hexadecimal.
func (s *Spec) Inputs() (string, error) {
	packages, err := s.debs()
	if err != nil {
		return "", err
	}
	for index, file := range packages {
		packages[index] = filepath.Base(file)
	}
	// Where a file comes from does not matter, only what is in it.
	spec := *s
	spec.Files = nil
	description, err := json.Marshal(map[string]any{"format": format, "spec": spec, "packages": packages})
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	sum.Write(description)
	for _, file := range s.Files {
		tree := newTree()
		if err := tree.addPath(file.Source, file.Destination); err != nil {
			return "", err
		}
		if err := tree.writeTar(sum); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Pack builds the image, writes it as an archive and gives its digest. An
// archive that was made of the same inputs is left alone.
func (s *Spec) Pack(output string) (digest string, err error) {
	if err := s.validate(); err != nil {
		return "", err
	}
	inputs, err := s.Inputs()
	if err != nil {
		return "", fmt.Errorf("image %s: %w", s.Name, err)
	}
	present, err := ReadArchive(output)
	if err == nil && present.Name == s.Name && present.Inputs == inputs {
		return present.Digest, nil
	}
	image, err := s.Build()
	if err != nil {
		return "", err
	}
	hash, err := image.Digest()
	if err != nil {
		return "", err
	}
	return hash.String(), writeArchive(image, s.Name, inputs, output)
}
