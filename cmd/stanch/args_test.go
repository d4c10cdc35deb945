package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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

// TestFlagValues: help and manual call the value of each flag by one word; a command
// between backticks in what a flag does was taken for it.
func TestFlagValues(t *testing.T) {
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			seen++
			if value, _ := pflag.UnquoteUsage(f); strings.ContainsAny(value, " -") {
				t.Errorf("%s --%s: its value is called %q, want one word", c.CommandPath(), f.Name, value)
			}
		})
	}
	var out bytes.Buffer
	walk(newRoot(&app{in: strings.NewReader(""), out: &out, errs: &out}))
	if seen < 100 {
		t.Errorf("%d flags were seen, want more: the walk misses commands", seen)
	}
}
