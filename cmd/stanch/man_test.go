package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestManPages: each page is read by man without a warning, and says the name, the
// flags and what stands in their lines, odd letters too.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"man", dir}, strings.NewReader(""), &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	for _, name := range []string{"stanch.1", "stanch-scan.1", "stanch-rules-list.1", "stanch-smtp-user-set.1"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "stanch-man.1")); err == nil {
		t.Error("a hidden command has a page")
	}
	if got := roffLine(`'.a\b-`); got != "\\&'.a\\eb\\-\n" {
		t.Errorf("a line that begins as a request is %q", got)
	}
	if _, err := exec.LookPath("man"); err != nil {
		t.Skip("man is not installed")
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 50 {
		t.Fatal(len(pages), err)
	}
	read := exec.Command("man", append([]string{"--warnings", "-l", "-Tascii", "-P", "cat"}, pages...)...)
	read.Env = append(os.Environ(), "LC_ALL=C")
	var text, warned bytes.Buffer
	read.Stdout, read.Stderr = &text, &warned
	if err := read.Run(); err != nil || warned.Len() > 0 {
		t.Fatalf("man: %v: %s", err, warned.String())
	}
	shown := strings.Join(strings.Fields(regexp.MustCompile(`.\x08`).ReplaceAllString(text.String(), "")), " ") // bold is a letter over itself
	for _, want := range []string{"stanch-scan - Scan files and folders, or - for standard input; change nothing", "--min-confidence", "what is printed and counts for the exit status: low | medium | high",
		"configuration file (else $STANCH_CONFIG, ./stanch.toml, /etc/stanch/stanch.toml)", "stanch-rules(1)"} {
		if !strings.Contains(shown, want) {
			t.Errorf("what man shows has no %q", want)
		}
	}
}
