package target

import (
	"fmt"
	"path/filepath"
	"strings"

	"learningplatform.dev/tests/cluster/internal/build"
	"learningplatform.dev/tests/cluster/internal/cache"
	"learningplatform.dev/tests/cluster/internal/oci"
)

const (
	// prometheusNodePort is the port in manifests/monitoring/prometheus.yaml.
	prometheusNodePort  = 30090
	prometheusInCluster = "http://prometheus.monitoring:9090"
	// prometheusImage is the image's name in the manifest.
	prometheusImage = "localhost/learningplatform-prometheus:debian"
)

// monitor puts Prometheus into the cluster and waits until it is ready.
func monitor(cluster Cluster, source string) error {
	image, err := packPrometheus(source)
	if err != nil {
		return err
	}
	if err := cluster.Load(image.archive); err != nil {
		return err
	}
	manifests, err := kubectl(cluster, nil, "kustomize", filepath.Join(source, "manifests", "monitoring"))
	if err != nil {
		return err
	}
	// With a tag of its content, so that another image restarts the pod.
	manifests = strings.ReplaceAll(manifests, prometheusImage, image.name)
	// Forced: what somebody changed by hand goes back to what is written here.
	apply := []string{"apply", "--server-side", "--force-conflicts", "--filename", "-"}
	if _, err := kubectl(cluster, strings.NewReader(manifests), apply...); err != nil {
		return err
	}
	rollout := []string{"--namespace", "monitoring", "rollout", "status", "deployment/prometheus", "--timeout", "2m"}
	if _, err := kubectl(cluster, nil, rollout...); err != nil {
		return fmt.Errorf("Prometheus did not become ready: %w", err)
	}
	return nil
}

type packed struct{ name, archive string }

func packPrometheus(source string) (packed, error) {
	dir, err := cache.Sub("images")
	if err != nil {
		return packed{}, err
	}
	discover, err := build.Program(source, "discover")
	if err != nil {
		return packed{}, err
	}
	image := oci.Spec{
		Packages:   []string{"libc6", "prometheus"},
		Files:      []oci.File{{Source: discover, Destination: "/usr/bin/discover"}},
		Entrypoint: []string{"/usr/bin/prometheus"}, User: "65534:65534",
	}
	inputs, err := image.Inputs()
	if err != nil {
		return packed{}, err
	}
	repository, _, _ := strings.Cut(prometheusImage, ":")
	image.Name = repository + ":" + inputs[:12]
	unlock, err := cache.Lock(dir, "prometheus")
	if err != nil {
		return packed{}, err
	}
	defer unlock()
	archive := filepath.Join(dir, "prometheus.tar")
	_, err = image.Pack(archive)
	return packed{image.Name, archive}, err
}
