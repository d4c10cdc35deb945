package msg_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/extract/cfb"
	"github.com/stanch-dlp/stanch/internal/extract/mapi"
	"github.com/stanch-dlp/stanch/internal/extract/msg"
)

// writer is a program for Perl's OLE::Storage_Lite, which knows nothing of ours:
// it writes a compound file of the lines "path hex" on its input.
const writer = `use OLE::Storage_Lite; use Encode;
my %d; my $root = {n=>"", k=>{}, o=>[]};
while (<STDIN>) { chomp; my ($p, $h) = split / /; my $at = $root; my @p = split m{/}, $p; my $leaf = pop @p;
 for (@p) { if (!$at->{k}{$_}) { $at->{k}{$_} = {n=>$_, k=>{}, o=>[]}; push @{$at->{o}}, $at->{k}{$_}; } $at = $at->{k}{$_}; }
 push @{$at->{o}}, {n=>$leaf, d=>pack("H*", $h // "")}; }
sub w { encode("UTF-16LE", $_[0]) }
sub make { my $s = shift; my @c = map { exists $_->{d} ? OLE::Storage_Lite::PPS::File->new(w($_->{n}), $_->{d})
 : OLE::Storage_Lite::PPS::Dir->new(w($_->{n}), undef, undef, [make($_)]) } @{$s->{o}}; return @c; }
my @t = (0, 0, 0, 1, 0, 100);
OLE::Storage_Lite::PPS::Root->new(\@t, \@t, [make($root)])->save($ARGV[0]);
`

