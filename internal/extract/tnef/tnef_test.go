package tnef_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/mapi"
	"github.com/stanch-dlp/stanch/internal/extract/tnef"
)

func u16(n int) string { return string(binary.LittleEndian.AppendUint16(nil, uint16(n))) }
func u32(n int) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

func wide(s string) string {
	var b strings.Builder
	for _, r := range s + "\x00" {
		b.WriteString(u16(int(r)))
	}
	return b.String()
}

// attribute writes one attribute with its checksum.
func attribute(level, id int, data string) string {
	sum := 0
	for i := range len(data) {
		sum += int(data[i])
	}
	return string(rune(level)) + u32(id) + u32(len(data)) + data + u16(sum)
}

// prop writes a property of one value of no fixed size.
func prop(id, kind int, data string) string {
	return u16(kind) + u16(id) + u32(1) + padded(data)
}

func padded(data string) string { return u32(len(data)) + data + strings.Repeat("\x00", -len(data)&3) }

func props(ps ...string) string { return u32(len(ps)) + strings.Join(ps, "") }

const start = "\x78\x9f\x3e\x22\x01\x00"

// whole is a message with all that is read of one.
func whole() string {
	inner := start + attribute(1, 0x018004, "inner subject\x00")
	return start + attribute(1, 0x069007, u32(1250)+u32(0)) +
		attribute(1, 0x018004, "\xc8l\xe1nek\x00") +
		attribute(1, 0x078008, "IPM.Note\x00") +
		attribute(1, 0x038005, u16(2026)+u16(11)+u16(26)+u16(8)+u16(30)+u16(0)+u16(4)) +
		attribute(1, 0x008000, u16(4)+u16(0)+u16(4)+u16(14)+"Ada\x00SMTP:a@b.test\x00") +
		attribute(1, 0x069003, props(
			prop(0x1000, 0x1f, wide("body")),
			u16(0x3)+u16(0x3fde)+u32(1252),
			prop(0x8001, 0x1f, "")[:4]+strings.Repeat("g", 16)+u32(1)+padded(wide("MRN"))+u32(1)+padded(wide("12345678")),
			prop(0x8002, 0x1f, "")[:4]+strings.Repeat("g", 16)+u32(0)+u32(0x8208)+u32(1)+padded(wide("Room 5")),
			u16(0x1003)+u16(0x6001)+u32(2)+u32(7)+u32(8))) +
		attribute(1, 0x069004, u32(1)+props(prop(0x3001, 0x1e, "Bob\x00"), prop(0x3003, 0x1e, "bob@b.test\x00"), u16(3)+u16(0x0c15)+u32(2))) +
		attribute(2, 0x069002, strings.Repeat("\x00", 14)) +
		attribute(2, 0x018010, "SHORT~1.TXT\x00") +
		attribute(2, 0x06800f, "the file's bytes") +
		attribute(2, 0x069005, props(prop(0x3707, 0x1f, wide("a long name.txt")))) +
		attribute(2, 0x069002, strings.Repeat("\x00", 14)) +
		attribute(2, 0x018010, "inner\x00") +
		attribute(2, 0x069005, props(prop(0x3701, 0x0d, "IIIIIIIIIIIIIIII"+inner), u16(3)+u16(0x3705)+u32(5)))
}

// describe lists what a message holds.
func describe(m *mapi.Message) string {
	var b strings.Builder
	for _, p := range m.Props {
		fmt.Fprintf(&b, "%s=%s\n", p.Label(), p.Text(m.Page))
	}
	for _, ps := range m.Recipients {
		fmt.Fprintf(&b, "%d %s <%s>\n", ps.Int(mapi.RecipientType), ps.Text(mapi.DisplayName, m.Page), ps.Text(mapi.EmailAddress, m.Page))
	}
	for i := range m.Attachments {
		a := &m.Attachments[i]
		fmt.Fprintf(&b, "[%s", a.Name(m.Page))
		switch {
		case a.Inner != nil:
			in, err := a.Inner()
			if in != nil {
				fmt.Fprintf(&b, " {%s} %v", strings.TrimSpace(describe(in)), err)
			}
		case a.Open != nil:
			v, err := a.Open()
			fmt.Fprintf(&b, " %s %v", v, err)
		}
		b.WriteString("]\n")
	}
	return b.String()
}

const described = `Subject=Článek
=IPM.Note
Date=Thu, 26 Nov 2026 08:30:00 +0000
From=Ada
From=SMTP:a@b.test
=body
Property-3FDE=1252
MRN=12345678
Location=Room 5
Property-6001=7
8
2 Bob <bob@b.test>
[a long name.txt the file's bytes <nil>]
[inner {Subject=inner subject} <nil>]
`

