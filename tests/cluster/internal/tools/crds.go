package tools

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// definitions are the foreign resource definitions, and the manifests of
// foreign operators, that tests install: read from the modules that publish
// them, so that none is committed here. A file may be a pattern.
var definitions = map[string]struct {
	module string
	files  []string
}{
	"gateway-api": {"sigs.k8s.io/gateway-api@v1.6.3", []string{
		"config/crd/standard/gateway.networking.k8s.io_gatewayclasses.yaml",
		"config/crd/standard/gateway.networking.k8s.io_gateways.yaml",
		"config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
	}},
	"cert-manager": {"github.com/cert-manager/cert-manager@v1.20.0", []string{
		"deploy/crds/cert-manager.io_*.yaml",
	}},
	"podmonitor": {"github.com/prometheus-operator/prometheus-operator@v0.85.0", []string{
		"example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
	}},
	"cloudnative-pg": {cloudNativePG + "@" + cloudNativePGVersion, []string{
		"config/crd/bases/*.yaml",
	}},
	"cloudnative-pg-operator": {cloudNativePG + "@" + cloudNativePGVersion, []string{
		"config/rbac/role.yaml",
		"config/manager/manager.yaml",
		"config/webhook/manifests.yaml",
	}},
	"barman-cloud": {barmanCloud, []string{
		"config/crd/bases/*.yaml",
	}},
	"barman-cloud-operator": {barmanCloud, []string{
		"config/rbac/role.yaml",
	}},
	"volume-snapshots": {"github.com/kubernetes-csi/external-snapshotter/client/v8@v8.4.0", []string{
		"config/crd/snapshot.storage.k8s.io_volumesnapshotclasses.yaml",
		"config/crd/snapshot.storage.k8s.io_volumesnapshotcontents.yaml",
		"config/crd/snapshot.storage.k8s.io_volumesnapshots.yaml",
	}},
	"prometheusrule": {"github.com/prometheus-operator/prometheus-operator@v0.85.0", []string{
		"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
	}},
}

// barmanCloud is CloudNativePG's plugin for backups, in the version that
// tests/barman-cloud/go.mod names.
const barmanCloud = "github.com/cloudnative-pg/plugin-barman-cloud@v0.14.0"

// Definitions gives the YAML documents of the named sets.
func Definitions(names ...string) ([]byte, error) {
	var documents bytes.Buffer
	for _, name := range names {
		set, found := definitions[name]
		if !found {
			var known []string
			for name := range definitions {
				known = append(known, name)
			}
			slices.Sort(known)
			return nil, fmt.Errorf("no resource definitions %q; there are %s", name, strings.Join(known, ", "))
		}
		dir, err := Module(set.module)
		if err != nil {
			return nil, err
		}
		for _, file := range set.files {
			found, err := filepath.Glob(filepath.Join(dir, file))
			if err == nil && len(found) == 0 {
				err = fmt.Errorf("%s: %w", file, os.ErrNotExist)
			}
			if err != nil {
				return nil, fmt.Errorf("module %s: %w", set.module, err)
			}
			for _, file := range found {
				content, err := os.ReadFile(file)
				if err != nil {
					return nil, fmt.Errorf("module %s: %w", set.module, err)
				}
				documents.WriteString("---\n")
				documents.Write(content)
				documents.WriteByte('\n')
			}
		}
	}
	return documents.Bytes(), nil
}
