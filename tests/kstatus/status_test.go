// Package kstatus reads every state of a LearningPlatform with the two programs
// that decide for GitOps tools whether a resource is finished: the kstatus
// library of Flux and others, and the health script shipped for Argo CD, run by
// the Lua interpreter that Argo CD embeds.
package kstatus

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

const script = "../../charts/operator/integrations/argo-cd/health.lua"

// state is a platform, and what others are to make of it.
type state struct {
	Says    string         `json:"says"`
	Kstatus string         `json:"kstatus"`
	Argo    string         `json:"argo"`
	Message string         `json:"message"`
	Object  map[string]any `json:"object"`
}

func states(t *testing.T) map[string]state {
	t.Helper()
	files, err := filepath.Glob("../fixtures/status/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("%d states found in ../fixtures/status", len(files))
	}
	found := map[string]state{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// The API machinery wants integers as int64, which its own decoder gives.
		var s state
		if err := json.Unmarshal(content, &s); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		object := unstructured.Unstructured{}
		raw, err := json.Marshal(s.Object)
		if err != nil {
			t.Fatal(err)
		}
		if err := object.UnmarshalJSON(raw); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		s.Object = object.Object
		found[strings.TrimSuffix(filepath.Base(file), ".json")] = s
	}
	return found
}

func TestKstatus(t *testing.T) {
	for name, s := range states(t) {
		t.Run(name, func(t *testing.T) {
			result, err := status.Compute(&unstructured.Unstructured{Object: s.Object})
			if err != nil {
				t.Fatal(err)
			}
			if string(result.Status) != s.Kstatus {
				t.Errorf("%s kstatus says %s (%s), want %s", s.Says, result.Status, result.Message, s.Kstatus)
			}
		})
	}
}

func TestArgoHealth(t *testing.T) {
	for name, s := range states(t) {
		t.Run(name, func(t *testing.T) {
			got, message := argoHealth(t, s.Object)
			if got != s.Argo {
				t.Errorf("%s Argo CD says %s (%s), want %s", s.Says, got, message, s.Argo)
			}
			if !strings.Contains(message, s.Message) {
				t.Errorf("%s Argo CD's message is %q, want %q in it", s.Says, message, s.Message)
			}
		})
	}
}

// A resource without any status is Progressing for Argo CD even where the CRD
// gives no default.
func TestArgoHealthWithoutStatus(t *testing.T) {
	object := states(t)["created"].Object
	delete(object, "status")
	if got, message := argoHealth(t, object); got != "Progressing" {
		t.Errorf("Argo CD says %s (%s), want Progressing", got, message)
	}
}

// argoHealth runs the script as Argo CD does: the object in the global obj, the
// health as the table returned, and no library that reaches the system.
func argoHealth(t *testing.T, object map[string]any) (health, message string) {
	t.Helper()
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
		lua.StringLibName: lua.OpenString, lua.MathLibName: lua.OpenMath,
	} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	l.SetGlobal("obj", value(l, object))
	if err := l.DoFile(script); err != nil {
		t.Fatal(err)
	}
	table, isTable := l.Get(-1).(*lua.LTable)
	if !isTable {
		t.Fatalf("the script returned %s, want a table", l.Get(-1).Type())
	}
	return lua.LVAsString(table.RawGetString("status")), lua.LVAsString(table.RawGetString("message"))
}

// value makes a Lua value of JSON.
func value(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case map[string]any:
		table := l.NewTable()
		for key, item := range v {
			table.RawSetString(key, value(l, item))
		}
		return table
	case []any:
		table := l.NewTable()
		for _, item := range v {
			table.Append(value(l, item))
		}
		return table
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	default:
		return lua.LNil
	}
}
