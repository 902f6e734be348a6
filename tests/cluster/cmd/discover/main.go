// Command discover tells a Prometheus which pods to scrape. Debian builds
// Prometheus without its Kubernetes discovery; this serves the same meta
// labels over HTTP discovery, so that the relabelling rules are the usual ones.
//
//	GET /targets  [{"targets": ["10.0.0.7:8080"], "labels": {"__meta_kubernetes_namespace": ...}}]
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"log"
	"net"
	"net/http"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
)

// address is inside the pod only: Prometheus is the other container.
const address = "127.0.0.1:9099"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := serve(ctx); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(trim))
	pods := factory.Core().V1().Pods().Lister()
	factory.Start(ctx.Done())
	// An empty first answer would look like the end of all targets.
	factory.WaitForCacheSync(ctx.Done())

	handler := http.NewServeMux()
	handler.HandleFunc("GET /targets", func(response http.ResponseWriter, _ *http.Request) {
		groups, err := targets(pods)
		if err != nil {
			http.Error(response, err.Error(), http.StatusInternalServerError)
			return
		}
		response.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(response).Encode(groups); err != nil {
			log.Print(err)
		}
	})
	server := &http.Server{Addr: address, Handler: handler}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// trim drops what discovery does not read, for the cache holds every pod.
func trim(object any) (any, error) {
	if pod, ok := object.(*corev1.Pod); ok {
		pod.ManagedFields = nil
		pod.Spec.Volumes, pod.Spec.InitContainers = nil, nil
		for i := range pod.Spec.Containers {
			pod.Spec.Containers[i] = corev1.Container{Ports: pod.Spec.Containers[i].Ports}
		}
	}
	return object, nil
}

// group is one entry of Prometheus' HTTP discovery format.
type group struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func targets(pods listers.PodLister) ([]group, error) {
	all, err := pods.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	groups := make([]group, 0, len(all))
	for _, pod := range all {
		if pod.Status.PodIP != "" {
			groups = append(groups, describe(pod))
		}
	}
	slices.SortFunc(groups, func(one, other group) int { return cmp.Compare(one.Targets[0], other.Targets[0]) })
	return groups, nil
}

const meta = "__meta_kubernetes_"

func describe(pod *corev1.Pod) group {
	described := map[string]string{
		meta + "namespace":     pod.Namespace,
		meta + "pod_name":      pod.Name,
		meta + "pod_ip":        pod.Status.PodIP,
		meta + "pod_phase":     string(pod.Status.Phase),
		meta + "pod_node_name": pod.Spec.NodeName,
		meta + "pod_uid":       string(pod.UID),
	}
	for name, value := range pod.Labels {
		described[meta+"pod_label_"+sanitise(name)] = value
	}
	for name, value := range pod.Annotations {
		described[meta+"pod_annotation_"+sanitise(name)] = value
	}
	return group{Targets: []string{host(pod)}, Labels: described}
}

// host is the pod's address with its first declared port, if it has one.
func host(pod *corev1.Pod) string {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Protocol == corev1.ProtocolTCP || port.Protocol == "" {
				return net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(port.ContainerPort)))
			}
		}
	}
	return pod.Status.PodIP
}

var forbidden = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// sanitise makes a label name of Prometheus from a name of Kubernetes.
func sanitise(name string) string { return forbidden.ReplaceAllString(name, "_") }
