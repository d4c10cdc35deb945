package index

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// FuzzOpen: bytes that somebody else wrote are refused or searched, with any
// footer that its seal is made to hold for: no panic, no memory beyond the
// file's size.
func FuzzOpen(f *testing.F) {
	key := &Key{secret: [32]byte{1, 2, 3}}
	dir := f.TempDir()
	csv := "mrn,ssn,name,dob,phone\nE1000001,536-22-8145,Ottoline Quillfeather,03/04/1961,2125550142\nE1000002,536-22-8146,Barnabas Roe,03/05/1961,2125550143\n"
	if _, err := Build(f.Context(), Options{Dir: dir, Key: key, Now: time.Unix(0, 0)}, strings.NewReader(csv)); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, MainFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		version, err := readHead(b)
		if err != nil {
			version = Version
		}
		if n := len(b) - tailSize(version); n > headSize { // an attacker without the key does not get past the seal
			copy(b[n:], binary.BigEndian.AppendUint32(nil, version))
			id := key.derive(tagKeyID)
			copy(b[n+24:], id[:16])
			at := n + footerSize(version)
			seal := key.derive(tagFooter, b[n:at])
			copy(b[at:], seal[:])
			copy(b[len(b)-len(magic):], magic)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, MainFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		ix, err := Open(dir, key)
		if err != nil {
			return
		}
		defer ix.Close()
		for _, v := range []string{"E1000001", "536-22-8145", "2125550142"} {
			for _, field := range []string{"mrn", "ssn", "phone"} {
				rows, err := ix.Find(nil, field, []byte(v))
				if err != nil {
					continue
				}
				if len(rows) > maxShared+1 {
					t.Errorf("got %d rows, want a bound", len(rows))
				}
				for _, r := range rows {
					_, _ = ix.Has(r, "dob", []byte("03/04/1961"))
				}
			}
		}
		_, _ = ix.FindPerson(nil, []byte("Ottoline"), []byte("Quillfeather"), []byte("03/04/1961"))
		_ = ix.Verify()
	})
}

// FuzzExtract: an extract of any bytes ends, what is said of it quotes none of
// it, and each row that it gives makes tokens or a problem.
func FuzzExtract(f *testing.F) {
	for _, s := range []string{
		"mrn,ssn,name,dob,phone\nE1000001,536-22-8145,Ottoline Quillfeather,03/04/1961,2125550142\n",
		"\xef\xbb\xbfPAT_MRN_ID;Last;First;DOB\n1;\"M\xfcller\nx\";J;19610304\n",
		"mrn\tphone\tphone\n\"E1\"\"000\t\t\n", "mrn\n\"\"\"", "name|dob\n, |1\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := newReader(bytes.NewReader(b), nil)
		if err != nil {
			return
		}
		h := newHasher(&Key{secret: [32]byte{1}})
		lines := 0
		for {
			row, err := r.next(func(line int, what string) {
				lines++
				if line < 1 || what == "" {
					t.Errorf("got a problem %q in line %d", what, line)
				}
			})
			if err != nil {
				return
			}
			if lines++; lines > len(b)+1 {
				t.Fatal("more rows than bytes")
			}
			h.single(MRN, trim(row.mrn))
			h.single(SSN, trim(row.ssn))
			if _, ok := h.pair(row.given, row.family); ok {
				h.bornOn(row.born)
			}
			for _, p := range row.phones {
				h.single(Phone, trim(p))
			}
		}
	})
}
