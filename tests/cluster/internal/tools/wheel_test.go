package tools

import (
	"archive/zip"
	"os"
	"path/filepath"
	"testing"
)

func archive(t *testing.T, files map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive.whl")
	output, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	writer := zip.NewWriter(output)
	for name, content := range files {
		entry, err := writer.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAWheelIsUnpackedForAnyUserToRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "content")
	if err := unzip(archive(t, map[string]string{"a/bin/server": "#!/bin/sh\n", "a/empty/": ""}), dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "a", "a/bin", "a/bin/server", "a/empty"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o755 {
			t.Errorf("%s has the mode %v", name, info.Mode())
		}
	}
}

func TestAWheelStaysInItsFolder(t *testing.T) {
	parent := t.TempDir()
	if err := unzip(archive(t, map[string]string{"../outside": "x"}), filepath.Join(parent, "content")); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(filepath.Join(parent, "outside")); err == nil {
		t.Error("it was written outside")
	}
}
