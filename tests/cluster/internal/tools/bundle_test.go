package tools

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// deb makes a package of the files, which are scripts.
func deb(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files["DEBIAN/control"] = fmt.Sprintf("Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: test\n", name)
	for path, content := range files {
		file := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	archive := filepath.Join(t.TempDir(), name+".deb")
	if output, err := exec.Command("dpkg-deb", "--build", root, archive).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return archive
}

// PostgreSQL finds its files by its own path, and every server its libraries
// by the environment, so the script must give both. It must also be replaced
// by the program: a test signals the pid that it started.
func TestAProgramOfABundleStartsInItsPlaceWithItsLibraries(t *testing.T) {
	archives := []string{
		deb(t, "server", map[string]string{"usr/lib/server/bin/server": "#!/bin/sh\necho $$; echo $0; echo $LD_LIBRARY_PATH; echo \"$@\"\n"}),
		deb(t, "libone", map[string]string{"usr/lib/x86_64-linux-gnu/libone.so.1": ""}),
		deb(t, "libtwo", map[string]string{"lib/x86_64-linux-gnu/libtwo.so.1": ""}),
	}
	parent := t.TempDir()
	folder, final := filepath.Join(parent, ".unpack"), filepath.Join(parent, "server-1")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (bundle{folder: "usr/lib/server/bin"}).unpack(archives, folder, final); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(folder, final); err != nil {
		t.Fatal(err)
	}
	process := exec.Command(filepath.Join(final, "bin", "server"), "--port", "a b")
	output, err := process.Output()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(final, "root")
	want := []string{
		fmt.Sprint(process.Process.Pid),
		filepath.Join(root, "usr/lib/server/bin/server"),
		root + "/usr/lib/x86_64-linux-gnu:" + root + "/lib/x86_64-linux-gnu",
		"--port a b",
	}
	if got := strings.Split(strings.TrimSpace(string(output)), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
	info, err := os.Stat(final)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o755 {
		t.Errorf("another user has to reach it, and it has the mode %v", info.Mode())
	}
}
