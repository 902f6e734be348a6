package storage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"

	"learningplatform.dev/tests/cluster/internal/node"
)

func request(modes ...v1.PersistentVolumeAccessMode) controller.ProvisionOptions {
	reclaim := v1.PersistentVolumeReclaimDelete
	claim := &v1.PersistentVolumeClaim{Spec: v1.PersistentVolumeClaimSpec{
		AccessModes: modes,
		Resources:   v1.VolumeResourceRequirements{Requests: v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")}},
	}}
	return controller.ProvisionOptions{
		StorageClass: &storagev1.StorageClass{ReclaimPolicy: &reclaim}, PVName: "pvc-1", PVC: claim, SelectedNodeName: "lp-node",
	}
}

func TestAVolumeIsAFolderThatAnyUserCanWriteAndThatStaysWhatItIs(t *testing.T) {
	ctx, folders := context.Background(), provisioner{folders: folders{t.TempDir()}}
	volume, _, err := folders.Provision(ctx, request(v1.ReadWriteOncePod))
	if err != nil {
		t.Fatal(err)
	}
	source := volume.Spec.HostPath
	info, err := os.Stat(source.Path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o777 || *source.Type != v1.HostPathDirectory || volume.Spec.AccessModes[0] != v1.ReadWriteOncePod {
		t.Errorf("mode %v, volume %+v", info.Mode(), volume.Spec)
	}
	// The library does it again where it could not write the volume.
	file := filepath.Join(source.Path, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if again, _, err := folders.Provision(ctx, request(v1.ReadWriteOncePod)); err != nil || again.Spec.HostPath.Path != source.Path {
		t.Errorf("the second time: %+v, %v", again, err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the second time took what was in it: %v", err)
	}
	if err := folders.Delete(ctx, volume); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(source.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
	if err := folders.Delete(ctx, volume); err != nil {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestOnlyTheProvisionersOwnFoldersAreRemoved(t *testing.T) {
	strange := t.TempDir()
	volume, _, err := provisioner{folders: folders{t.TempDir()}}.Provision(context.Background(), request(v1.ReadWriteOnce))
	if err != nil {
		t.Fatal(err)
	}
	volume.Spec.HostPath.Path = strange
	var ignored *controller.IgnoredError
	if err := (provisioner{folders: folders{t.TempDir()}}).Delete(context.Background(), volume); !errors.As(err, &ignored) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(strange); err != nil {
		t.Errorf("a folder of somebody else's is gone: %v", err)
	}
}

func TestWhatAFolderCannotOfferIsRefused(t *testing.T) {
	copied := request(v1.ReadWriteOnce)
	copied.PVC.Spec.DataSourceRef = &v1.TypedObjectReference{Kind: "PersistentVolumeClaim", Name: "other"}
	for says, options := range map[string]controller.ProvisionOptions{
		"ReadWriteMany": request(v1.ReadWriteOnce, v1.ReadWriteMany), "data source": copied,
	} {
		root := t.TempDir()
		_, state, err := provisioner{folders: folders{root}}.Provision(context.Background(), options)
		if err == nil || !strings.Contains(err.Error(), says) || state != controller.ProvisioningFinished {
			t.Errorf("%s: %v, %v", says, state, err)
		}
		if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", says, left, err)
		}
	}
}

func TestOnlyABoundClaimThatWantsMoreGrows(t *testing.T) {
	for _, test := range []struct {
		phase       v1.PersistentVolumeClaimPhase
		wanted, has string
		want        bool
	}{
		{v1.ClaimBound, "2Gi", "1Gi", true},
		{v1.ClaimBound, "1Gi", "1024Mi", false},
		{v1.ClaimBound, "1Gi", "2Gi", false},
		{v1.ClaimPending, "1Gi", "0", false},
	} {
		claim := &v1.PersistentVolumeClaim{}
		claim.Spec.Resources.Requests = v1.ResourceList{v1.ResourceStorage: resource.MustParse(test.wanted)}
		claim.Status = v1.PersistentVolumeClaimStatus{
			Phase: test.phase, Capacity: v1.ResourceList{v1.ResourceStorage: resource.MustParse(test.has)},
		}
		if got := asksForMore(claim); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// The manifest, the provisioner and `status` name the same things.
func TestTheClassesNameThisProvisionerAndTheDefaultIsTheNodes(t *testing.T) {
	manifest, err := os.Open("../../manifests/node/storage.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer manifest.Close()
	documents := yaml.NewYAMLToJSONDecoder(manifest)
	for range 2 {
		var class storagev1.StorageClass
		if err := documents.Decode(&class); err != nil {
			t.Fatal(err)
		}
		standard := class.Annotations["storageclass.kubernetes.io/is-default-class"] == "true"
		if class.Provisioner != Name || standard != (class.Name == node.StorageClass) || standard != *class.AllowVolumeExpansion {
			t.Errorf("%+v", class)
		}
	}
}
