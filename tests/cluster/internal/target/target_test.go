package target

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheEnvironmentChoosesTheCluster(t *testing.T) {
	cache := t.TempDir()
	mine := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	kindConfig := filepath.Join(cache, "kind", "kubeconfig")
	cases := map[string]struct {
		environment map[string]string
		docker      bool
		want        string
	}{
		"nothing, no Docker":             {nil, false, "node"},
		"nothing, Docker answers":        {nil, true, "kind"},
		"a cluster of the user's":        {map[string]string{"KUBECONFIG": mine}, true, "given"},
		"ours goes before the general":   {map[string]string{"LP_KUBECONFIG": mine, "KUBECONFIG": "/nowhere"}, true, "given"},
		"several files in one":           {map[string]string{"KUBECONFIG": mine + ":" + mine}, false, "given"},
		"the node's own, exported":       {map[string]string{"KUBECONFIG": "/var/lib/learningplatform-node/kubeconfig"}, true, "node"},
		"kind's own, exported":           {map[string]string{"KUBECONFIG": kindConfig}, false, "kind"},
		"the node in spite of Docker":    {map[string]string{"LP_CLUSTER": "node"}, true, "node"},
		"the choice goes before a file":  {map[string]string{"LP_CLUSTER": "kind", "KUBECONFIG": mine}, false, "kind"},
		"a choice that does not exist":   {map[string]string{"LP_CLUSTER": "k3s"}, false, "LP_CLUSTER"},
		"a kubeconfig that is not there": {map[string]string{"KUBECONFIG": "/nowhere"}, false, "KUBECONFIG"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"LP_CLUSTER", "LP_KUBECONFIG", "KUBECONFIG"} {
				t.Setenv(variable, test.environment[variable])
			}
			t.Setenv("LP_CACHE", cache)
			// A docker that answers, or none at all.
			programs := t.TempDir()
			if test.docker {
				if err := os.WriteFile(filepath.Join(programs, "docker"), []byte("#!/bin/sh\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", programs+":/bin")
			if !test.docker {
				t.Setenv("PATH", programs)
			}
			cluster, err := Choose("../..")
			if err != nil {
				if !strings.Contains(err.Error(), test.want) {
					t.Errorf("got the error %v, want %s", err, test.want)
				}
				return
			}
			kinds := map[string]bool{"node": false, "kind": false, "given": false}
			switch cluster.(type) {
			case *Own:
				kinds["node"] = true
			case *Kind:
				kinds["kind"] = true
			case *Given:
				kinds["given"] = true
			}
			if !kinds[test.want] {
				t.Errorf("chose %T, want %s", cluster, test.want)
			}
		})
	}
}
