package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

const (
	snapshotGroup = "snapshot.storage.k8s.io"
	// ours keeps a snapshot until its folder is gone.
	ours = "learningplatform.dev/snapshot"
	// defaultClass marks the class of snapshots that name none.
	defaultClass = "snapshot.storage.kubernetes.io/is-default-class"
	// period is the time between two looks for snapshots.
	period = 500 * time.Millisecond
)

func snapshotResource(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: snapshotGroup, Version: "v1", Resource: plural}
}

// snapshots answers VolumeSnapshots, as the snapshot controller and a driver
// with its sidecar do: it copies the folder of a volume as it is at one moment.
type snapshots struct {
	client  kubernetes.Interface
	dynamic dynamic.Interface
	folders folders
	// copyAt copies a folder as it is at one moment.
	copyAt func(from, to string) error
	now    func() time.Time
}

// run looks for snapshots until the context ends. Where the cluster has no
// such API there are none.
func (s *snapshots) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.look(ctx); err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "snapshots: %v\n", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(period):
		}
	}
}

func (s *snapshots) look(ctx context.Context) error {
	list, err := s.dynamic.Resource(snapshotResource("volumesnapshots")).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var failed []error
	for i := range list.Items {
		if err := s.see(ctx, &list.Items[i]); err != nil {
			failed = append(failed, fmt.Errorf("%s/%s: %w", list.Items[i].GetNamespace(), list.Items[i].GetName(), err))
		}
	}
	return errors.Join(failed...)
}

func (s *snapshots) see(ctx context.Context, snapshot *unstructured.Unstructured) error {
	if snapshot.GetDeletionTimestamp() != nil {
		return s.remove(ctx, snapshot)
	}
	if ready, _, _ := unstructured.NestedBool(snapshot.Object, "status", "readyToUse"); ready {
		return nil
	}
	class, err := s.class(ctx, snapshot)
	if err == nil && class == nil {
		return nil
	}
	if err == nil {
		err = s.take(ctx, snapshot, class)
	}
	if err == nil || apierrors.IsConflict(err) {
		return err
	}
	if told, _, _ := unstructured.NestedString(snapshot.Object, "status", "error", "message"); told == err.Error() {
		return nil
	}
	return errors.Join(err, s.refuse(ctx, snapshot, err.Error()))
}

// class is the class of a snapshot; none where that is of another driver.
func (s *snapshots) class(ctx context.Context, snapshot *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	classes := s.dynamic.Resource(snapshotResource("volumesnapshotclasses"))
	driver := func(class *unstructured.Unstructured) string {
		name, _, _ := unstructured.NestedString(class.Object, "driver")
		return name
	}
	if name, named, _ := unstructured.NestedString(snapshot.Object, "spec", "volumeSnapshotClassName"); named {
		class, err := classes.Get(ctx, name, metav1.GetOptions{})
		if err != nil || driver(class) != Name {
			return nil, err
		}
		return class, nil
	}
	list, err := classes.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		class := &list.Items[i]
		if driver(class) == Name && class.GetAnnotations()[defaultClass] == "true" {
			return class, nil
		}
	}
	return nil, errors.New("cannot find default snapshot class")
}

// take copies the folder, unless that is done, and tells.
func (s *snapshots) take(ctx context.Context, snapshot, class *unstructured.Unstructured) error {
	claimName, _, _ := unstructured.NestedString(snapshot.Object, "spec", "source", "persistentVolumeClaimName")
	claim, err := s.client.CoreV1().PersistentVolumeClaims(snapshot.GetNamespace()).Get(ctx, claimName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if claim.Status.Phase != v1.ClaimBound {
		return fmt.Errorf("the claim %s has no volume yet", claimName)
	}
	volume, err := s.client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	path := s.folders.volume(volume.Name)
	if volume.Spec.HostPath == nil || volume.Spec.HostPath.Path != path {
		return fmt.Errorf("the volume %s is not of %s", volume.Name, Name)
	}
	if snapshot, err = s.keep(ctx, snapshot); err != nil {
		return err
	}
	handle := string(snapshot.GetUID())
	kept := s.folders.snapshot(handle)
	if _, err := os.Stat(kept); errors.Is(err, os.ErrNotExist) {
		if err := s.copy(path, kept); err != nil {
			return err
		}
	}
	info, err := os.Stat(kept)
	if err != nil {
		return err
	}
	// The folder was renamed to its name when it was complete.
	taken, size := info.ModTime(), volume.Spec.Capacity[v1.ResourceStorage]
	content, err := s.tell(ctx, snapshot, class, volume.Name, taken, size.Value())
	if err != nil {
		return err
	}
	return s.status(ctx, snapshot, map[string]any{
		"boundVolumeSnapshotContentName": content,
		"creationTime":                   taken.UTC().Format(time.RFC3339),
		"readyToUse":                     true,
		"restoreSize":                    size.String(),
	})
}

// keep lets the snapshot not go before its folder has gone.
func (s *snapshots) keep(ctx context.Context, snapshot *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	for _, finalizer := range snapshot.GetFinalizers() {
		if finalizer == ours {
			return snapshot, nil
		}
	}
	snapshot = snapshot.DeepCopy()
	snapshot.SetFinalizers(append(snapshot.GetFinalizers(), ours))
	return s.of(snapshot).Update(ctx, snapshot, metav1.UpdateOptions{})
}

// copy makes a folder that is complete as soon as it has its name.
func (s *snapshots) copy(from, to string) error {
	part := to + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(part), 0o700); err != nil {
		return err
	}
	if err := s.copyAt(from, part); err != nil {
		return err
	}
	now := s.now()
	if err := os.Chtimes(part, now, now); err != nil {
		return err
	}
	return os.Rename(part, to)
}

