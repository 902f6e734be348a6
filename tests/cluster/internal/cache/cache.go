// Package cache knows the folders outside the work tree: what was built or
// downloaded once and is used again by every later run.
package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Dir is the cache folder: LP_CACHE, else learningplatform below the user's
// cache folder. It exists when Dir returns.
func Dir() (string, error) {
	dir := os.Getenv("LP_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the cache folder: %w; set LP_CACHE to a folder", err)
		}
		dir = filepath.Join(user, "learningplatform")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// Sub is a folder inside the cache, made when missing.
func Sub(names ...string) (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(append([]string{dir}, names...)...)
	return dir, os.MkdirAll(dir, 0o755)
}

// Shared is a folder, made when missing, that every user of the machine can
// enter: in the cache or, where only root may enter that, below /var/cache.
// Where it is not root who runs this, nobody else needs to enter.
func Shared(names ...string) (string, error) {
	dir, err := Sub(names...)
	if err != nil || os.Geteuid() != 0 {
		return dir, err
	}
	open, err := enterable(dir)
	if err != nil || open {
		return dir, err
	}
	dir = filepath.Join(append([]string{"/var/cache/learningplatform"}, names...)...)
	return dir, os.MkdirAll(dir, 0o755)
}

// enterable says whether every user may enter the folder and those above it.
func enterable(dir string) (bool, error) {
	for ; dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false, err
		}
	}
	return true, nil
}

// Lock takes the lock of that name and waits for whoever holds it. The lock
// ends with the returned function or with the process.
func Lock(dir, name string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, name+".lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: waiting for another run that holds %s\n", file.Name())
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
		}
	}
	return file.Close, nil
}

// Key is a short hash over the content of the files and of all files in the
// folders but for Go's tests, by their paths relative to root, and over the
// extra strings.
func Key(root string, paths []string, extra ...string) (string, error) {
	var files []string
	for _, path := range paths {
		err := filepath.WalkDir(filepath.Join(root, path), func(file string, entry fs.DirEntry, err error) error {
			// What is built does not depend on its tests.
			if err == nil && entry.Type().IsRegular() && !strings.HasSuffix(file, "_test.go") {
				files = append(files, file)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	slices.Sort(files)
	sum := sha256.New()
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n", relative, len(content))
		sum.Write(content)
	}
	for _, text := range extra {
		fmt.Fprintf(sum, "%q\n", text)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// WriteFile puts the content in place at once: a reader sees the old file or
// the new one, never a part.
func WriteFile(path string, content []byte, mode fs.FileMode) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	if _, err := temporary.Write(content); err != nil {
		temporary.Close()
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	if err := os.Chmod(temporary.Name(), mode); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
