package formats_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestVolumes holds that no volume that 7z makes of an archive is taken for clean:
// the first, which has a mark, and those without.
func TestVolumes(t *testing.T) {
	path, err := exec.LookPath("7z")
	if err != nil {
		t.Skip("no 7z here: Debian's p7zip-full has it")
	}
	dir := t.TempDir()
	noise := make([]byte, 6000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	if err := os.WriteFile(filepath.Join(dir, "a.bin"), noise, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"7z", "zip"} {
		cmd := exec.CommandContext(t.Context(), path, "a", "-v2000b", "a."+kind, "a.bin")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("7z: %v %s", err, out)
		}
		for _, n := range []string{"001", "002", "003"} {
			b, err := os.ReadFile(filepath.Join(dir, "a."+kind+"."+n))
			if err != nil {
				t.Fatal(err)
			}
			gaps := serve(t, false, limits, b).gaps
			if len(gaps) == 0 || gaps[0].Cause != dlp.Unsupported && gaps[0].Cause != dlp.Corrupt {
				t.Errorf("%s, volume %s: gaps %v", kind, n, gaps)
			}
		}
	}
}