// tell makes the content of a snapshot, as the driver's sidecar does.
func (s *snapshots) tell(
	ctx context.Context, snapshot, class *unstructured.Unstructured, volume string, taken time.Time, size int64,
) (string, error) {
	contents := s.dynamic.Resource(snapshotResource("volumesnapshotcontents"))
	name := "snapcontent-" + string(snapshot.GetUID())
	policy, _, _ := unstructured.NestedString(class.Object, "deletionPolicy")
	content := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": snapshotGroup + "/v1",
		"kind":       "VolumeSnapshotContent",
		"metadata":   map[string]any{"name": name},
		"spec": map[string]any{
			"deletionPolicy":          policy,
			"driver":                  Name,
			"source":                  map[string]any{"volumeHandle": volume},
			"volumeSnapshotClassName": class.GetName(),
			"volumeSnapshotRef": map[string]any{
				"apiVersion": snapshotGroup + "/v1",
				"kind":       "VolumeSnapshot",
				"namespace":  snapshot.GetNamespace(),
				"name":       snapshot.GetName(),
				"uid":        string(snapshot.GetUID()),
			},
		},
	}}
	made, err := contents.Create(ctx, content, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		made, err = contents.Get(ctx, name, metav1.GetOptions{})
	}
	if err != nil {
		return "", err
	}
	made.Object["status"] = map[string]any{
		"snapshotHandle": string(snapshot.GetUID()),
		"creationTime":   taken.UnixNano(),
		"readyToUse":     true,
		"restoreSize":    size,
	}
	_, err = contents.UpdateStatus(ctx, made, metav1.UpdateOptions{})
	return name, err
}

// refuse says why a snapshot could not be taken; it is tried again.
func (s *snapshots) refuse(ctx context.Context, snapshot *unstructured.Unstructured, why string) error {
	return s.status(ctx, snapshot, map[string]any{
		"readyToUse": false,
		"error":      map[string]any{"message": why, "time": s.now().UTC().Format(time.RFC3339)},
	})
}

func (s *snapshots) status(ctx context.Context, snapshot *unstructured.Unstructured, status map[string]any) error {
	live, err := s.of(snapshot).Get(ctx, snapshot.GetName(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	live.Object["status"] = status
	_, err = s.of(live).UpdateStatus(ctx, live, metav1.UpdateOptions{})
	return err
}

// remove lets a snapshot go, and its folder unless its class keeps that.
func (s *snapshots) remove(ctx context.Context, snapshot *unstructured.Unstructured) error {
	var others []string
	for _, finalizer := range snapshot.GetFinalizers() {
		if finalizer != ours {
			others = append(others, finalizer)
		}
	}
	if len(others) == len(snapshot.GetFinalizers()) {
		return nil
	}
	contents := s.dynamic.Resource(snapshotResource("volumesnapshotcontents"))
	name := "snapcontent-" + string(snapshot.GetUID())
	content, err := contents.Get(ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	keeps := false
	if err == nil {
		policy, _, _ := unstructured.NestedString(content.Object, "spec", "deletionPolicy")
		keeps = policy == "Retain"
	}
	if !keeps {
		if err := os.RemoveAll(s.folders.snapshot(string(snapshot.GetUID()))); err != nil {
			return err
		}
		if err := contents.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	snapshot = snapshot.DeepCopy()
	snapshot.SetFinalizers(others)
	_, err = s.of(snapshot).Update(ctx, snapshot, metav1.UpdateOptions{})
	return err
}

func (s *snapshots) of(snapshot *unstructured.Unstructured) dynamic.ResourceInterface {
	return s.dynamic.Resource(snapshotResource("volumesnapshots")).Namespace(snapshot.GetNamespace())
}

// source is the folder of the snapshot that a claim is to be made of; empty
// where it is to be made of none.
func (s *snapshots) source(ctx context.Context, claim *v1.PersistentVolumeClaim) (string, error) {
	reference := claim.Spec.DataSourceRef
	if reference == nil {
		return "", nil
	}
	foreign := reference.Namespace != nil && *reference.Namespace != claim.Namespace
	if reference.APIGroup == nil || *reference.APIGroup != snapshotGroup || reference.Kind != "VolumeSnapshot" || foreign {
		return "", errors.New("a data source that is no VolumeSnapshot of the claim's namespace")
	}
	snapshot, err := s.dynamic.Resource(snapshotResource("volumesnapshots")).Namespace(claim.Namespace).
		Get(ctx, reference.Name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if ready, _, _ := unstructured.NestedBool(snapshot.Object, "status", "readyToUse"); !ready {
		return "", fmt.Errorf("VolumeSnapshot %s is not ready", reference.Name)
	}
	folder := s.folders.snapshot(string(snapshot.GetUID()))
	size, _, _ := unstructured.NestedString(snapshot.Object, "status", "restoreSize")
	asked := claim.Spec.Resources.Requests[v1.ResourceStorage]
	if least, err := parse(size); err != nil || asked.Cmp(least) < 0 {
		return "", fmt.Errorf("%s is less than the %s of VolumeSnapshot %s", asked.String(), size, reference.Name)
	}
	if _, err := os.Stat(folder); err != nil {
		return "", err
	}
	return folder, nil
}
