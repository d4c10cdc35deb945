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

// TestMacros holds that the source of macros is read, and the words of what was
// compiled of it; that a form is told, and what is damaged. The compound file is
// libgsf's.
func TestMacros(t *testing.T) {
	gsf, err := exec.LookPath("gsf")
	if err != nil {
		t.Skip("needs gsf (libgsf-bin)")
	}
	le := binary.LittleEndian
	literal := func(s string) string { // packed without copies: [MS-OVBA] 2.4.1.1.7
		var chunk []byte
		for c := range slices.Chunk([]byte(s), 8) {
			chunk = append(append(chunk, 0), c...)
		}
		return "\x01" + string(le.AppendUint16(nil, uint16(0xb000|len(chunk)-1))) + string(chunk)
	}
	record := func(id uint16, v string) string {
		return string(append(le.AppendUint32(le.AppendUint16(nil, id), uint32(len(v))), v...))
	}
	source := "Sub A()\r\n' SSN 536-22-8145\r\nEnd Sub\r\n"
	dir := literal(record(0x0003, "\xe4\x04") + record(0x0005, "about Ana") + record(0x0019, "Module1") + record(0x001a, "Module1") + record(0x0031, "\x0f\x00\x00\x00") + record(0x0010, ""))
	module := "\x01\x00compiled text" + literal(source)
	streams := map[string]string{"VBA/dir": dir, "VBA/Module1": module, "VBA/_VBA_PROJECT": "\xcc\x61\xff\xff", "VBA/__SRP_0": "\x93\x4b\x2a", "PROJECT": "Description=\"of project\"\r\n", "PROJECTwm": "Module1\x00"}
	all := []string{"about Ana", "compiled text", "SSN 536-22-8145", "of project"}
	for _, c := range []struct {
		name, stream, content string
		want, gaps            []string
	}{
		{"a project", "PROJECTlk", "\x00", all, nil},
		{"a form", "UserForm1/f", "\x00\x04\xff\xff\xff", all, []string{"1 unsupported binary"}},
		{"a stream that is no module", "VBA/other", "\x00\x04\xff\xff\xff", all, []string{"1 unsupported binary"}},
		{"a damaged module", "VBA/Module1", module[:len(module)-4], all, []string{"corrupt vba"}},
		{"a damaged list", "VBA/dir", dir[:len(dir)-4], all, []string{"corrupt vba"}},
		{"words that a program keeps", "VBA/__SRP_0", "\x93\x4b\x2a\x00kept for itself\x00", append([]string{"kept for itself"}, all...), nil},
		{"words beside the list", "VBA/_VBA_PROJECT", "\xcc\x61\xff\xff\x00w\x00o\x00r\x00d\x00s\x00 \x00i\x00n\x00 \x00w\x00i\x00d\x00e\x00\x00", append([]string{"words in wide"}, all...), nil},
		{"words of names", "PROJECTwm", "Module1\x00not a name at all\x00", append([]string{"not a name at all"}, all...), nil},
		{"more words than are told", "VBA/__SRP_1", strings.Repeat("many words\x00", 100_000), all, []string{"too_large more than may be held"}},
		{"no list", "VBA/dir", "", all[1:2], []string{"corrupt vba", "1 unsupported binary"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			write := func(name, content string) {
				p := filepath.Join(root, "in", filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for name, content := range streams {
				write(name, content)
			}
			write(c.stream, c.content)
			args := []string{"createole", filepath.Join(root, "out.bin")}
			top, err := filepath.Glob(filepath.Join(root, "in", "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range top {
				args = append(args, filepath.Base(p))
			}
			cmd := exec.CommandContext(t.Context(), gsf, args...)
			cmd.Dir = filepath.Join(root, "in")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			b, err := os.ReadFile(filepath.Join(root, "out.bin"))
			if err != nil {
				t.Fatal(err)
			}
			a := serve(t, false, limits, b)
			text := a.texts[""] + a.texts["1"]
			for _, w := range c.want {
				if !strings.Contains(text, w) {
					t.Errorf("%q is not read: %q", w, text)
				}
			}
			if got := a.told(); !slices.Equal(got, c.gaps) {
				t.Errorf("gaps %q, want %q", got, c.gaps)
			}
		})
	}
}
