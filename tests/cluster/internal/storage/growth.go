package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
)

// provisionedBy is the annotation by which a volume names its provisioner.
const provisionedBy = "pv.kubernetes.io/provisioned-by"

// growth grants what a bound claim asks for beyond its volume's size, as the
// controller of a storage driver does. A folder has no size, so there is
// nothing to do but to record it. The API server has refused the claim's change
// where the class does not allow it.
type growth struct{ client kubernetes.Interface }

// seen grants the growth that a claim asks for. What fails beyond the tries is
// told, and tried again at the claim's next change.
func (g *growth) seen(ctx context.Context, object any) {
	claim, isClaim := object.(*v1.PersistentVolumeClaim)
	if !isClaim || !asksForMore(claim) {
		return
	}
	always := func(error) bool { return ctx.Err() == nil }
	if err := retry.OnError(retry.DefaultBackoff, always, func() error { return g.grant(ctx, claim) }); err != nil {
		fmt.Fprintf(os.Stderr, "grow the volume of claim %s/%s: %v\n", claim.Namespace, claim.Name, err)
	}
}

func asksForMore(claim *v1.PersistentVolumeClaim) bool {
	wanted, has := claim.Spec.Resources.Requests[v1.ResourceStorage], claim.Status.Capacity[v1.ResourceStorage]
	return claim.Status.Phase == v1.ClaimBound && wanted.Cmp(has) > 0
}

// grant writes the volume's new size first, then the claim's.
func (g *growth) grant(ctx context.Context, claim *v1.PersistentVolumeClaim) error {
	volumes := g.client.CoreV1().PersistentVolumes()
	volume, err := volumes.Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	if err != nil || volume.Annotations[provisionedBy] != Name {
		return err
	}
	capacity := map[string]any{"capacity": v1.ResourceList{v1.ResourceStorage: claim.Spec.Resources.Requests[v1.ResourceStorage]}}
	ofVolume, err := json.Marshal(map[string]any{"spec": capacity})
	if err != nil {
		return err
	}
	ofClaim, err := json.Marshal(map[string]any{"status": capacity})
	if err != nil {
		return err
	}
	if _, err := volumes.Patch(ctx, volume.Name, types.MergePatchType, ofVolume, metav1.PatchOptions{}); err != nil {
		return err
	}
	claims := g.client.CoreV1().PersistentVolumeClaims(claim.Namespace)
	_, err = claims.Patch(ctx, claim.Name, types.MergePatchType, ofClaim, metav1.PatchOptions{}, "status")
	return err
}
