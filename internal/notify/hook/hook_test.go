package hook_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/notify/hook"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

func TestCall(t *testing.T) {
	t.Setenv("STANCH_SECRET", "not for the command")
	out := filepath.Join(t.TempDir(), "out")
	c := hook.New([]string{"/bin/sh", "-c", `env > "$1"; pwd >> "$1"; ls -l /proc/$$/fd | grep -c socket >> "$1"; exit 3`, "sh", out}, safelog.Discard())
	if err := c.Call(t.Context(), map[string]string{"STANCH_ID": "abc", "STANCH_LEVEL": "1"}); err != nil {
		t.Fatal(err)
	}
	c.Wait(t.Context())
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"STANCH_ID=abc\n", "STANCH_LEVEL=1\n", "\n/\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("got %q, want %q in it", b, want)
		}
	}
	if strings.Contains(string(b), "SECRET") {
		t.Errorf("the command saw the environment: %q", b)
	}
}

func TestCallThatCannotBe(t *testing.T) {
	c := hook.New([]string{"/nowhere/pager"}, safelog.Discard())
	if err := c.Call(t.Context(), nil); err == nil {
		t.Error("a program that is not there was started")
	}
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	slow := hook.New([]string{"/bin/sh", "-c", `until [ -e "$0" ]; do sleep 0.01; done`, gate}, safelog.Discard())
	for range 4 {
		if err := slow.Call(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := slow.Call(ended, nil); err == nil {
		t.Error("a fifth command was started beside four that hang")
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	slow.Wait(t.Context())
	if err := slow.Call(t.Context(), nil); err != nil {
		t.Errorf("after they ended: %v", err)
	}
	slow.Wait(t.Context())
}

// TestCallsWaitTheirTurn: of many calls at once each has its command.
func TestCallsWaitTheirTurn(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	c := hook.New([]string{"/bin/sh", "-c", `sleep 0.01; echo called >> "$0"`, out}, safelog.Discard())
	for range 12 {
		if err := c.Call(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	c.Wait(t.Context())
	if b, err := os.ReadFile(out); err != nil || strings.Count(string(b), "called\n") != 12 {
		t.Errorf("got %q, %v; want twelve", b, err)
	}
}
