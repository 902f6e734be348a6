package oci

import (
	"os"
	"path/filepath"
	"testing"
)

// Packages of a suite are kept apart from the machine's own: both may have one
// of the same name.
func TestAPackageOfASuiteIsAnother(t *testing.T) {
	root := t.TempDir()
	t.Setenv("LP_CACHE", root)
	for _, path := range []string{"debs/pgbouncer_1.18_amd64.deb", "debs/trixie/pgbouncer_1.24_amd64.deb"} {
		file := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := DebianPackages("pgbouncer/trixie", "pgbouncer")
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(files[0]) != "pgbouncer_1.24_amd64.deb" || filepath.Base(files[1]) != "pgbouncer_1.18_amd64.deb" {
		t.Errorf("found %v", files)
	}
	for _, name := range []string{"pgbouncer/Trixie", "pgbouncer/../x", "/trixie", ""} {
		if _, err := DebianPackages(name); err == nil {
			t.Errorf("%q is taken for a package", name)
		}
	}
}
