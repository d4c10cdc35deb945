package mac_test

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/mac"
)

const packer = `use Convert::BinHex; my $h = Convert::BinHex->new; $h->filename("report.txt"); $h->type("TEXT"); $h->creator("ttxt");
open my $f, "<", $ARGV[0] or die; local $/; my $d = <$f>; $h->data(Data => $d); $h->resource(Data => $ARGV[1]); $h->encode(\*STDOUT);`

// TestBinHex reads what Perl's Convert::BinHex packs.
func TestBinHex(t *testing.T) {
	if exec.CommandContext(t.Context(), "perl", "-MConvert::BinHex", "-e", "1").Run() != nil {
		t.Skip("no Convert::BinHex here: apt install libconvert-binhex-perl")
	}
	for _, c := range []struct{ name, data, resource string }{
		{"text", "SSN 536-22-8145\r", ""},
		{"both forks", strings.Repeat("a\x90b\x00\x00\x00\x00", 500), "fork"},
		{"long", strings.Repeat("0123456789", 20_000), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := filepath.Join(t.TempDir(), "in")
			if err := os.WriteFile(in, []byte(c.data), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), "perl", "-e", packer, in, c.resource).Output()
			if err != nil {
				t.Fatal(err)
			}
			if !mac.IsBinHex(out) {
				t.Fatalf("not seen to be BinHex: %.80q", out)
			}
			f, err := mac.BinHex(append([]byte("Some words before.\n"), out...), 1<<20)
			if err != nil || f.Name != "report.txt" || string(f.Data) != c.data || string(f.Resource) != c.resource {
				t.Errorf("got %q %v %d bytes %q, want all of it", f.Name, err, len(f.Data), f.Resource)
			}
			f, err = mac.BinHex(out[:len(out)*2/3], 1<<20)
			if !errors.Is(err, mac.ErrCorrupt) || !strings.HasPrefix(c.data, string(f.Data)) {
				t.Errorf("cut: got %v %d bytes, want what came before and ErrCorrupt", err, len(f.Data))
			}
		})
	}
}

// apple writes AppleSingle or AppleDouble of numbered entries.
func apple(magic string, entries ...string) []byte {
	b := append([]byte(magic+"\x00\x02\x00\x00"), make([]byte, 16)...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(entries)))
	at := len(b) + 12*len(entries)
	for _, e := range entries {
		b = binary.BigEndian.AppendUint32(b, uint32(e[0]))
		b = binary.BigEndian.AppendUint32(b, uint32(at))
		b = binary.BigEndian.AppendUint32(b, uint32(len(e)-1))
		at += len(e) - 1
	}
	for _, e := range entries {
		b = append(b, e[1:]...)
	}
	return b
}

func TestApple(t *testing.T) {
	single := apple("\x00\x05\x16\x00", "\x03na\x9fme", "\x01the file", "\x02fork", "\x04comment")
	f, err := mac.Apple(single)
	if err != nil || f.Bare || f.Name != "naüme" || string(f.Data) != "the file" || string(f.Resource) != "fork" || f.Comment != "comment" {
		t.Errorf("single: got %+v %v", f, err)
	}
	f, err = mac.Apple(apple("\x00\x05\x16\x07", "\x03name", "\x09"+strings.Repeat("\x00", 32)+"attributes"))
	if err != nil || !f.Bare || string(f.Resource) != "attributes" {
		t.Errorf("double: got %+v %v", f, err)
	}
	f, err = mac.Apple(single[:len(single)-18])
	if !errors.Is(err, mac.ErrCorrupt) || !strings.HasPrefix("the file", string(f.Data)) || len(f.Data) == 0 {
		t.Errorf("cut: got %q %v", f.Data, err)
	}
}

func TestMacBinary(t *testing.T) {
	b := make([]byte, 128)
	b[1] = 4
	copy(b[2:], "name")
	binary.BigEndian.PutUint32(b[83:], 5)
	binary.BigEndian.PutUint32(b[87:], 4)
	b[122], b[123] = 129, 129
	sum := uint16(0)
	for _, c := range b[:124] {
		sum ^= uint16(c) << 8
		for range 8 {
			if sum&0x8000 != 0 {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
	}
	binary.BigEndian.PutUint16(b[124:], sum)
	b = append(append(b, "bytes"...), make([]byte, 123)...)
	b = append(b, "fork"...)
	f, err := mac.Binary(b)
	if err != nil || f.Name != "name" || string(f.Data) != "bytes" || string(f.Resource) != "fork" {
		t.Errorf("got %+v %v", f, err)
	}
	if _, err = mac.Binary(b[:140]); !errors.Is(err, mac.ErrCorrupt) {
		t.Errorf("cut: got %v, want ErrCorrupt", err)
	}
	if b[50] = 1; mac.IsBinary(b) {
		t.Error("a header whose checksum does not fit is taken for one")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(apple("\x00\x05\x16\x00", "\x01the file", "\x02fork"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, read := range []func([]byte) (mac.File, error){mac.Apple, mac.Binary, func(b []byte) (mac.File, error) { return mac.BinHex(b, 1<<16) }} {
			if f, _ := read(b); len(f.Data)+len(f.Resource) > max(1<<16+256, 2*len(b)) {
				t.Errorf("%d bytes came out of %d", len(f.Data)+len(f.Resource), len(b))
			}
		}
	})
}
