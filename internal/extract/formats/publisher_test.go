package formats_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPublisher holds that the texts of a publication are read, those of a later
// list of chunks as well, and that what else it holds is told. The compound file
// is libgsf's.
func TestPublisher(t *testing.T) {
	gsf, err := exec.LookPath("gsf")
	if err != nil {
		t.Skip("needs gsf (libgsf-bin)")
	}
	le := binary.LittleEndian
	texts := []string{"Patient Ana\rSSN 536-22-8145\r", "of the second list"}
	quill := append([]byte("CHNKINK "), make([]byte, 16)...)
	from := 24 + 2*32
	var all []byte
	for i, s := range texts {
		next := uint32(24 + 32)
		if i == 1 {
			next = 0xffffffff
		}
		quill = le.AppendUint32(append(quill, 0xf8, 1, 1, 0), next)
		quill = append(append(quill, 24, 0), "TEXT\x00\x00\x01\x00\x00\x00TEXT"...)
		quill = le.AppendUint32(le.AppendUint32(quill, uint32(from+len(all))), uint32(2*len(s)))
		for _, c := range []byte(s) {
			all = append(all, c, 0)
		}
	}
	quill = append(quill, all...)
	dir := t.TempDir()
	content := filepath.Join(dir, "Quill", "QuillSub", "CONTENTS")
	if err := os.MkdirAll(filepath.Dir(content), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(content, quill, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), gsf, "createole", "out.pub", "Quill")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "out.pub"))
	if err != nil {
		t.Fatal(err)
	}
	a := serve(t, false, limits, b)
	if want := "Patient Ana\nSSN 536-22-8145\n\nof the second list\n"; !strings.Contains(a.texts[""], want) {
		t.Errorf("got %q, want %q", a.texts[""], want)
	}
	if !slices.Equal(a.told(), []string{"unsupported publisher, beside its text"}) {
		t.Errorf("got gaps %q", a.told())
	}
}
