package pst_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/mapi"
	"github.com/stanch-dlp/stanch/internal/extract/pst"
)

// encode is what pst undoes: of the cyclic way, which is its own inverse, by the
// reader itself.
func encode(b []byte, crypt byte, id uint64) { pst.Encode(b, crypt, id) }

// sample is a store with a message that has a named property, a recipient, an
// attachment, a message within, and a body of several blocks; a folder; and an
// item that folders keep for programs.
func sample(isWide bool, crypt byte) []byte {
	s := newStore(isWide, crypt)
	node := func(id uint64, ps []prop, sub ...[3]uint64) [3]uint64 {
		data, within := s.properties(ps, sub)
		return [3]uint64{id, data, within}
	}
	s.nodes = append(s.nodes,
		node(0x61, []prop{{3, mapi.Binary, []byte{0, 0, 0, 0, 7, 0, 0, 0}}, {4, mapi.Binary, append(number(6), wide("mrn")...)}}),
		node(0x122, []prop{{mapi.DisplayName, mapi.String, wide("Ward 3")}}),
		node(0x208, []prop{{mapi.Subject, mapi.String8, []byte("kept for a program")}}))
	inner := node(0x24, []prop{{mapi.Subject, mapi.String, wide("within")}})
	file := node(0x8025, []prop{{mapi.AttachLongName, mapi.String, wide("a.txt")}, {mapi.AttachData, mapi.Binary, []byte("SSN 536-22-8145")}})
	message := node(0x8045, []prop{{mapi.AttachMethod, mapi.Int32, number(5)}, {mapi.AttachData, mapi.Object, append(number(0x24), 9, 0, 0, 0)}}, inner)
	s.nodes = append(s.nodes, node(0x200024, []prop{{mapi.Subject, mapi.String, wide("\x01\x05Re: Ana")}, {mapi.Body, mapi.String, wide(strings.Repeat("Patient 536-22-8145\n", 100))},
		{0x8000, mapi.String, wide("4482913")}, {0x5555, mapi.String | mapi.Many, append(append(number(2), 12, 0, 0, 0, 16, 0, 0, 0), append(wide("ab"), wide("cd")...)...)}},
		s.recipients([2]string{"Ben", "ben@b.example"}, [2]string{"Cy", "cy@c.example"}), file, message))
	return s.finish()
}

func free(int) error { return nil }

// shown reads a store as lines.
func shown(b []byte) (string, error) {
	f, err := pst.Open(b, free)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	var message func(m *mapi.Message, err error)
	message = func(m *mapi.Message, err error) {
		for _, p := range m.Props {
			fmt.Fprintf(&out, "%x %s %q\n", p.ID, p.Name, p.Text(m.Page))
		}
		for _, r := range m.Recipients {
			fmt.Fprintf(&out, "to %s %s %d\n", r.Text(mapi.DisplayName, m.Page), r.Text(mapi.SMTPAddress, m.Page), r.Int(mapi.RecipientType))
		}
		for i := range m.Attachments {
			a := &m.Attachments[i]
			switch {
			case a.Inner != nil:
				message(a.Inner())
			case a.Open != nil:
				v, err := a.Open()
				fmt.Fprintf(&out, "file %s %q %v\n", a.Name(m.Page), v, err)
			}
		}
		if err != nil {
			fmt.Fprintln(&out, err)
		}
	}
	err = f.Folders(func(ps mapi.Props) bool {
		fmt.Fprintln(&out, "folder", ps.Text(mapi.DisplayName, 1252))
		return true
	})
	err = errors.Join(err, f.Items(func(i pst.Item) bool {
		message(i.Read())
		return true
	}))
	return out.String(), err
}

// TestRead holds what comes out of a store of either width, encoded in each way.
func TestRead(t *testing.T) {
	body := strings.Repeat(`Patient 536-22-8145\n`, 100)
	want := `folder Ward 3
37  "Re: Ana"
1000  "` + body + `"
5555  "ab\ncd"
8000 mrn "4482913"
to Ben ben@b.example 1
to Cy cy@c.example 1
file a.txt "SSN 536-22-8145" <nil>
37  "within"
37  "kept for a program"
`
	for _, isWide := range []bool{false, true} {
		for crypt := range byte(3) {
			if got, err := shown(sample(isWide, crypt)); got != want || err != nil {
				t.Errorf("wide %v, encoded by %d: got %v, %s, want %s", isWide, crypt, err, got, want)
			}
		}
	}
}

