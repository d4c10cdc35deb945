package formats_test

import (
	"fmt"
	"os/exec"
	"testing"
)

// TestWebArchive holds what parts a web archive makes.
func TestWebArchive(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	b, err := exec.CommandContext(t.Context(), python, "-c", `
import plistlib, sys
sys.stdout.buffer.write(plistlib.dumps({"WebMainResource": {"WebResourceData": "<p title='t'>Zo\u00eb <b>536</b>-22-8145</p>".encode("utf-16-le"), "WebResourceMIMEType": "text/html",
  "WebResourceTextEncodingName": "utf-16le", "WebResourceURL": "https://clinic.example/"},
  "WebSubresources": [{"WebResourceData": b"\x89PNG\r\n\x1a\n", "WebResourceMIMEType": "image/png"}]}, fmt=plistlib.FMT_BINARY))`).Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	a := serve(t, false, limits, b)
	if want := "Zoë 536-22-8145\n\nt\n"; a.texts["1"] != want {
		t.Errorf("got %q, want %q", a.texts["1"], want)
	}
	if fmt.Sprint(a.paths) != "[ 1 2]" || fmt.Sprint(a.told()) != "[2 image image/png]" {
		t.Errorf("parts %q, gaps %v", a.paths, a.told())
	}
	if a := serve(t, false, limits, b[:len(b)-40]); fmt.Sprint(a.told()) != "[corrupt property list]" {
		t.Errorf("cut: gaps %v", a.told())
	}
}
