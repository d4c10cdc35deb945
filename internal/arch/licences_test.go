package arch_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/arch"
)

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
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if name := arch.Licence(raw); name == "" {
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
		if !e.IsDir() && arch.IsLicence(e.Name()) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files
}