// TestRefuses holds what is told of stores that are not read.
func TestRefuses(t *testing.T) {
	change := func(at int, v byte) []byte {
		b := sample(true, 1)
		b[at] = v
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"cut":                 {sample(true, 1)[:500], pst.ErrCorrupt},
		"no store":            {change(0, 'x'), pst.ErrCorrupt},
		"pages of 4 KiB":      {change(10, 36), pst.ErrVersion},
		"encrypted":           {change(513, 0x10), pst.ErrEncrypted},
		"encoded some way":    {change(513, 3), pst.ErrVersion},
		"a tree that is away": {change(225, 0xff), pst.ErrCorrupt},
		"no table of blocks":  {change(241, 0xff), pst.ErrCorrupt},
		"the end is cut away": {sample(true, 1)[:2048], pst.ErrCorrupt},
	} {
		if _, err := shown(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// TestEndsWhenSpent holds that whoever counts ends the reading, however small the
// file: a list that names one block over and over.
func TestEndsWhenSpent(t *testing.T) {
	s := newStore(true, 0)
	data := s.block(make([]byte, 1000), false)
	list := []byte{1, 1, 100, 0, 0, 0, 0, 0}
	for range 100 {
		list = s.word(list, data)
	}
	lists := []byte{1, 2, 100, 0, 0, 0, 0, 0}
	one := s.block(list, true)
	for range 100 {
		lists = s.word(lists, one)
	}
	s.nodes = append(s.nodes, [3]uint64{0x200024, s.block(lists, true), 0})
	over := errors.New("over")
	left := 1 << 20
	f, err := pst.Open(s.finish(), func(n int) error {
		if left -= n; left < 0 {
			return over
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Items(func(i pst.Item) bool {
		_, err = i.Read()
		return true
	})
	if !errors.Is(err, over) {
		t.Errorf("got %v, want the error of whoever counts", err)
	}
}

// TestOfOutlook reads a store that Outlook made, beside readpst: all words of its
// plain texts.
func TestOfOutlook(t *testing.T) {
	readpst, err := exec.LookPath("readpst")
	if err != nil {
		t.Skip("needs readpst (pst-utils)")
	}
	b, err := os.ReadFile("../../../../shared/corpus/tika/testPST.pst")
	if err != nil {
		t.Skip("needs ../shared/corpus")
	}
	dir := t.TempDir()
	store := filepath.Join(dir, "a.pst")
	if err := os.WriteFile(store, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), readpst, "-q", "-D", "-e", "-o", dir, store).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got, err := shown(b)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".eml" {
			return err
		}
		m, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(m) {
			if s, ok := bytes.CutPrefix(line, []byte("Subject: ")); ok && !bytes.Contains(s, []byte("=?")) {
				n++
				if want := strings.ReplaceAll(strings.TrimSpace(string(s)), `"`, `\"`); !strings.Contains(got, want) {
					t.Errorf("lacks the subject %q", want)
				}
			}
		}
		return nil
	})
	if err != nil || n < 5 {
		t.Errorf("readpst wrote %d subjects, %v", n, err)
	}
}

// FuzzRead holds that no store breaks the reader, and that it ends within what may
// be spent.
func FuzzRead(f *testing.F) {
	f.Add(sample(true, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		left, over := 8<<20, errors.New("over")
		p, err := pst.Open(b, func(n int) error {
			if left -= n; left < 0 {
				return over
			}
			return nil
		})
		if err != nil {
			return
		}
		_ = p.Folders(func(mapi.Props) bool { return left >= 0 })
		_ = p.Items(func(i pst.Item) bool {
			m, _ := i.Read()
			for i := range m.Attachments {
				if open := m.Attachments[i].Open; open != nil {
					_, _ = open()
				}
			}
			return left >= 0
		})
		if left < -64<<10 {
			t.Errorf("went on after the end: %d", left)
		}
	})
}
