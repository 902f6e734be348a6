package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// patience is how long processes may take to stop.
const patience = 20 * time.Second

func parse(size string) (resource.Quantity, error) { return resource.ParseQuantity(size) }

// file is a file whatever it is called: containers see other paths.
type file struct{ device, inode uint64 }

func identity(info fs.FileInfo) (file, bool) {
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return file{}, false
	}
	return file{uint64(stat.Dev), stat.Ino}, true
}

// copyFrozen copies a folder while nobody writes in it: what is read is what
// the page cache has, so the copy is what a crash at that moment would leave.
func copyFrozen(from, to string) error {
	stopped, err := freeze(from)
	defer func() {
		for _, pid := range stopped {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}()
	if err != nil {
		return err
	}
	return copyFolder(from, to)
}

// copyFolder copies a folder with owners, modes and times.
func copyFolder(from, to string) error {
	if output, err := exec.Command("cp", "--archive", "--reflink=auto", "--no-target-directory", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w: %s", from, err, output)
	}
	return nil
}

// freeze stops the processes that work below a folder. It gives those that
// were stopped, also where it fails.
func freeze(folder string) ([]int, error) {
	var stopped []int
	end := time.Now().Add(patience)
	for time.Now().Before(end) {
		pids, err := working(folder)
		if err != nil {
			return stopped, err
		}
		all := true
		for _, pid := range pids {
			if isStopped(pid) {
				continue
			}
			all = false
			// Gone meanwhile is as good.
			if err := syscall.Kill(pid, syscall.SIGSTOP); err == nil {
				stopped = append(stopped, pid)
			} else if !errors.Is(err, syscall.ESRCH) {
				return stopped, err
			}
		}
		// Looked at again after the last was stopped: nobody is left who could start another.
		if all {
			return stopped, nil
		}
	}
	return stopped, fmt.Errorf("the processes that work in %s did not stop", folder)
}

// working are the processes that have a file below the folder open, or are in it.
func working(folder string) ([]int, error) {
	below := map[file]bool{}
	if err := filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if id, known := identity(info); known {
			below[id] = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if worksIn(pid, below) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func worksIn(pid int, below map[file]bool) bool {
	at := fmt.Sprintf("/proc/%d", pid)
	links := []string{at + "/cwd"}
	// One that has ended has none.
	open, _ := os.ReadDir(at + "/fd")
	for _, entry := range open {
		links = append(links, at+"/fd/"+entry.Name())
	}
	for _, link := range links {
		info, err := os.Stat(link)
		if err != nil {
			continue
		}
		if id, known := identity(info); known && below[id] {
			return true
		}
	}
	return false
}

func isStopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	return strings.HasPrefix(rest, "T") || strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}
