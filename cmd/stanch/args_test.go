package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestArgumentErrors: no command counts arguments as cobra does; it says which it
// wants, and where to read on.
func TestArgumentErrors(t *testing.T) {
	var walk func(c *cobra.Command)
	seen := 0
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Args == nil || c.HasSubCommands() {
			return
		}
		for _, args := range [][]string{nil, {"a", "b", "c", "d"}} {
			err := c.Args(c, args)
			if err == nil {
				continue
			}
			seen++
			for _, raw := range []string{"accepts", "arg(s)", "unknown command"} {
				if strings.Contains(err.Error(), raw) {
					t.Errorf("%s with %d arguments: got %q", c.CommandPath(), len(args), err)
				}
			}
			if !strings.Contains(err.Error(), "want ") || !strings.Contains(err.Error(), "--help`") {
				t.Errorf("%s: got %q, want what is wanted and where to read on", c.CommandPath(), err)
			}
		}
	}
	var out bytes.Buffer
	walk(newRoot(&app{in: strings.NewReader(""), out: &out, errs: &out}))
	if seen < 20 {
		t.Errorf("%d errors were seen, want more: the walk misses commands", seen)
	}
}
