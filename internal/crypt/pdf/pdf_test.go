package pdf_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/crypt/pdf"
	"github.com/stanch-dlp/stanch/internal/message"
)

const passphrase = "seven yellow boats drift"

// run runs a program of Debian and returns what it prints, and how it ended.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Skipf("%s is not installed: .ci/deps installs it", args[0])
	}
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	return string(out), err
}

func must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(t, args...)
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	return out
}

// revision6 has qpdf check the file, and say that it is encrypted with AES-256 by
// revision 6, every stream and string of it.
func revision6(t *testing.T, file, pass string) {
	t.Helper()
	if out := must(t, "qpdf", "--password="+pass, "--check", file); !strings.Contains(out, "No syntax or stream encoding errors found") {
		t.Errorf("qpdf --check: %s", out)
	}
	out := must(t, "qpdf", "--password="+pass, "--show-encryption", file)
	for _, want := range []string{"R = 6\n", "stream encryption method: AESv3\n", "string encryption method: AESv3\n", "file encryption method: AESv3\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q: %s", want, out)
		}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(raw, []byte("%PDF-2.0\n")) {
		t.Errorf("begins with %.10q", raw)
	}
}

// encrypted is the PDF that msg becomes, in a file, and the mail it comes in.
func encrypted(t *testing.T, msg string) (file, outer string) {
	t.Helper()
	msg = strings.ReplaceAll(msg, "\n", "\r\n")
	m, err := message.Protect(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(msg)), nil }, message.Protection{NoLegacyDisplay: true})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := pdf.Encrypt(&out, m, passphrase); err != nil {
		t.Fatal(err)
	}
	got, err := mail.ReadMessage(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(got.Body, params["boundary"])
	var last []byte
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if last, err = io.ReadAll(p); err != nil {
			t.Fatal(err)
		}
	}
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(last), "\r\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "message.pdf")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(out.String(), "\r\n") {
		if len(line) > 998 || strings.Contains(line, "\n") {
			t.Errorf("line %d is too long, or ends with a bare LF", i)
		}
	}
	return file, out.String()
}

const head = "From: Dr Ana <ana@clinic.example>\nTo: pat@home.example\nDate: Thu, 26 Nov 2026 10:00:00 +0000\nMessage-ID: <1@clinic.example>\nSubject: =?utf-8?q?Befund_f=C3=BCr_Quillfeather?=\nMIME-Version: 1.0\n"

const mixed = head + `Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Łukasz Müller, Ελένη, Мария: Tetrahymena. ` + "A long line that goes on and on. " + "A long line that goes on and on. " + "A long line that goes on and on. " + "A long line that goes on and on." + `
--a
Content-Type: text/html

<p>Tetrahymena</p>
--a--
--b
Content-Type: application/octet-stream; name="=?utf-8?q?r=C3=B6ntgen=2Ebin?="
Content-Transfer-Encoding: base64

AAECAwQFBgcICQ==
--b
Content-Type: application/octet-stream; name="../../etc/passwd"

x
--b--
`

// TestOpened: qpdf and poppler open it with the passphrase and not without; it is
// of revision 6; what they show and save is what the message had.
func TestOpened(t *testing.T) {
	file, outer := encrypted(t, mixed)
	for _, secret := range []string{"Quillfeather", "Tetrahymena", "ntgen", "passwd", passphrase} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(outer, secret) || bytes.Contains(raw, []byte(secret)) {
			t.Errorf("%q stands in the clear", secret)
		}
	}
	revision6(t, file, passphrase)
	text := must(t, "pdftotext", "-upw", passphrase, file, "-")
	for _, want := range []string{"Befund für Quillfeather", "Łukasz Müller, Ελένη, Мария", "Dr Ana <ana@clinic.example>"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q on the page: %s", want, text)
		}
	}
	dir := t.TempDir()
	must(t, "pdfdetach", "-upw", passphrase, "-saveall", "-o", dir, file)
	for name, want := range map[string]string{"röntgen.bin": "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09", "passwd": "x", "part.html": "<p>Tetrahymena</p>"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "message.txt")); err != nil || !strings.Contains(string(got), "Łukasz") {
		t.Errorf("message.txt: %q, %v", got, err)
	}
	for _, wrong := range []string{"", passphrase + "x"} {
		if out, err := run(t, "qpdf", "--password="+wrong, "--decrypt", file, filepath.Join(dir, "out.pdf")); err == nil {
			t.Errorf("qpdf opens it with %q: %s", wrong, out)
		}
		if out, err := run(t, "pdftotext", "-upw", wrong, file, "-"); err == nil || strings.Contains(out, "Quill") {
			t.Errorf("pdftotext opens it with %q: %s", wrong, out)
		}
	}
}

