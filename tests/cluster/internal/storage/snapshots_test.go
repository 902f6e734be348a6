package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
)

func object(kind, namespace, name string, fields map[string]any) *unstructured.Unstructured {
	content := map[string]any{
		"apiVersion": snapshotGroup + "/v1", "kind": kind,
		"metadata": map[string]any{"name": name, "namespace": namespace, "uid": "uid-" + name},
	}
	for name, value := range fields {
		content[name] = value
	}
	return &unstructured.Unstructured{Object: content}
}

// world is a claim with a volume, two classes, and what answers snapshots.
func world(t *testing.T) (*snapshots, *dynamicfake.FakeDynamicClient) {
	root := t.TempDir()
	path := filepath.Join(root, "pvc-1")
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "file"), []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	claim := &v1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "data"},
		Spec:       v1.PersistentVolumeClaimSpec{VolumeName: "pvc-1"},
		Status:     v1.PersistentVolumeClaimStatus{Phase: v1.ClaimBound},
	}
	pending := &v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "pending"}}
	volume := &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-1"},
		Spec: v1.PersistentVolumeSpec{
			Capacity:               v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")},
			PersistentVolumeSource: v1.PersistentVolumeSource{HostPath: &v1.HostPathVolumeSource{Path: path}},
		},
	}
	class := object("VolumeSnapshotClass", "", "folders", map[string]any{"driver": Name, "deletionPolicy": "Delete"})
	other := object("VolumeSnapshotClass", "", "other", map[string]any{"driver": "csi.example", "deletionPolicy": "Delete"})
	lists := map[schema.GroupVersionResource]string{
		snapshotResource("volumesnapshots"):        "VolumeSnapshotList",
		snapshotResource("volumesnapshotclasses"):  "VolumeSnapshotClassList",
		snapshotResource("volumesnapshotcontents"): "VolumeSnapshotContentList",
	}
	dynamic := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists, class, other)
	now := func() time.Time { return time.Date(2026, 11, 2, 3, 0, 0, 0, time.UTC) }
	answers := &snapshots{
		client: fake.NewClientset(claim, pending, volume), dynamic: dynamic, folders: folders{root}, copyAt: copyFrozen, now: now,
	}
	return answers, dynamic
}