func TestRead(t *testing.T) {
	m, err := tnef.Read([]byte(whole()))
	if err != nil {
		t.Fatal(err)
	}
	if got := describe(m); got != described {
		t.Errorf("got %q\nwant %q", got, described)
	}
}

func TestDamaged(t *testing.T) {
	subject := attribute(1, 0x018004, "subject\x00")
	for _, c := range []struct {
		name string
		in   string
		want string
		err  error
	}{
		{"a checksum", start + subject[:len(subject)-1] + "\x55" + attribute(1, 0x02800c, "body"), "Subject=subject\n=body\n", tnef.ErrChecksum},
		{"cut in an attribute", start + subject + attribute(1, 0x02800c, "body of it")[:14], "Subject=subject\n=body \n", tnef.ErrCorrupt},
		{"cut in a header", start + subject + "\x01\x02", "Subject=subject\n", tnef.ErrCorrupt},
		{"no level", start + subject + "\x07" + subject[1:], "Subject=subject\n", tnef.ErrCorrupt},
		{"cut in a property", start + subject + attribute(1, 0x069003, props(prop(0x1000, 0x1f, wide("body")))[:20]), "Subject=subject\n=bo\n", tnef.ErrCorrupt},
		{"more properties than said", start + attribute(1, 0x069003, u32(1<<30)+prop(0x1000, 0x1f, wide("b"))), "=b\n", tnef.ErrCorrupt},
		{"data before its attachment", start + attribute(2, 0x06800f, "x") + attribute(2, 0x018010, "n\x00"), "[n x <nil>]\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := tnef.Read([]byte(c.in))
			if !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if got := strings.ReplaceAll(describe(m), "Property-0000=\n", ""); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestProgram has the program tnef list the files that messages hold, and holds
// that each is found, with its bytes.
func TestProgram(t *testing.T) {
	if _, err := exec.LookPath("tnef"); err != nil {
		t.Skip("no tnef here: apt install tnef")
	}
	files := map[string][]byte{"our own": []byte(whole())}
	shared := filepath.Join("..", "..", "..", "..", "shared", "corpus")
	for _, pattern := range []string{"mimekit/*.tnef", "tika/*.dat"} {
		names, err := filepath.Glob(filepath.Join(shared, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			b, err := os.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Base(n)] = b
		}
	}
	for name, b := range files {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in := filepath.Join(t.TempDir(), "in")
			if err := os.WriteFile(in, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "tnef", "-C", dir, "--unix-paths", in).CombinedOutput(); err != nil {
				t.Skipf("tnef does not read it: %v %s", err, out)
			}
			m, err := tnef.Read(b)
			if err != nil {
				t.Errorf("got %v", err)
			}
			var all [][]byte
			for i := range m.Attachments {
				if m.Attachments[i].Open != nil {
					v, err := m.Attachments[i].Open()
					if err != nil {
						t.Error(err)
					}
					all = append(all, v)
				}
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, e := range entries {
				want, err := os.ReadFile(filepath.Join(dir, e.Name()))
				if err != nil {
					t.Fatal(err)
				}
				ok := len(want) > 16 && tnef.Is(want[16:]) && bytes.Contains(b, want) // a message within, behind its interface
				for _, v := range all {
					ok = ok || bytes.Equal(v, want)
				}
				if !ok {
					t.Errorf("tnef finds a file of %d bytes that is not read", len(want))
				}
				found++
			}
			t.Logf("%d files", found)
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(whole()))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, _ := tnef.Read(b)
		if m == nil {
			return
		}
		if n := len(describe(m)); n > 32*len(b)+1<<12 {
			t.Errorf("%d bytes came out of %d", n, len(b))
		}
	})
}

// Of an attachment with two contents both are told.
func TestTwoContents(t *testing.T) {
	b := whole()[:6] + attribute(2, 0x9002, strings.Repeat("\x00", 14)) + attribute(2, 0x800f, "first") + attribute(2, 0x800f, "second")
	m, err := tnef.Read([]byte(b))
	if err != nil || len(m.Attachments) != 2 {
		t.Fatalf("got %d attachments, %v, want 2", len(m.Attachments), err)
	}
	for i, want := range []string{"first", "second"} {
		if got, err := m.Attachments[i].Open(); err != nil || string(got) != want {
			t.Errorf("attachment %d: got %q, %v, want %q", i, got, err, want)
		}
	}
}
