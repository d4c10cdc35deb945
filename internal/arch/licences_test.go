package arch_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// licences are the texts we accept, each known by a sentence of its own. The
// first whose sentence stands in the file is the file's licence.
func licences() []struct{ name, sentence string } {
	return []struct{ name, sentence string }{
		{"Apache-2.0", "Apache License Version 2.0"},
		{"MPL-2.0", "Mozilla Public License Version 2.0"},
		{"MPL-2.0", "Mozilla Public License, version 2.0"},
		{"MIT", "Permission is hereby granted, free of charge"},
		{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose"},
		{"ISC", "Permission to use, copy, modify, and distribute this software for any purpose"},
		{"BSD", "Redistribution and use in source and binary forms"},
		{"SQLite", "dedicated to the public domain by the authors"},
	}
}

// TestLicences looks at every module linked into the program: each has a
// licence file, and each such file is one we accept.
func TestLicences(t *testing.T) {
	if testing.Short() {
		t.Skip("asks the go command for every module: not in -short")
	}
	t.Parallel()
	for path, dir := range linkedModules(t) {
		files := licenceFiles(t, dir)
		if len(files) == 0 {
			t.Errorf("%s: got no licence file, want one", path)
		}
		for _, file := range files {
			if name := licence(t, file); name == "" {
				t.Errorf("%s: %s is no licence on the list", path, filepath.Base(file))
			} else {
				t.Logf("%-50s %-10s %s", path, name, filepath.Base(file))
			}
		}
	}
}

// linkedModules returns the folder of each foreign module that cmd/stanch links.
func linkedModules(t *testing.T) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=Module", "./cmd/stanch")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stderr = os.Stderr
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(stdout))); ; {
		var pkg struct {
			Module *struct {
				Path, Dir string
				Main      bool
			}
		}
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			return modules
		} else if err != nil {
			t.Fatal(err)
		}
		if pkg.Module != nil && !pkg.Module.Main {
			modules[pkg.Module.Path] = pkg.Module.Dir
		}
	}
}

// licenceFiles returns the licence files at the top of a module.
func licenceFiles(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if name == "LICENSE-LOGO" { // of a picture in the repository of modernc.org/memory, which no program links
			continue
		}
		if !e.IsDir() && slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files
}

// licence returns the name of the licence in file, "" for none on the list.
func licence(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(strings.ReplaceAll(string(raw), "#", "")), " ")
	for _, l := range licences() {
		if strings.Contains(text, l.sentence) {
			return l.name
		}
	}
	return ""
}
