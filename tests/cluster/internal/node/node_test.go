package node

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func testNode(t *testing.T) *Node { return &Node{Dir: t.TempDir(), Source: "../.."} }

// The host reaches the API server by the node's address and pods by the
// service's: a certificate that lacks one of them breaks one side only.
func TestTheServersCertificateFitsEveryAddress(t *testing.T) {
	node := testNode(t)
	if err := node.issueCertificates(); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(node.certificate("apiserver"), node.key("apiserver"))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(node.certificate("ca"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	for _, name := range []string{"127.0.0.1", Address, apiService, "localhost", "kubernetes.default.svc"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	info, err := os.Stat(node.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the kubeconfig holds a key and has the mode %v", info.Mode())
	}
}

func TestEveryPartHasTheKubeconfigThatItIsGiven(t *testing.T) {
	node := testNode(t)
	if err := node.issueCertificates(); err != nil {
		t.Fatal(err)
	}
	given := 0
	for _, part := range slices.Concat(node.storage("kubernetes"), node.cluster("kubernetes")) {
		for _, argument := range part.line {
			if !strings.HasSuffix(argument, ".kubeconfig") {
				continue
			}
			given++
			if _, err := os.Stat(argument); err != nil {
				t.Errorf("%s: %v", part.name, err)
			}
		}
	}
	if given == 0 {
		t.Error("no part is given a kubeconfig")
	}
}

func TestConfigurationIsFilledIn(t *testing.T) {
	files, err := testNode(t).configuration("crun")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if len(content) == 0 || strings.Contains(string(content), "{{") {
			t.Errorf("%s is not filled in:\n%s", name, content)
		}
	}
}

func TestAnotherFlagIsAnotherNode(t *testing.T) {
	node := testNode(t)
	files, err := node.configuration("crun")
	if err != nil {
		t.Fatal(err)
	}
	before, err := node.fingerprint("kubernetes", files)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(FlagsVariable("controller-manager"), "--horizontal-pod-autoscaler-sync-period=5s")
	after, err := node.fingerprint("kubernetes", files)
	if err != nil {
		t.Fatal(err)
	}
	if before == after {
		t.Error("a further flag left the fingerprint as it was, so the node would not be made anew")
	}
}

func TestTheRuntimeIsTheChosenOne(t *testing.T) {
	t.Setenv(RuntimeVariable, "runc")
	if chosen, err := chooseRuntime(); chosen != "runc" || err != nil {
		t.Errorf("%s, %v", chosen, err)
	}
	t.Setenv(RuntimeVariable, "kata")
	if chosen, err := chooseRuntime(); err == nil || !strings.Contains(err.Error(), "crun or runc") {
		t.Errorf("%s, %v", chosen, err)
	}
}

func TestOneVersionOfControlGroupsIsLeftAlone(t *testing.T) {
	root := t.TempDir()
	if err := separate(root); err != nil {
		t.Error(err)
	}
	unified := filepath.Join(root, "unified")
	if err := os.Mkdir(unified, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(unified, "cgroup.controllers"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := separate(root); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// A pid alone is not a process: the system gives it out again.
func TestKillSparesAnotherProcessWithTheSamePid(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	now, found := readStat(child.Process.Pid)
	if !found || now.parent != os.Getpid() {
		t.Fatalf("read %+v of the child, found %v", now, found)
	}
	stranger := process{Name: "stranger", PID: child.Process.Pid, Started: now.started + 1}
	if err := kill([]process{stranger}); err != nil {
		t.Fatal(err)
	}
	same := process{Name: "sleep", PID: child.Process.Pid, Started: now.started}
	if !same.alive() {
		t.Fatal("a process with another start time was killed")
	}
	done := make(chan error)
	go func() { done <- child.Wait() }()
	if err := kill([]process{same}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("the child was not killed")
	}
}

func TestARecordOfAnotherBootCountsAsNone(t *testing.T) {
	node := testNode(t)
	known := &record{Boot: bootID(), Complete: true, Processes: []process{{Name: "etcd", PID: 1, Started: 1}}}
	if err := node.writeRecord(known); err != nil {
		t.Fatal(err)
	}
	if read, err := node.readRecord(); err != nil || !read.Complete {
		t.Fatalf("read %+v, %v", read, err)
	}
	known.Boot = "another"
	if err := node.writeRecord(known); err != nil {
		t.Fatal(err)
	}
	if read, err := node.readRecord(); err != nil || read.Complete || len(read.Processes) != 0 {
		t.Errorf("read %+v, %v", read, err)
	}
	if err := os.WriteFile(node.recordFile(), []byte(`{"boot": "cut o`), 0o600); err != nil {
		t.Fatal(err)
	}
	if read, err := node.readRecord(); err != nil || read.Complete {
		t.Errorf("a record that was cut off: %+v, %v", read, err)
	}
}