// TestNothingIsMangledOrLost: what the font does not have is in message.txt and
// the page says so; what cannot be taken apart is in message.eml.
func TestNothingIsMangledOrLost(t *testing.T) {
	for _, c := range []struct{ name, msg, page, file, want string }{
		{"Chinese", head + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n王小明 seen today\n", "cannot be shown", "message.txt", "王小明 seen today"},
		{"Vietnamese, composed anew", head + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nAme\u0301lie\n", "Amélie", "message.txt", "Ame\u0301lie"},
		{"Hebrew", head + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nשלום\n", "cannot be shown", "message.txt", "שלום"},
		{"Latin-2", head + "Content-Type: text/plain; charset=iso-8859-2\nContent-Transfer-Encoding: quoted-printable\n\n=A3ukasz\n", "Łukasz", "message.txt", "Łukasz"},
		{"no known charset", head + "Content-Type: text/plain; charset=x-odd\n\nplain words\n", "in an attached file", "part.txt", "plain words"},
		{"signed", head + "Content-Type: multipart/signed; boundary=s; protocol=\"application/pgp-signature\"\n\n--s\n\nsigned words\n--s\nContent-Type: application/pgp-signature\n\nx\n--s--\n", "signed words", "message.eml", "--s\r\n\r\nsigned words"},
		{"HTML alone", head + "Content-Type: text/html\n\n<b>words</b>\n", "in an attached file", "part.html", "<b>words</b>"},
		{"base64 that is none", head + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nwords\n--b\nContent-Type: application/pdf; name=x.pdf\nContent-Transfer-Encoding: base64\n\nAA!!==AA\n--b--\n", "words", "message.eml", "AA!!==AA"},
		{"many pages", head + "\n" + strings.Repeat("line\n", 200) + "the end\n", "the end", "message.txt", "the end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, _ := encrypted(t, c.msg)
			revision6(t, file, passphrase)
			if page := must(t, "pdftotext", "-upw", passphrase, file, "-"); !strings.Contains(page, c.page) {
				t.Errorf("no %q on the page: %s", c.page, page)
			}
			dir := t.TempDir()
			must(t, "pdfdetach", "-upw", passphrase, "-saveall", "-o", dir, file)
			if got, err := os.ReadFile(filepath.Join(dir, c.file)); err != nil || !strings.Contains(string(got), c.want) {
				t.Errorf("%s: got %q, %v, want %q in it", c.file, got, err, c.want)
			}
		})
	}
}

func TestPassphrases(t *testing.T) {
	for s, want := range map[string]bool{"": false, "fifteen letters": false, "sixteen letters!": true, strings.Repeat("x", 127): true, strings.Repeat("x", 128): false, "sixteen lettersé": false} {
		if got := pdf.FitPassphrase(s); got != want {
			t.Errorf("%q: got %t, want %t", s, got, want)
		}
	}
	// Lengths and passphrases for which the hash takes another number of rounds.
	for i := range 20 {
		pass := strings.Repeat("ab", 8+i) + fmt.Sprint(i)
		m, err := message.Protect(func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\nx\r\n")), nil
		}, message.Protection{})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := pdf.Encrypt(&out, m, pass); err != nil {
			t.Fatal(err)
		}
		body := out.String()[strings.Index(out.String(), "base64\r\n\r\n")+10:]
		b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body[:strings.Index(body, "--")], "\r\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "x.pdf")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		revision6(t, file, pass)
	}
}

// saved is message.txt as pdfdetach takes it out of file; "" where it does not.
func saved(t *testing.T, file string) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := run(t, "pdfdetach", "-upw", passphrase, "-saveall", "-o", dir, file); err != nil {
		return ""
	}
	b, _ := os.ReadFile(filepath.Join(dir, "message.txt")) // it may not have got so far
	return string(b)
}

// TestAltered: revision 6 proves nothing of what it encrypts. Of a file in which a bit
// of the message was altered qpdf and poppler say nothing and give the rest out, but
// never what stood in that block; where the sealed key was altered they give nothing.
func TestAltered(t *testing.T) {
	text := strings.Repeat("the patient Tetrahymena is well\n", 40)
	file, _ := encrypted(t, head+"\n"+text)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	good := saved(t, file)
	bad := filepath.Join(t.TempDir(), "bad.pdf")
	alter := func(at int, with byte) {
		t.Helper()
		b := bytes.Clone(raw)
		b[at] ^= with
		if err := os.WriteFile(bad, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found := false
	for rest, at := raw, 0; ; { // the middle of each stream: one is message.txt
		i := bytes.Index(rest, []byte("\nstream\n"))
		if i < 0 {
			break
		}
		i += len("\nstream\n")
		n := bytes.Index(rest[i:], []byte("\nendstream\n"))
		alter(at+i+n/2, 1)
		rest, at = rest[i+n:], at+i+n
		got := saved(t, bad)
		if len(got) != len(good) || got == good {
			continue // another stream
		}
		found = true
		first, last := 0, len(good)-1
		for got[first] == good[first] {
			first++
		}
		for got[last] == good[last] {
			last--
		}
		block, as := first/16*16, 0
		for k := range 16 {
			if got[block+k] == good[block+k] {
				as++
			}
		}
		if as > 8 || last >= block+32 { // a block is lost, and a bit of the one behind it
			t.Errorf("bytes %d to %d differ, and %d of the altered block are as they were", first, last, as)
		}
		if out, err := run(t, "qpdf", "--password="+passphrase, "--check", bad); err != nil {
			t.Errorf("qpdf sees that the message was altered: say so in docs/encryption.md: %s", out)
		}
		if out, err := run(t, "pdftotext", "-upw", passphrase, bad, "-"); err != nil {
			t.Errorf("poppler sees that the message was altered: say so in docs/encryption.md: %s", out)
		}
	}
	if !found {
		t.Error("no stream is message.txt")
	}
	for _, names := range [][]string{{"/UE<", "/OE<"}, {"/U<", "/O<"}} { // the file's key sealed, and what proves the passphrase
		b := bytes.Clone(raw)
		for _, name := range names {
			// with its digits: three bytes alone may stand in what is encrypted
			digits := regexp.MustCompile(regexp.QuoteMeta(name)+"[0-9a-fA-F]{64}").FindAllIndex(b, -1)
			if len(digits) != 1 {
				t.Fatalf("%d times %s in it", len(digits), name)
			}
			if at := digits[0][0] + len(name); b[at] == '0' {
				b[at] = '1'
			} else {
				b[at] = '0'
			}
		}
		if err := os.WriteFile(bad, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"pdftotext", "-upw", passphrase, bad, "-"}, {"qpdf", "--password=" + passphrase, "--qdf", bad, "-"}} {
			if out, _ := run(t, args...); strings.Contains(out, "Tetra") {
				t.Errorf("with %v altered %s gives %.300s", names, args[0], out)
			}
		}
		if got := saved(t, bad); strings.Contains(got, "Tetra") {
			t.Errorf("with %v altered pdfdetach gives %.300s", names, got)
		}
	}
}
