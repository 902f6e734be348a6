package cache

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestAFolderBelowAPrivateOneCannotBeEntered(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	dir := filepath.Join(home, "cache")
	// The folder of all of the test's folders is private.
	above := filepath.Dir(filepath.Dir(home))
	if err := errors.Join(os.Chmod(above, 0o755), os.MkdirAll(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o755: true, 0o711: true, 0o750: false, 0o700: false} {
		if err := os.Chmod(home, mode); err != nil {
			t.Fatal(err)
		}
		if got, err := enterable(dir); err != nil || got != want {
			t.Errorf("below a folder of mode %o: %v, %v", mode, got, err)
		}
	}
}

// Or a change of a test would build Kubernetes and the node anew.
func TestAKeyIsOfWhatIsBuilt(t *testing.T) {
	root := t.TempDir()
	key := func(file, content string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		key, err := Key(root, []string{"."})
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	one, two, three := key("a.go", "one"), key("a_test.go", "one"), key("a.go", "two")
	if one != two || two == three {
		t.Errorf("first %s, with a test %s, changed %s", one, two, three)
	}
}
