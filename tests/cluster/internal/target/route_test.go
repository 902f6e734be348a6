package target

import (
	"os"
	"path/filepath"
	"testing"
)

// A machine with kind on it: docker and kubectl that answer, a sudo that asks
// nothing, and an ip that keeps one route in a file.
func machine(t *testing.T, ip string) *Kind {
	t.Helper()
	programs := t.TempDir()
	t.Setenv("ROUTE", filepath.Join(t.TempDir(), "route"))
	t.Setenv("PATH", programs+":/usr/bin:/bin")
	for name, script := range map[string]string{
		"docker": "echo 172.18.0.2", "kubectl": "echo 10.244.0.0/24", "sudo": `shift; exec "$@"`, "ip": ip,
	} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &Kind{source: "../..", folder: t.TempDir()}
}

func TestTheHostReachesTheNodesPodsUntilTheClusterGoes(t *testing.T) {
	kind := machine(t, `case "$*" in
		"route show via 172.18.0.2") cat "$ROUTE" 2>/dev/null || true ;;
		"route replace 10.244.0.0/24 via 172.18.0.2") echo "10.244.0.0/24 dev br-1" >"$ROUTE" ;;
		"route flush via 172.18.0.2") rm "$ROUTE" ;;
		*) echo "not expected: $*" >&2; exit 1 ;;
	esac`)
	for range 2 {
		if err := kind.routeToPods(); err != nil {
			t.Fatal(err)
		}
		if got := routed("172.18.0.2"); got != "10.244.0.0/24" {
			t.Errorf("the host reaches %q", got)
		}
	}
	removeRoute()
	if got := routed("172.18.0.2"); got != "" {
		t.Errorf("after: the host still reaches %q", got)
	}
}

func TestWithoutTheRightToSetARouteTheClusterComesUp(t *testing.T) {
	kind := machine(t, `[ "$2" = show ] || { echo "Operation not permitted" >&2; exit 2; }`)
	if err := kind.routeToPods(); err != nil {
		t.Errorf("the cluster serves all but some tests: %v", err)
	}
	if got := routed("172.18.0.2"); got != "" {
		t.Errorf("the host reaches %q, which nobody has set", got)
	}
}
