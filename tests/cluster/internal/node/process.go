package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"learningplatform.dev/tests/cluster/internal/cache"
)

// process is one that the node started. A pid is used again by the system, so
// the start time tells whether it is still the same process.
type process struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	// Started is in clock ticks since the machine's start (proc(5), field 22).
	Started uint64 `json:"started"`
}

// record is what a later run needs to know of this one.
type record struct {
	// Boot is the kernel's boot id: pids and start times of an earlier boot
	// mean nothing.
	Boot string `json:"boot"`
	// Fingerprint is over the binary, all command lines and all files: where
	// it differs, the node is not the one that this module describes.
	Fingerprint string    `json:"fingerprint"`
	Processes   []process `json:"processes"`
	// Complete says that everything had been up once.
	Complete bool `json:"complete"`
}

func (n *Node) recordFile() string { return n.path("node.json") }

func (n *Node) readRecord() (*record, error) {
	content, err := os.ReadFile(n.recordFile())
	if errors.Is(err, os.ErrNotExist) {
		return &record{}, nil
	}
	if err != nil {
		return nil, err
	}
	known := &record{}
	if err := json.Unmarshal(content, known); err != nil {
		// Cut off by a crash: the processes are still found by their folders.
		return &record{}, nil
	}
	if known.Boot != bootID() {
		return &record{}, nil
	}
	return known, nil
}

func (n *Node) writeRecord(known *record) error {
	content, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return err
	}
	return cache.WriteFile(n.recordFile(), content, 0o600)
}

func bootID() string {
	content, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// stat is the part of /proc/PID/stat that matters here.
type stat struct {
	state   byte
	parent  int
	started uint64
}

func readStat(pid int) (stat, bool) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, false
	}
	// The second field is the name in brackets, which may hold anything.
	_, rest, found := strings.Cut(string(content[max(0, bytes.LastIndexByte(content, ')')):]), " ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 {
		return stat{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return stat{}, false
	}
	started, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return stat{}, false
	}
	return stat{state: fields[0][0], parent: parent, started: started}, true
}

func (p process) alive() bool {
	now, found := readStat(p.PID)
	return found && now.started == p.Started && now.state != 'Z' && now.state != 'X'
}

// start runs a part in the node's network, apart from this process' session,
// with its output in a log file. The channel is closed when the part ends.
func (n *Node) start(name string, command []string) (process, <-chan struct{}, error) {
	log, err := os.OpenFile(filepath.Join(n.Logs(), name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return process{}, nil, err
	}
	defer log.Close()
	line := inside(command...)
	part := exec.Command(line[0], line[1:]...)
	part.Stdout, part.Stderr = log, log
	part.Dir = n.Dir
	// Nothing of the caller's environment: no proxy and no credentials. Garbage is collected later than by default: the API server
	// alone spends a seventh of its time on that, and memory is not what a small machine lacks here.
	part.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + n.Dir, "GOGC=400",
	}
	part.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := part.Start(); err != nil {
		return process{}, nil, fmt.Errorf("start %s: %w", name, err)
	}
	started, found := readStat(part.Process.Pid)
	ended := make(chan struct{})
	go func() {
		_ = part.Wait()
		close(ended)
	}()
	if !found {
		return process{}, nil, fmt.Errorf("%s ended at once: %s", name, n.logTail(name))
	}
	return process{Name: name, PID: part.Process.Pid, Started: started.started}, ended, nil
}

// logTail is the end of a part's log, for an error message.
func (n *Node) logTail(name string) string {
	file := filepath.Join(n.Logs(), name+".log")
	content, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	const last = 1500
	return fmt.Sprintf("the end of %s:\n%s", file, content[max(0, len(content)-last):])
}

// kill ends the processes and waits until they are gone: a new etcd that
// starts while the old one holds its port would fail.
func kill(processes []process) error {
	for _, one := range processes {
		if one.alive() {
			if err := syscall.Kill(one.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("end %s (pid %d): %w", one.Name, one.PID, err)
			}
		}
	}
	deadline := time.Now().Add(30 * time.Second)
	for _, one := range processes {
		for one.alive() {
			if time.Now().After(deadline) {
				return fmt.Errorf("%s (pid %d) did not end within 30 s of SIGKILL", one.Name, one.PID)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}
