// Package storage provisions the node's volumes: a claim gets a folder of the
// node, as a hostPath volume. It is a part of the node, for the storage
// classes of manifests/node/storage.yaml. Where the cluster has the API of
// snapshots, it takes them, too, and makes volumes of them.
package storage

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// Name is the provisioner in the storage classes. Not below kubernetes.io: the
// controller manager would look for a plugin of its own by that name.
const Name = "learningplatform.dev/host-path"

// Run serves claims until the context ends. The arguments are flags.
func Run(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("provisioner", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig of the API server (required)")
	folder := flags.String("folder", "", "folder that holds a folder for each volume (required)")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if !filepath.IsAbs(*folder) {
		return fmt.Errorf("--folder %q: write an absolute path", *folder)
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	// The default of 5 requests a second would be felt by tests that make many claims at once.
	config.QPS, config.Burst = 100, 200
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	shared := informers.NewSharedInformerFactory(client, 0)
	claims := shared.Core().V1().PersistentVolumeClaims().Informer()
	growth := &growth{client: client}
	if _, err := claims.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, claim any) { growth.seen(ctx, claim) },
	}); err != nil {
		return err
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	snapshots := &snapshots{client: client, dynamic: objects, folders: folders{*folder}, copyAt: copyFrozen, now: time.Now}
	provision := controller.NewProvisionController(ctx, client, Name, provisioner{folders{*folder}, snapshots},
		controller.LeaderElection(false),
		controller.ClaimsInformer(claims),
		// The library's default waits 15 s after the first failure.
		controller.RateLimiter(workqueue.NewTypedItemExponentialFailureRateLimiter[string](200*time.Millisecond, 10*time.Second)),
	)
	shared.Start(ctx.Done())
	go snapshots.run(ctx)
	provision.Run(ctx)
	return nil
}

// folders are those of volumes and of snapshots, below one folder.
type folders struct{ root string }

func (f folders) volume(name string) string { return filepath.Join(f.root, name) }

// snapshot is beside those of volumes, whose names begin with pvc-.
func (f folders) snapshot(handle string) string { return filepath.Join(f.root, "snapshots", handle) }

// provisioner makes and removes volumes.
type provisioner struct {
	folders   folders
	snapshots *snapshots
}

// modes are the access modes that one node can keep.
var modes = []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce, v1.ReadWriteOncePod}

// Provision makes the volume's folder. Done again it finds the same folder, as
// the volume's name is derived from the claim's uid.
func (p provisioner) Provision(ctx context.Context, options controller.ProvisionOptions) (
	*v1.PersistentVolume, controller.ProvisioningState, error,
) {
	claim := options.PVC
	refuse := func(err error) (*v1.PersistentVolume, controller.ProvisioningState, error) {
		return nil, controller.ProvisioningFinished, err
	}
	for _, mode := range claim.Spec.AccessModes {
		if !slices.Contains(modes, mode) {
			return refuse(fmt.Errorf("access mode %s: a folder of the node offers only %v", mode, modes))
		}
	}
	if claim.Spec.Selector != nil {
		return refuse(errors.New("a selector: a volume of this class is made for its claim"))
	}
	source, err := p.snapshots.source(ctx, claim)
	if err != nil {
		return refuse(err)
	}
	path := p.folders.volume(options.PVName)
	if err := made(path, source); err != nil {
		return refuse(err)
	}
	// The kubelet does not apply fsGroup to a hostPath: whatever user the pod has must be able to write. Others of
	// the machine do not get here: the folder above is root's.
	if err := os.Chmod(path, 0o777); err != nil {
		return refuse(err)
	}
	// Not made anew by the kubelet: a folder that is gone must be an error, not an empty volume.
	kind := v1.HostPathDirectory
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      v1.ResourceList{v1.ResourceStorage: claim.Spec.Resources.Requests[v1.ResourceStorage]},
			PersistentVolumeSource:        v1.PersistentVolumeSource{HostPath: &v1.HostPathVolumeSource{Path: path, Type: &kind}},
			NodeAffinity: &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
				MatchExpressions: []v1.NodeSelectorRequirement{{
					Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{options.SelectedNodeName},
				}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

// made makes a folder, of a source where one is named. One that is there stays
// as it is: it has its name only once it is complete.
func made(path, source string) error {
	if source == "" {
		return os.MkdirAll(path, 0o700)
	}
	if _, err := os.Stat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	part := path + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := copyFolder(source, part); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// Delete removes the volume's folder with all in it. The library calls it for
// volumes that are released and have the reclaim policy Delete.
func (p provisioner) Delete(_ context.Context, volume *v1.PersistentVolume) error {
	path := p.folders.volume(volume.Name)
	if volume.Spec.HostPath == nil || volume.Spec.HostPath.Path != path {
		return &controller.IgnoredError{Reason: "its folder is not one of this provisioner's"}
	}
	return os.RemoveAll(path)
}
