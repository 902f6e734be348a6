package target

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"learningplatform.dev/tests/cluster/internal/cache"
	"learningplatform.dev/tests/cluster/internal/tools"
)

// kindName is the cluster's name; the context is kind-learningplatform.
const kindName = "learningplatform"

//go:embed kind.yaml
var kindTemplate string

// Kind is a cluster in Docker. Its folder, in the cache, has the kubeconfig
// and the audit log.
type Kind struct{ source, folder string }

func newKind(source string) (*Kind, error) {
	folder, err := cache.Sub("kind")
	return &Kind{source, folder}, err
}

// run calls kind and shows what it says.
func (k *Kind) run(input io.Reader, arguments ...string) error {
	program, err := tools.Ensure("kind")
	if err != nil {
		return err
	}
	process := exec.Command(program, arguments...)
	process.Stdin, process.Stdout, process.Stderr = input, os.Stderr, os.Stderr
	if err := process.Run(); err != nil {
		return fmt.Errorf("kind %s: %w", strings.Join(arguments, " "), err)
	}
	return nil
}

// Up implements Cluster.
func (k *Kind) Up() error {
	unlock, err := cache.Lock(k.folder, "up")
	if err != nil {
		return err
	}
	defer unlock()
	if !k.Status().Up {
		if err := k.create(); err != nil {
			return err
		}
	}
	if err := k.metricsServer(); err != nil {
		return fmt.Errorf("install metrics-server: %w", err)
	}
	if err := k.routeToPods(); err != nil {
		return fmt.Errorf("find the way to the pods: %w", err)
	}
	return monitor(k, k.source)
}

func (k *Kind) create() error {
	// One that does not answer is made anew, like the project's node.
	if err := k.Down(); err != nil {
		return err
	}
	audit := filepath.Dir(k.auditLog())
	if err := os.MkdirAll(audit, 0o755); err != nil {
		return err
	}
	// Made here, because the API server would make it readable for its root only.
	if err := os.WriteFile(k.auditLog(), nil, 0o644); err != nil {
		return err
	}
	parsed, err := template.New("kind.yaml").Parse(kindTemplate)
	if err != nil {
		return err
	}
	var config bytes.Buffer
	if err := parsed.Execute(&config, map[string]any{
		"Audit": audit, "Policy": filepath.Join(k.source, "internal", "node", "files", "audit.yaml"),
		"NodePort": prometheusNodePort,
	}); err != nil {
		return err
	}
	arguments := []string{"create", "cluster", "--name", kindName, "--config", "-", "--kubeconfig", k.Kubeconfig(), "--wait", "5m"}
	if image := os.Getenv("LP_KIND_IMAGE"); image != "" {
		arguments = append(arguments, "--image", image)
	}
	return k.run(&config, arguments...)
}

// metricsServer installs the published manifests, which the HPA needs; kind
// brings none.
func (k *Kind) metricsServer() error {
	const version = "v0.9.0"
	module, err := tools.Module("sigs.k8s.io/metrics-server@" + version)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "metrics-server-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(filepath.Join(dir, "base"), os.DirFS(filepath.Join(module, "manifests", "base"))); err != nil {
		return err
	}
	kustomization := `resources: [base]
images:
  - name: gcr.io/k8s-staging-metrics-server/metrics-server
    newName: registry.k8s.io/metrics-server/metrics-server
    newTag: ` + version + `
patches:
  - target: { kind: Deployment, name: metrics-server }
    patch: |
      - { op: add, path: /spec/template/spec/containers/0/args/-, value: --kubelet-insecure-tls }
`
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(kustomization), 0o644); err != nil {
		return err
	}
	if _, err := kubectl(k, nil, "apply", "--server-side", "--force-conflicts", "--kustomize", dir); err != nil {
		return err
	}
	_, err = kubectl(k, nil, "--namespace", "kube-system", "rollout", "status", "deployment/metrics-server", "--timeout", "3m")
	return err
}

// Down implements Cluster.
func (k *Kind) Down() error {
	removeRoute()
	if err := k.run(nil, "delete", "cluster", "--name", kindName, "--kubeconfig", k.Kubeconfig()); err != nil {
		return err
	}
	if err := os.Remove(k.Kubeconfig()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Load implements Cluster.
func (k *Kind) Load(archives ...string) error {
	for _, archive := range archives {
		if err := k.run(nil, "load", "image-archive", archive, "--name", kindName); err != nil {
			return err
		}
	}
	return nil
}

// Kubectl implements Cluster.
func (k *Kind) Kubectl() (string, error) { return anyKubectl(k.source) }

// Kubeconfig implements Cluster.
func (k *Kind) Kubeconfig() string { return filepath.Join(k.folder, "kubeconfig") }

func (k *Kind) auditLog() string { return filepath.Join(k.folder, "audit", "audit.log") }

// Status implements Cluster.
func (k *Kind) Status() Status {
	status := Status{
		Kind: "kind", Kubeconfig: k.Kubeconfig(), AuditLog: k.auditLog(),
		Prometheus: fmt.Sprintf("http://127.0.0.1:%d", prometheusNodePort),
	}
	if _, err := os.Stat(k.Kubeconfig()); err != nil {
		status.Reason = "it is not there"
		return status
	}
	gateways, err := output(nil, "docker", "network", "inspect", "kind", "--format", "{{range .IPAM.Config}}{{.Gateway}} {{end}}")
	if err == nil {
		// The network has an IPv6 gateway too.
		addresses := strings.Fields(gateways)
		if index := slices.IndexFunc(addresses, func(a string) bool { return strings.Contains(a, ".") }); index >= 0 {
			status.HostAddress = addresses[index]
		}
	}
	if node, err := nodeAddress(); err == nil {
		status.PodCIDR = routed(node)
	}
	return outsideStatus(k, status)
}
