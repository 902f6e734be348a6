package oci

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample writes a program to pack and gives its image.
func sample(t *testing.T, content string) Spec {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return Spec{
		Name: "localhost/sample:1", Files: []File{{program, "/usr/bin/sample"}},
		Entrypoint: []string{"/usr/bin/sample"}, User: "65532",
	}
}

func digest(t *testing.T, spec Spec) string {
	t.Helper()
	image, err := spec.Build()
	if err != nil {
		t.Fatal(err)
	}
	hash, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

func TestSameInputGivesTheSameDigest(t *testing.T) {
	one, other := sample(t, "hello"), sample(t, "hello")
	long := time.Now().Add(-100 * time.Hour)
	if err := os.Chtimes(other.Files[0].Source, long, long); err != nil {
		t.Fatal(err)
	}
	if digest(t, one) != digest(t, other) {
		t.Error("the folder or the time of a file changed the image")
	}
	if digest(t, one) == digest(t, sample(t, "hello!")) {
		t.Error("another content gave the same image")
	}
	other.User = "1000"
	if digest(t, one) == digest(t, other) {
		t.Error("another user gave the same image")
	}
}

func TestPackLeavesAnUnchangedArchiveAlone(t *testing.T) {
	spec := sample(t, "hello")
	archive := filepath.Join(t.TempDir(), "image.tar")
	first, err := spec.Pack(archive)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(archive)
	if err != nil {
		t.Fatal(err)
	}
	second, err := spec.Pack(archive)
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(archive)
	if err != nil {
		t.Fatal(err)
	}
	if first != second || !os.SameFile(before, after) {
		t.Error("packed anew although nothing had changed")
	}
	if err := os.WriteFile(spec.Files[0].Source, []byte("changed"), 0o755); err != nil {
		t.Fatal(err)
	}
	third, err := spec.Pack(archive)
	if err != nil {
		t.Fatal(err)
	}
	present, err := ReadArchive(archive)
	if err != nil {
		t.Fatal(err)
	}
	if third == first || present.Digest != third || present.Name != spec.Name {
		t.Errorf("after a change: packed %s, archive holds %+v", third, present)
	}
}

func TestBadInputIsRefusedWithItsRemedy(t *testing.T) {
	cases := map[string]struct {
		change func(*Spec)
		says   string
	}{
		"no tag":          {func(s *Spec) { s.Name = "localhost:5000/sample" }, "repository:tag"},
		"no entrypoint":   {func(s *Spec) { s.Entrypoint = nil }, "no entrypoint"},
		"a user by name":  {func(s *Spec) { s.User = "nobody" }, "numeric"},
		"no value":        {func(s *Spec) { s.Env = []string{"DEBUG"} }, "NAME=value"},
		"no such file":    {func(s *Spec) { s.Files[0].Source = "/nowhere" }, "/nowhere"},
		"a user's name":   {func(s *Spec) { s.Accounts = []string{"postgres"} }, "name:user:group"},
		"a flag as a deb": {func(s *Spec) { s.Packages = []string{"--force"} }, "Debian package"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			spec := sample(t, "hello")
			test.change(&spec)
			if _, err := spec.Build(); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want an error that says %q", err, test.says)
			}
		})
	}
}

// A package's entry for /lib must land where the link points, or the link
// would be replaced by a folder and every program lose its libraries.
func TestPackagesFollowTheLinksOfTheRoot(t *testing.T) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, header := range []tar.Header{
		{Name: "./lib/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "./lib/libc.so", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "./usr/share/doc/libc/changelog", Typeflag: tar.TypeReg, Mode: 0o644},
	} {
		if err := writer.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	root := newTree()
	root.addLink("lib", "usr/lib")
	if err := root.addTar(&archive); err != nil {
		t.Fatal(err)
	}
	if root.nodes["lib"].header.Typeflag != tar.TypeSymlink {
		t.Error("the link became a folder")
	}
	if _, found := root.nodes["usr/lib/libc.so"]; !found {
		t.Error("the library is not behind the link")
	}
	for name := range root.nodes {
		if strings.Contains(name, "doc") {
			t.Errorf("documentation was packed: %s", name)
		}
	}
}

func TestTheImageRunsAsTheUserItNames(t *testing.T) {
	spec := sample(t, "hello")
	image, err := spec.Build()
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532" || config.OS != "linux" {
		t.Errorf("user %q on %q", config.Config.User, config.OS)
	}
}

func TestThePathAndTheNamesOfUsersCanBeSet(t *testing.T) {
	spec := sample(t, "hello")
	spec.Env = []string{"PATH=/opt/bin:/usr/bin"}
	spec.Accounts = []string{"postgres:101:103"}
	spec.Links = []File{{"sample", "/usr/bin/other"}}
	image, err := spec.Build()
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if len(config.Config.Env) != 1 || config.Config.Env[0] != spec.Env[0] {
		t.Errorf("environment %q", config.Config.Env)
	}
	root, err := spec.root()
	if err != nil {
		t.Fatal(err)
	}
	for name, line := range map[string]string{
		"etc/passwd": "\npostgres:x:101:103:postgres:/:/sbin/nologin\n", "etc/group": "\npostgres:x:103:\n",
	} {
		file, err := root.nodes[name].open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(file)
		if err != nil || !strings.Contains(string(content), line) {
			t.Errorf("%s: %v, %q lacks %q", name, err, content, line)
		}
	}
	if link := root.nodes["usr/bin/other"].header; link.Typeflag != tar.TypeSymlink || link.Linkname != "sample" {
		t.Errorf("link %+v", link)
	}
}

func TestDependenciesAreReadAsNames(t *testing.T) {
	got := dependencyNames(", libc6 (>= 2.34), debconf (>= 0.5) | debconf-2.0, locales | locales-all,python3:any ,zlib1g(>= 1)")
	want := []string{"libc6", "debconf", "locales", "python3", "zlib1g"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
