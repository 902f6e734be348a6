package node

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed files
var templates embed.FS

// configuration is the node's configuration files by path below its folder.
func (n *Node) configuration(runtime string) (map[string][]byte, error) {
	values := map[string]string{
		"Dir": n.Dir, "Run": runDir, "Socket": n.socket(), "PauseImage": pauseImage, "Runtime": runtime,
		"CNIName": cniName, "Bridge": bridge, "PodCIDR": PodCIDR, "Address": Address, "DNSService": dnsService,
	}
	places := map[string]string{
		"containerd.toml": "containerd.toml",
		"cni.conflist":    "cni/10-pods.conflist",
		"kubelet.yaml":    "kubelet.yaml",
		"audit.yaml":      "audit.yaml",
		"Corefile":        "Corefile",
	}
	files := map[string][]byte{}
	for name, place := range places {
		parsed, err := template.New(name).Option("missingkey=error").ParseFS(templates, "files/"+name)
		if err != nil {
			return nil, err
		}
		var content bytes.Buffer
		if err := parsed.Execute(&content, values); err != nil {
			return nil, fmt.Errorf("fill in %s: %w", name, err)
		}
		files[filepath.Join("config", place)] = content.Bytes()
	}
	return files, nil
}

func (n *Node) writeConfiguration(files map[string][]byte) error {
	for _, folder := range []string{"audit", "logs", "etcd", "kubelet", "pod-logs", "volumes"} {
		// etcd refuses a folder that others can read.
		if err := os.MkdirAll(n.path(folder), 0o700); err != nil {
			return err
		}
	}
	for name, content := range files {
		file := n.path(name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
