package oci

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// Annotations by which containerd and Docker find an image's name in an
// archive (OCI image specification, annotations; containerd's importer).
const (
	annotationRefName       = "org.opencontainers.image.ref.name"
	annotationContainerdRef = "io.containerd.image.name"
)

// annotationInputs holds the hash of what we packed the image from.
const annotationInputs = "dev.learningplatform.tests.inputs"

// writeArchive writes the image as an OCI archive: a tar of an image layout.
func writeArchive(image v1.Image, name, inputs, output string) error {
	parent := filepath.Dir(output)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(parent, ".layout-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("write the image layout: %w", err)
	}
	err = path.AppendImage(image,
		layout.WithAnnotations(map[string]string{
			annotationContainerdRef: name, annotationRefName: name, annotationInputs: inputs,
		}),
		layout.WithPlatform(platform))
	if err != nil {
		return fmt.Errorf("write the image layout: %w", err)
	}
	temporary := filepath.Join(dir, "archive.tar")
	if err := tarFolder(dir, temporary); err != nil {
		return fmt.Errorf("write %s: %w", output, err)
	}
	return os.Rename(temporary, output)
}

// tarFolder packs the folder's files in the order of their names with fixed
// owners and times, so that the same layout gives the same archive.
func tarFolder(dir, output string) error {
	tree := newTree()
	if err := tree.addFolder(dir, ""); err != nil {
		return err
	}
	file, err := os.Create(output)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := tree.writeTar(file); err != nil {
		return err
	}
	return file.Close()
}

// Archive is what an archive says of the one image in it.
type Archive struct{ Name, Digest, Inputs string }

// ReadArchive reads the index of an OCI archive.
func ReadArchive(file string) (Archive, error) {
	input, err := os.Open(file)
	if err != nil {
		return Archive{}, err
	}
	defer input.Close()
	archive := tar.NewReader(input)
	for {
		header, err := archive.Next()
		if err != nil {
			return Archive{}, fmt.Errorf("%s is not an OCI archive: no index.json: %w", file, err)
		}
		if filepath.Clean(header.Name) != "index.json" {
			continue
		}
		index, err := v1.ParseIndexManifest(archive)
		if err != nil {
			return Archive{}, fmt.Errorf("%s: index.json: %w", file, err)
		}
		if len(index.Manifests) != 1 {
			return Archive{}, fmt.Errorf("%s holds %d images, not one", file, len(index.Manifests))
		}
		manifest := index.Manifests[0]
		return Archive{
			Name:   manifest.Annotations[annotationContainerdRef],
			Digest: manifest.Digest.String(),
			Inputs: manifest.Annotations[annotationInputs],
		}, nil
	}
}
