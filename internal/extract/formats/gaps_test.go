package formats_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNotRead: what a recipient's program shows and no reader here reads is a gap with
// its cause, whoever wrote it.
func TestNotRead(t *testing.T) {
	dir := t.TempDir()
	picture := func(ext string, args ...string) string {
		name := filepath.Join(dir, "a."+ext)
		args = append(append([]string{"-size", "64x64", "gradient:"}, args...), name)
		if exec.CommandContext(t.Context(), "convert", args...).Run() != nil {
			return ""
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	outlook := "!BDN" + strings.Repeat("\x00", 4) + "SM" + "\x24\x00" + "\x13\x00" + strings.Repeat("\x00", 600) // .ost of 2013: version 36
	for name, c := range map[string]struct{ doc, want string }{
		"HEIC":            {picture("heic"), "image image/hei"},
		"AVIF":            {picture("avif"), "image image/avif"},
		"JPEG 2000":       {picture("jp2"), "image image/jp2"},
		"JPEG 2000, bare": {picture("j2k"), "image image/j2c"},
		"BigTIFF":         {picture("tif", "-define", "tiff:format=tiff64"), "image image/tiff"},
		".ost of 2013":    {outlook, "unsupported pst of that version"},
		".vsd":            {compound(t), "unsupported visio"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.doc == "" {
				t.Skip("no program here writes one")
			}
			if got := strings.Join(serve(t, false, limits, []byte(c.doc)).told(), "; "); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestZip64Volumes: volumes of a zip whose places are kept in 64 bits are not read
// together, and each is told.
func TestZip64Volumes(t *testing.T) {
	dir := folder(t)
	out := t.TempDir()
	run(t, dir, nil, "zip", "-qr0", "-fz", "-s", "64k", filepath.Join(out, "Case.zip"), ".")
	names, err := filepath.Glob(filepath.Join(out, "*"))
	if err != nil || len(names) < 2 {
		t.Fatalf("%v %q", err, names)
	}
	var all []member
	for _, name := range names {
		all = append(all, member{filepath.Base(name), string(file(t, name))})
	}
	a := serve(t, true, limits, []byte(attached("", all...)))
	t.Log(a.told())
	if len(a.gaps) == 0 {
		t.Error("no gap")
	}
}

// compound is a compound file that holds a drawing of Visio 2003, by libgsf.
func compound(t *testing.T) string {
	gsf, err := exec.LookPath("gsf")
	if err != nil {
		return ""
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "VisioDocument"), []byte("Visio (TM) Drawing\r\n\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), gsf, "createole", "out.vsd", "VisioDocument")
	cmd.Dir = dir
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, msg)
	}
	b, err := os.ReadFile(filepath.Join(dir, "out.vsd"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
