package node

import (
	"path/filepath"

	"learningplatform.dev/tests/cluster/internal/build"
	"learningplatform.dev/tests/cluster/internal/cache"
	"learningplatform.dev/tests/cluster/internal/oci"
)

// pause packs the image of every pod's sandbox.
func (n *Node) pause() (string, error) {
	dir, err := cache.Sub("images")
	if err != nil {
		return "", err
	}
	unlock, err := cache.Lock(dir, "pause")
	if err != nil {
		return "", err
	}
	defer unlock()
	binary, err := build.Program(n.Source, "pause")
	if err != nil {
		return "", err
	}
	archive := filepath.Join(dir, "pause.tar")
	image := oci.Spec{
		Name: pauseImage, Files: []oci.File{{Source: binary, Destination: "/pause"}},
		Entrypoint: []string{"/pause"}, User: "65535:65535",
	}
	_, err = image.Pack(archive)
	return archive, err
}
