package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"learningplatform.dev/tests/cluster/internal/cache"
	"learningplatform.dev/tests/cluster/internal/oci"
	"learningplatform.dev/tests/cluster/internal/target"
)

// image packs an archive and prints its path.
func image(source string, arguments []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	spec := oci.Spec{Labels: map[string]string{}}
	flags.StringVar(&spec.Name, "name", "", "repository:tag, such as localhost/sample-app:dev (required)")
	flags.StringVar(&spec.User, "user", "65532:65532", "numeric user, or user:group")
	flags.StringVar(&spec.Workdir, "workdir", "/", "working folder")
	output := flags.String("output", "", "the archive's path (default: in the cache, by the image's name)")
	load := flags.Bool("load", false, "bring it into the cluster too")
	list := func(name, help string, target *[]string) {
		flags.Func(name, help+" (repeatable)", func(value string) error {
			*target = append(*target, value)
			return nil
		})
	}
	list("package", "Debian package to unpack, such as libc6", &spec.Packages)
	list("program", "Debian package to unpack with the libraries it needs, such as redis-server", &spec.Programs)
	list("account", "name:user:group, a user that has a name", &spec.Accounts)
	list("entrypoint", "program and its first arguments", &spec.Entrypoint)
	list("arg", "default argument", &spec.Args)
	list("env", "environment, NAME=value", &spec.Env)
	pairs := func(name, help string, target *[]oci.File) {
		flags.Func(name, "SOURCE:DESTINATION, "+help+" (repeatable)", func(value string) error {
			from, to, found := strings.Cut(value, ":")
			if !found || from == "" || !strings.HasPrefix(to, "/") {
				return fmt.Errorf("write SOURCE:DESTINATION with an absolute destination")
			}
			*target = append(*target, oci.File{Source: from, Destination: to})
			return nil
		})
	}
	pairs("file", "a file or a folder", &spec.Files)
	pairs("link", "a symbolic link at DESTINATION to SOURCE", &spec.Links)
	flags.Func("label", "NAME=value (repeatable)", func(value string) error {
		name, content, found := strings.Cut(value, "=")
		if !found {
			return fmt.Errorf("write NAME=value")
		}
		spec.Labels[name] = content
		return nil
	})
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("image: %q is not a flag", flags.Arg(0))
	}
	if *output == "" {
		dir, err := cache.Sub("images")
		if err != nil {
			return err
		}
		*output = filepath.Join(dir, strings.NewReplacer("/", "_", ":", "_").Replace(spec.Name)+".tar")
	}
	unlock, err := cache.Lock(filepath.Dir(*output), filepath.Base(*output))
	if err != nil {
		return err
	}
	defer unlock()
	digest, err := spec.Pack(*output)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "cluster: packed %s as %s\n", spec.Name, digest)
	if *load {
		cluster, err := target.Choose(source)
		if err != nil {
			return err
		}
		if err := cluster.Load(*output); err != nil {
			return err
		}
	}
	fmt.Println(*output)
	return nil
}
