package target

import "testing"

func TestTheNewestOfTheDefaultClassesIsTheDefault(t *testing.T) {
	for lines, want := range map[string]string{
		"":                              "",
		"gp2\t2024-01-01T00:00:00Z\t\n": "",
		"gp2\t2024-01-01T00:00:00Z\tfalse\ngp3\t2024-01-01T00:00:00Z\ttrue\n":         "gp3",
		"gp3\t2025-01-01T00:00:00Z\ttrue\ngp2\t2024-01-01T00:00:00Z\ttrue\nother\t\t": "gp3",
	} {
		if got := defaultClass(lines); got != want {
			t.Errorf("%q: %q, want %q", lines, got, want)
		}
	}
}