func (s *snapshots) ask(t *testing.T, name, class, claim string) {
	t.Helper()
	spec := map[string]any{"source": map[string]any{"persistentVolumeClaimName": claim}}
	if class != "" {
		spec["volumeSnapshotClassName"] = class
	}
	snapshot := object("VolumeSnapshot", "n", name, map[string]any{"spec": spec})
	if _, err := s.of(snapshot).Create(context.Background(), snapshot, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s *snapshots) get(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	found, err := s.dynamic.Resource(snapshotResource("volumesnapshots")).Namespace("n").Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestASnapshotIsTakenOnceAndAVolumeMadeOfItHoldsWhatWasThere(t *testing.T) {
	ctx := context.Background()
	answers, dynamic := world(t)
	answers.ask(t, "night", "folders", "data")
	if err := answers.look(ctx); err != nil {
		t.Fatal(err)
	}
	status, _, _ := unstructured.NestedMap(answers.get(t, "night").Object, "status")
	if status["readyToUse"] != true || status["restoreSize"] != "1Gi" || status["creationTime"] != "2026-11-02T03:00:00Z" {
		t.Fatalf("status %v", status)
	}
	content, err := dynamic.Resource(snapshotResource("volumesnapshotcontents")).
		Get(ctx, status["boundVolumeSnapshotContentName"].(string), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if name, _, _ := unstructured.NestedString(content.Object, "spec", "volumeSnapshotRef", "name"); name != "night" {
		t.Errorf("content %v", content.Object)
	}

	// What comes later is not in it, and it is not taken again.
	volume := answers.folders.volume("pvc-1")
	if err := os.WriteFile(filepath.Join(volume, "file"), []byte("after"), 0o600); err != nil {
		t.Fatal(err)
	}
	dynamic.ClearActions()
	if err := answers.look(ctx); err != nil {
		t.Fatal(err)
	}
	for _, action := range dynamic.Actions() {
		if action.GetVerb() != "list" {
			t.Errorf("a second look did %v", action)
		}
	}

	provisioner := provisioner{answers.folders, answers}
	options := request(v1.ReadWriteOnce)
	group := snapshotGroup
	options.PVName, options.PVC.Namespace = "pvc-2", "n"
	options.PVC.Spec.DataSourceRef = &v1.TypedObjectReference{APIGroup: &group, Kind: "VolumeSnapshot", Name: "night"}
	made, _, err := provisioner.Provision(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(made.Spec.HostPath.Path, "file")
	if content, err := os.ReadFile(file); err != nil || string(content) != "before" {
		t.Errorf("%q, %v", content, err)
	}
	// The library does it again where it could not write the volume: what a pod has written since stays.
	if err := os.WriteFile(file, []byte("own"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := provisioner.Provision(ctx, options); err != nil {
		t.Fatal(err)
	}
	if content, _ := os.ReadFile(file); string(content) != "own" {
		t.Errorf("the second time took what was in it: %q", content)
	}
	options.PVName = "pvc-3"
	options.PVC.Spec.Resources.Requests[v1.ResourceStorage] = resource.MustParse("1Mi")
	if _, _, err := provisioner.Provision(ctx, options); err == nil || !strings.Contains(err.Error(), "less than") {
		t.Errorf("too small: %v", err)
	}

	// It goes with its folder, and takes no volume along.
	snapshot := answers.get(t, "night")
	if finalizers := snapshot.GetFinalizers(); len(finalizers) != 1 || finalizers[0] != ours {
		t.Errorf("finalizers %v", finalizers)
	}
	deleted := metav1.NewTime(answers.now())
	snapshot.SetDeletionTimestamp(&deleted)
	if _, err := answers.of(snapshot).Update(ctx, snapshot, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := answers.look(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(answers.folders.snapshot("uid-night")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder is still there: %v", err)
	}
	if left, err := dynamic.Resource(snapshotResource("volumesnapshotcontents")).List(ctx, metav1.ListOptions{}); err != nil || len(left.Items) > 0 {
		t.Errorf("its content is still there: %v", err)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "own" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestWhatCannotBeTakenIsToldAndOthersAreLeftAlone(t *testing.T) {
	answers, _ := world(t)
	for name, test := range map[string]struct{ class, claim, says string }{
		"no-default": {"", "data", "default snapshot class"},
		"no-class":   {"missing", "data", "not found"},
		"no-claim":   {"folders", "missing", "not found"},
		"pending":    {"folders", "pending", "no volume yet"},
	} {
		answers.ask(t, name, test.class, test.claim)
		if err := answers.look(context.Background()); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
		message, _, _ := unstructured.NestedString(answers.get(t, name).Object, "status", "error", "message")
		if !strings.Contains(message, test.says) {
			t.Errorf("%s is told %q", name, message)
		}
	}
	answers, _ = world(t)
	answers.ask(t, "foreign", "other", "data")
	if err := answers.look(context.Background()); err != nil {
		t.Error(err)
	}
	if _, told := answers.get(t, "foreign").Object["status"]; told {
		t.Error("a snapshot of another driver was answered")
	}
}

// A process writes a number to the end of one file and then of another: a copy of one moment never lacks it in the first alone.
func TestACopyOfAFolderThatIsWrittenToIsOfOneMoment(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "filler"), make([]byte, 64<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	writer := exec.Command("/bin/sh", "-c", "i=0; while :; do i=$((i + 1)); echo $i >>first; echo $i >>second; done")
	writer.Dir = folder
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = writer.Process.Kill()
		_ = writer.Wait()
	}()
	lines := func(path string) int {
		content, err := os.ReadFile(path)
		if err != nil {
			return 0
		}
		return strings.Count(string(content), "\n")
	}
	for begun := time.Now(); lines(filepath.Join(folder, "second")) < 10; time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("nothing is written")
		}
	}
	last := 0
	for round := range 5 {
		to := filepath.Join(t.TempDir(), fmt.Sprint(round))
		if err := copyFrozen(folder, to); err != nil {
			t.Fatal(err)
		}
		first, second := lines(filepath.Join(to, "first")), lines(filepath.Join(to, "second"))
		if first != second && first != second+1 {
			t.Errorf("round %d: %d lines, then %d", round, first, second)
		}
		if second < last {
			t.Errorf("round %d: %d lines after %d", round, second, last)
		}
		last = second
		// It goes on.
		for begun := time.Now(); lines(filepath.Join(folder, "second")) <= second; time.Sleep(time.Millisecond) {
			if time.Since(begun) > time.Minute {
				t.Fatal("the writer does not go on")
			}
		}
	}
}
