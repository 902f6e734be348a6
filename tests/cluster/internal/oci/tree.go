package oci

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// node is one entry of a root filesystem.
type node struct {
	header tar.Header
	// open gives the content of a regular file.
	open func() (io.ReadCloser, error)
}

// tree is a root filesystem in memory, by clean path without a leading slash.
type tree struct {
	nodes map[string]node
	// links are the folders that are symbolic links, such as Debian's
	// `lib -> usr/lib`. An entry below one goes to the link's target.
	links map[string]string
}

func newTree() *tree {
	return &tree{nodes: map[string]node{}, links: map[string]string{}}
}

// resolve cleans a path and follows the folders that are links.
func (t *tree) resolve(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	for link, target := range t.links {
		if rest, found := strings.CutPrefix(name, link+"/"); found {
			return path.Join(target, rest)
		}
	}
	return name
}

func (t *tree) add(name string, header tar.Header, open func() (io.ReadCloser, error)) {
	name = t.resolve(name)
	if name == "" || name == "." {
		return
	}
	if parent := path.Dir(name); parent != "." {
		if _, exists := t.nodes[parent]; !exists {
			t.add(parent, tar.Header{Typeflag: tar.TypeDir, Mode: 0o755}, nil)
		}
	}
	// Times and user names would make the digest depend on when and where
	// the image was packed.
	t.nodes[name] = node{open: open, header: tar.Header{
		Typeflag: header.Typeflag, Name: name, Linkname: header.Linkname, Size: header.Size,
		Mode: header.Mode & 0o7777, Uid: header.Uid, Gid: header.Gid, Format: tar.FormatPAX,
	}}
}

// addBytes puts a small file into the tree.
func (t *tree) addBytes(name string, content []byte, mode int64) {
	t.add(name, tar.Header{Typeflag: tar.TypeReg, Size: int64(len(content)), Mode: mode}, func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
}

func (t *tree) makeFolder(name string, mode int64) {
	t.add(name, tar.Header{Typeflag: tar.TypeDir, Mode: mode}, nil)
}

// addLink puts a symbolic link to a folder into the tree.
func (t *tree) addLink(name, target string) {
	t.add(name, tar.Header{Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}, nil)
	t.links[name] = target
}

// addPath puts a file or a folder with all it holds at destination. Files
// belong to root; only the permission bits are kept.
func (t *tree) addPath(source, destination string) error {
	info, err := os.Stat(source)
	if err != nil {
		return fmt.Errorf("file for the image: %w", err)
	}
	if info.IsDir() {
		return t.addFolder(source, destination)
	}
	t.addFile(source, destination, info)
	return nil
}

func (t *tree) addFile(source, destination string, info fs.FileInfo) {
	header := tar.Header{Typeflag: tar.TypeReg, Size: info.Size(), Mode: int64(info.Mode().Perm())}
	t.add(destination, header, func() (io.ReadCloser, error) { return os.Open(source) })
}

func (t *tree) addFolder(source, destination string) error {
	return filepath.WalkDir(source, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name := path.Join(destination, filepath.ToSlash(relative))
		switch {
		case entry.IsDir():
			t.add(name, tar.Header{Typeflag: tar.TypeDir, Mode: int64(info.Mode().Perm())}, nil)
		case entry.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(file)
			if err != nil {
				return err
			}
			t.add(name, tar.Header{Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}, nil)
		case entry.Type().IsRegular():
			t.addFile(file, name, info)
		default:
			return fmt.Errorf("%s is neither a file, a folder nor a link", file)
		}
		return nil
	})
}

// writeTar writes the entries in the order of their names, so that folders
// come before what they hold and the same tree gives the same bytes.
func (t *tree) writeTar(output io.Writer) error {
	names := make([]string, 0, len(t.nodes))
	for name := range t.nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	archive := tar.NewWriter(output)
	for _, name := range names {
		if err := writeNode(archive, t.nodes[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return archive.Close()
}

func writeNode(archive *tar.Writer, entry node) (err error) {
	header := entry.header
	if header.Typeflag == tar.TypeDir {
		header.Name += "/"
	}
	if err := archive.WriteHeader(&header); err != nil {
		return err
	}
	if entry.open == nil {
		return nil
	}
	content, err := entry.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	_, err = io.Copy(archive, content)
	return err
}