// file has the program write a compound file.
func file(t *testing.T, streams []string) []byte {
	t.Helper()
	if err := exec.CommandContext(t.Context(), "perl", "-MOLE::Storage_Lite", "-e", "1").Run(); err != nil {
		t.Skip("no OLE::Storage_Lite here: apt install libole-storage-lite-perl")
	}
	out := filepath.Join(t.TempDir(), "a.msg")
	cmd := exec.CommandContext(t.Context(), "perl", "-e", writer, out)
	cmd.Stdin = strings.NewReader(strings.Join(streams, "\n") + "\n")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("perl: %v %s", err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wide(s string) string {
	var b []byte
	for _, r := range s {
		b = binary.LittleEndian.AppendUint16(b, uint16(r))
	}
	return hex.EncodeToString(b)
}

func plain(s string) string { return hex.EncodeToString([]byte(s)) }

// fixed writes a stream of properties of fixed size behind a header.
func fixed(header int, props ...uint64) string {
	b := make([]byte, header)
	for i := 0; i+1 < len(props); i += 2 {
		b = binary.LittleEndian.AppendUint32(b, uint32(props[i]))
		b = binary.LittleEndian.AppendUint32(b, 6)
		b = binary.LittleEndian.AppendUint64(b, props[i+1])
	}
	return hex.EncodeToString(b)
}

// message lists the streams of a message with all that is read of one.
func message() []string {
	const (
		r     = "__recip_version1.0_#00000000/"
		a     = "__attach_version1.0_#0000000"
		inner = a + "1/__substg1.0_3701000D/"
		ole   = a + "2/__substg1.0_3701000D/"
	)
	names := "00000000" + "0500" + "0000" + "08820000" + "0600" + "0100"
	return []string{
		"__nameid_version1.0/__substg1.0_00020102 00", "__nameid_version1.0/__substg1.0_00030102 " + names,
		"__nameid_version1.0/__substg1.0_00040102 06000000" + wide("MRN"),
		"__properties_version1.0 " + fixed(32, 0x3ffd0003, 1250, 0x00390040, 134401554000000000),
		"__substg1.0_001A001F " + wide("IPM.Note"), "__substg1.0_0037001E " + plain("\xc8l\xe1nek"), "__substg1.0_1000001F " + wide("body"),
		"__substg1.0_007D001F " + wide("Received: x\r\nSubject: in transport\r\n\r\n"), "__substg1.0_10130102 " + plain("<p>html"),
		"__substg1.0_8000001F " + wide("12345678"), "__substg1.0_8001001F " + wide("Room 5"), "__substg1.0_8002101F 0400000004000000",
		"__substg1.0_8002101F-00000000 " + wide("k1"), "__substg1.0_8002101F-00000001 " + wide("k2"), "__substg1.0_0C1A001F " + wide("Ada"),
		r + "__properties_version1.0 " + fixed(8, 0x0c150003, 2), r + "__substg1.0_3001001F " + wide("Bob"), r + "__substg1.0_39FE001F " + wide("bob@b.test"),
		a + "0/__properties_version1.0 " + fixed(8, 0x37050003, 1), a + "0/__substg1.0_3707001F " + wide("long name.txt"),
		a + "0/__substg1.0_37010102 " + plain(strings.Repeat("file ", 1000)),
		a + "1/__properties_version1.0 " + fixed(8, 0x37050003, 5), inner + "__properties_version1.0 " + fixed(24, 0x00390040, 134401554000000000),
		inner + "__substg1.0_0037001F " + wide("inner"), inner + a + "0/__properties_version1.0 " + fixed(8, 0x37050003, 2),
		a + "2/__properties_version1.0 " + fixed(8, 0x37050003, 6), ole + "CONTENTS " + plain("drawn"), a + "3/__properties_version1.0 00",
	}
}

// describe lists what a message holds.
func describe(m *mapi.Message) string {
	var b strings.Builder
	for i := range m.Props {
		p := &m.Props[i]
		fmt.Fprintf(&b, "%s=%s\n", p.Label(), p.Text(m.Page))
	}
	for _, ps := range m.Recipients {
		fmt.Fprintf(&b, "%d %s <%s>\n", ps.Int(mapi.RecipientType), ps.Text(mapi.DisplayName, m.Page), ps.Text(mapi.SMTPAddress, m.Page))
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
			fmt.Fprintf(&b, " %d %v", len(v), err)
		case a.Storage != nil:
			fmt.Fprintf(&b, " in %s", a.Storage.(*cfb.Entry).Name)
		}
		b.WriteString("]\n")
	}
	return b.String()
}

// TestRead reads a file that another program writes.
func TestRead(t *testing.T) {
	f, err := cfb.Open(file(t, message()))
	if err != nil || !msg.Is(f) {
		t.Fatalf("got %v", err)
	}
	m, err := msg.Read(f)
	if !errors.Is(err, msg.ErrCorrupt) { // the last attachment's properties are shorter than their header
		t.Errorf("got %v, want ErrCorrupt", err)
	}
	got := describe(m)
	for _, want := range []string{"Subject=Článek\n", "Date=Thu, 26 Nov 2026 08:30:00 +0000\n", "=body\n", "MRN=12345678\n", "Location=Room 5\n",
		"Property-8002=k1\nk2\n", "From=Ada\n", "\n2 Bob <bob@b.test>\n", "[long name.txt 5000 <nil>]\n", "{Date=Thu, 26 Nov 2026 08:30:00 +0000\nSubject=inner\n[]} <nil>]\n",
		"[ in __substg1.0_3701000D]\n", "[]\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

// TestMsgconvert has the program msgconvert turn messages into mail, and holds
// that its subject and every file's name are read.
func TestMsgconvert(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "msgconvert", "--help").CombinedOutput(); err != nil && !bytes.Contains(out, []byte("Usage")) {
		t.Skip("no msgconvert here: apt install libemail-outlook-message-perl libemail-address-perl")
	}
	shared := filepath.Join("..", "..", "..", "..", "shared", "corpus")
	names, err := filepath.Glob(filepath.Join(shared, "*", "*.msg"))
	if err != nil || len(names) == 0 {
		t.Skip("no corpus beside the checkout")
	}
	for _, n := range names {
		t.Run(filepath.Base(n), func(t *testing.T) {
			b, err := os.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			f, err := cfb.Open(b)
			if f == nil {
				t.Fatal(err)
			}
			m, err := msg.Read(f)
			if err != nil {
				t.Errorf("got %v", err)
			}
			cmd := exec.CommandContext(t.Context(), "msgconvert", "--outfile", "-", n)
			out, err := cmd.Output()
			if err != nil {
				t.Skipf("msgconvert does not read it: %v", err)
			}
			got, words := describe(m), 0
			for line := range strings.Lines(string(out)) {
				if !utf8.ValidString(line) { // it writes strings of other code pages as they stand
					continue
				}
				if s, ok := strings.CutPrefix(line, "Subject: "); ok && !strings.Contains(s, "=?") {
					words++
					if !strings.Contains(got, strings.TrimSpace(s)) {
						t.Errorf("msgconvert finds the subject %q", s)
					}
				}
				if _, name, ok := strings.Cut(line, "filename=\""); ok && !strings.Contains(name, "=?") {
					words++
					if name, _, _ = strings.Cut(name, "\""); !strings.Contains(got, name) {
						t.Errorf("msgconvert finds the file %q", name)
					}
				}
			}
			t.Logf("%d compared", words)
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		file, _ := cfb.Open(b)
		if file == nil {
			return
		}
		if m, _ := msg.Read(file); m != nil {
			describe(m)
		}
	})
}
