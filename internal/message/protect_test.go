package message_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/message"
)

func opener(s string) message.Open {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

// protect returns the outer header and the payload of the message in.
func protect(t testing.TB, in string, how message.Protection) (outer, payload string) {
	t.Helper()
	p, err := message.Protect(opener(in), how)
	if err != nil {
		t.Fatal(err)
	}
	var b, o strings.Builder
	n, err := p.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("WriteTo = %d, %v, wrote %d", n, err, b.Len())
	}
	for _, f := range p.Outer {
		o.Write(f.Raw)
	}
	return o.String(), b.String()
}

const plainMail = "Received: from a.clinic.example\r\n\tby gw.example; Mon, 2 Nov 2026 10:00:00 +0000\r\n" +
	"DKIM-Signature: v=1; d=clinic.example\r\n" +
	"From: Alice <alice@clinic.example>\r\nTo: bob@partner.example,\r\n carol@partner.example\r\nBcc: dave@partner.example\r\n" +
	"Subject: =?utf-8?q?Befund_f=C3=BCr?=\r\n Erna\r\nThread-Topic: Befund\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n" +
	"Message-ID: <1@clinic.example>\r\nX-Patient: Erna\r\nHP-Outer: Subject: forged\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8;\r\n format=flowed\r\n\r\n" +
	"Dear Bob,\r\n.\r\nEnd.\r\n"

func TestProtect(t *testing.T) {
	outer, payload := protect(t, plainMail, message.Protection{})
	wantOuter := "Received: from a.clinic.example\r\n\tby gw.example; Mon, 2 Nov 2026 10:00:00 +0000\r\n" +
		"From: Alice <alice@clinic.example>\r\nTo: bob@partner.example,\r\n carol@partner.example\r\n" +
		"Subject: [...]\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@clinic.example>\r\n"
	if outer != wantOuter {
		t.Errorf("outer header\n%s\nwant\n%s", outer, wantOuter)
	}
	wantPayload := "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8;\r\n format=flowed;\r\n hp-legacy-display=\"1\";\r\n hp=\"cipher\"\r\n" +
		"Content-Transfer-Encoding: quoted-printable\r\n" +
		"From: Alice <alice@clinic.example>\r\nTo: bob@partner.example,\r\n carol@partner.example\r\n" +
		"Subject: =?utf-8?q?Befund_f=C3=BCr?=\r\n Erna\r\nThread-Topic: Befund\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n" +
		"Message-ID: <1@clinic.example>\r\nX-Patient: Erna\r\n" +
		"HP-Outer: From: Alice <alice@clinic.example>\r\nHP-Outer: To: bob@partner.example,\r\n carol@partner.example\r\n" +
		"HP-Outer: Subject: [...]\r\nHP-Outer: Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nHP-Outer: Message-ID: <1@clinic.example>\r\n\r\n" +
		"Subject: Befund f=C3=BCr Erna\r\n\r\nDear Bob,\r\n.\r\nEnd.\r\n"
	if payload != wantPayload {
		t.Errorf("payload\n%s\nwant\n%s", payload, wantPayload)
	}
	if strings.Contains(outer+payload, "dave@") {
		t.Error("a blind copy is named")
	}
}

func TestProtectWithoutLegacyDisplay(t *testing.T) {
	_, payload := protect(t, plainMail, message.Protection{NoLegacyDisplay: true})
	if !strings.HasSuffix(payload, "\r\n\r\nDear Bob,\r\n.\r\nEnd.\r\n") || strings.Contains(payload, "hp-legacy-display") {
		t.Errorf("payload\n%s", payload)
	}
}

const (
	head    = "From: a@clinic.example\r\nSubject: Lab <results>\r\n"
	element = `<div class="header-protection-legacy-display"><pre>Subject: Lab &lt;results&gt;</pre></div>`
)

// TestProtectBody compares the decoded leaves before and after.
func TestProtectBody(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, tc := range []struct {
		name string
		in   string   // from the content fields on
		want []string // decoded leaves of the payload
	}{
		{"no content type", "\r\nHello\r\n", []string{"Subject: Lab <results>\r\n\r\nHello\r\n"}},
		{"no body", "\r\n", []string{"Subject: Lab <results>\r\n\r\n"}},
		{"no empty line", "", []string{"Subject: Lab <results>\r\n\r\n"}},
		{"8bit", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe \r\nend=\r\n",
			[]string{"Subject: Lab <results>\r\n\r\nGr\xc3\xbc\xc3\x9fe \r\nend=\r\n"}},
		{"8bit undeclared, latin", "Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe\r\n", []string{"Subject: Lab <results>\r\n\r\nGr\xfc\xdfe\r\n"}},
		{"bare line ends and NUL", "Content-Type: text/plain\r\n\r\na\nb\rc\x00d\r\n\r", []string{"Subject: Lab <results>\r\n\r\na\nb\rc\x00d\r\n\r"}},
		{"a long line", "Content-Type: text/plain\r\n\r\n" + strings.Repeat("x", 200_000) + "\r\n", []string{"Subject: Lab <results>\r\n\r\n" + strings.Repeat("x", 200_000) + "\r\n"}},
		{"quoted-printable", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=\r\n=C3=9Fe\r\n",
			[]string{"Subject: Lab <results>\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"}},
		{"base64", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64("Hello world, here") + "\r\n",
			[]string{"Subject:  Lab <results>\r\n\r\nHello world, here"}},
		{"short base64", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64("Hi") + "\r\n",
			[]string{"Subject: Lab <results>\r\n\r\nHi"}},
		{"base64 that is none", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64("Hello!") + "\r\n",
			[]string{"Subject:  Lab <results>\r\n\r\nHello!"}},
		{"html", "Content-Type: text/html\r\n\r\n<html><head><title>x<body></title><!-- <body> --></head><BODY class='a'>Hello</BODY></html>\r\n",
			[]string{"<html><head><title>x<body></title><!-- <body> --></head><BODY class='a'>\r\n" + element + "\r\nHello</BODY></html>\r\n"}},
		{"html without body", "Content-Type: text/html\r\n\r\n<!DOCTYPE html>\r\n<p>Hello\r\n", []string{"<!DOCTYPE html>\r\n\r\n" + element + "\r\n<p>Hello\r\n"}},
		{"html quoted-printable", "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<body class=3D\"=\r\na\">Gr=C3=BC=C3=9Fe</body>\r\n",
			[]string{`<body class="a">` + element + "Gr\xc3\xbc\xc3\x9fe</body>\r\n"}},
		{"html base64", "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64("<body >Gr\xc3\xbc\xc3\x9fe, Welt</body>") + "\r\n",
			[]string{"<body >  " + element + "Gr\xc3\xbc\xc3\x9fe, Welt</body>"}},
		{"utf-16", "Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64("H\x00i\x00") + "\r\n", []string{"H\x00i\x00"}},
		{"an attachment", "Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nHello\r\n", []string{"Hello\r\n"}},
		{"binary", "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\xff\r\n\n\r", []string{"\x00\xff\r\n\n\r"}},
		{"alternative in mixed", "Content-Type: multipart/mixed; boundary=\"o\"\r\n\r\npreamble\r\n--o\r\n" +
			"Content-Type: multipart/alternative; boundary=\"o-i\"\r\n\r\n--o-i\r\n\r\nplain\r\n--o-i\r\nContent-Type: text/html\r\n\r\n<p>html\r\n--o-i--\r\n\r\n" +
			"--o  \r\nContent-Type: text/plain\r\n\r\nsecond\r\n--o\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%PDF\xe2\n\r\n--o--\r\nepilogue",
			[]string{"Subject: Lab <results>\r\n\r\nplain", "\r\n" + element + "\r\n<p>html", "second", "%PDF\xe2\n"}},
		{"a boundary nobody ends", "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nplain\r\n--o\r\n\r\nsecond",
			[]string{"Subject: Lab <results>\r\n\r\nplain", "second"}},
		{"signed", "Content-Type: multipart/signed; boundary=o; protocol=\"application/pkcs7-signature\"; micalg=sha-256\r\n\r\n--o\r\n\r\nas \xfc is\r\n--o\r\n\r\nsig\r\n--o--\r\n",
			[]string{"as \xfc is", "sig"}},
		{"a message", "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: \xfc\r\n\r\nHello\r\n--o--\r\n",
			[]string{"Subject: \xfc\r\n\r\nHello"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, payload := protect(t, head+tc.in, message.Protection{})
			got := leaves(t, payload)
			for i := range max(len(got), len(tc.want)) {
				if i >= len(got) || i >= len(tc.want) || got[i] != tc.want[i] {
					t.Fatalf("leaves\n%.500q\nwant\n%.500q\nin\n%.3000s", got, tc.want, payload)
				}
			}
			if frozen := tc.name == "signed" || tc.name == "a message"; !frozen {
				for _, line := range strings.SplitAfter(payload, "\n") {
					if len(line) > 1000 || line != "" && tc.name != "a boundary nobody ends" && !strings.HasSuffix(line, "\r\n") && strings.Contains(line, "\n") || strings.IndexFunc(line, func(r rune) bool { return r >= 0x80 || r == 0 }) >= 0 {
						t.Errorf("not a line of seven-bit text: %.100q", line)
					}
				}
			}
			if !strings.Contains(payload, `hp="cipher"`) {
				t.Error("the payload is not marked")
			}
		})
	}
}

// leaves reads an entity with the standard library's readers.
func leaves(t testing.TB, entity string) []string {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(entity))
	if err != nil {
		t.Fatal(err)
	}
	return leavesOf(t, m.Header.Get, m.Body)
}

func leavesOf(t testing.TB, get func(string) string, body io.Reader) []string {
	t.Helper()
	kind, params, _ := mime.ParseMediaType(get("Content-Type"))
	if strings.HasPrefix(kind, "multipart/") {
		var all []string
		r := multipart.NewReader(body, params["boundary"])
		for {
			p, err := r.NextRawPart()
			if err != nil {
				return all // a multipart that nobody ends too
			}
			all = append(all, leavesOf(t, p.Header.Get, p)...)
		}
	}
	switch get("Content-Transfer-Encoding") {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	b, err := io.ReadAll(body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return []string{string(b)}
}

func TestProtectRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     error
	}{
		{"two subjects", "Subject: a\r\nSubject: b\r\n\r\n", message.ErrAmbiguous},
		{"two content types", "Content-Type: text/plain\r\ncontent-type: text/html\r\n\r\n", message.ErrAmbiguous},
		{"no field", "From: a\r\nhello there\r\n\r\n", message.ErrAmbiguous},
		{"an mbox line", "From a Thu\r\nFrom: a\r\n\r\n", message.ErrAmbiguous},
		{"a bare CR", "From: a\rBcc: b\r\n\r\n", message.ErrAmbiguous},
		{"no media type", "Content-Type: ;;\r\n\r\nx", message.ErrAmbiguous},
		{"a fragment", "Content-Type: message/partial; id=a; number=1; total=2\r\n\r\nx", message.ErrNotWhole},
		{"too many parts", "Content-Type: multipart/mixed; boundary=o\r\n\r\n" + strings.Repeat("--o\r\n\r\nx\r\n", 10_001), message.ErrTooMany},
		{"a large header", "X: " + strings.Repeat("x", 2<<20) + "\r\n\r\n", message.ErrTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := message.Protect(opener(tc.in), message.Protection{}); !errors.Is(err, tc.want) {
				t.Errorf("err = %v, want %v", err, tc.want)
			}
		})
	}
}

// TestProtectedReadsElsewhere lets Python's email package read the payload.
func TestProtectedReadsElsewhere(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	_, payload := protect(t, head+"Content-Type: multipart/alternative; boundary=\"=_b\"\r\n\r\n--=_b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"+
		"--=_b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPGh0bWw+PGJvZHk+R3LDvMOfZTwvYm9keT48L2h0bWw+\r\n--=_b--\r\n", message.Protection{})
	cmd := exec.Command(python, "-c", `
import email, email.policy, sys
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
print(m["Subject"], m.get_param("hp"), [str(v) for v in m.get_all("HP-Outer")])
for p in m.iter_parts(): print(ascii(p.get_content()), p.get_param("hp-legacy-display"), p.defects)
`)
	cmd.Stdin = strings.NewReader(payload)
	out, err := cmd.CombinedOutput()
	want := "Lab <results> cipher ['From: a@clinic.example', 'Subject: [...]']\n" +
		`'Subject: Lab <results>\n\nGr\xfc\xdfe' 1 []` + "\n" +
		`'<html><body>` + element + `Gr\xfc\xdfe</body></html>' 1 []` + "\n"
	if err != nil || strings.ReplaceAll(string(out), "  <div", "<div") != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}

func FuzzProtect(f *testing.F) {
	f.Add([]byte(plainMail))
	f.Add([]byte(head + "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGJvZHk+aGk8L2JvZHk+\r\n--o\r\n\r\n\xff\r\n--o--\r\n"))
	f.Add([]byte(head + "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<body class=3Da>=\r\nx=20\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(in)), nil }
		for _, how := range []message.Protection{{}, {NoLegacyDisplay: true}} {
			p, err := message.Protect(open, how)
			if err != nil {
				continue
			}
			var a bytes.Buffer
			if _, err := p.WriteTo(&a); err != nil {
				t.Fatalf("taken and not written: %v", err)
			}
			// What was protected once can be again, and its leaves stay as they are.
			once := protectAgain(t, a.Bytes())
			if twice := protectAgain(t, once); !bytes.Equal(body(once), body(twice)) {
				t.Errorf("body\n%q\nthen\n%q", body(once), body(twice))
			}
		}
	})
}

func protectAgain(t *testing.T, in []byte) []byte {
	t.Helper()
	p, err := message.Protect(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(in)), nil }, message.Protection{NoLegacyDisplay: true})
	if err != nil {
		t.Fatalf("the payload: %v\n%q", err, in)
	}
	var b bytes.Buffer
	if _, err := p.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func body(entity []byte) []byte {
	_, b, _ := bytes.Cut(entity, []byte("\r\n\r\n"))
	return b
}

// TestProtectKeepsOddMail protects mail that is made to be read in more than
// one way. Python's email package finds the same leaves before and after.
func TestProtectKeepsOddMail(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	files, _ := filepath.Glob("../../../shared/evasions/*.eml")
	if len(files) == 0 {
		t.Skip("../shared/evasions is not here")
	}
	dir := t.TempDir()
	var taken int
	for _, file := range files {
		p, err := message.Protect(func() (io.ReadCloser, error) { return os.Open(file) }, message.Protection{NoLegacyDisplay: true})
		if err != nil {
			continue // held
		}
		var b bytes.Buffer
		if _, err := p.WriteTo(&b); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		taken++
	}
	if taken < len(files)*3/4 {
		t.Errorf("%d of %d messages can be protected", taken, len(files))
	}
	out, err := exec.Command(python, "-c", `
import email, os, sys
def leaves(path):
    with open(path, "rb") as f: m = email.message_from_binary_file(f)
    return [(x.get_content_type(), (x.get_payload(decode=True) or b"").replace(b"\r\n", b"\n")) for x in m.walk() if not x.is_multipart()]
for name in sorted(os.listdir(sys.argv[1])):
    if leaves(os.path.join(sys.argv[1], name)) != leaves(os.path.join(sys.argv[2], name)): print(name)
`, dir, filepath.Dir(files[0])).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: other leaves in\n%s", err, out)
	}
}

// TestAuthorsWordsStayInside: fields that carry a name of the mail's road, and
// words of its author, are inside only.
func TestAuthorsWordsStayInside(t *testing.T) {
	const in = "Received: from a by b; Thu, 26 Nov 2026 10:00:00 +0000\r\nReceived-SPF: Mira\r\nX-Stanch-Note: Mira\r\nX-Stanch-Loop: v1;\r\n\tabc=\r\n" +
		"From: a@b.example\r\nList-Subject: Mira\r\nList-ID: <ward.b.example>\r\nIn-Reply-To: Your message \"Mira\" <1@b.example>\r\n" +
		"References: <1@b.example>\r\n <2@b.example>\r\nSubject: Mira\r\n\r\nx\r\n"
	p, err := message.Protect(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(in)), nil }, message.Protection{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range p.Outer {
		names = append(names, f.Name())
		if strings.Contains(string(f.Raw), "Mira") {
			t.Errorf("outside: %q", f.Raw)
		}
	}
	if want := []string{"Received", "X-Stanch-Loop", "From", "List-ID", "References", "Subject"}; !slices.Equal(names, want) {
		t.Errorf("outside: got %q, want %q", names, want)
	}
	var inner strings.Builder
	if _, err := p.WriteTo(&inner); err != nil || strings.Count(inner.String(), "Mira") < 5 {
		t.Errorf("inside: %v: %q", err, inner.String())
	}
}

// TestProtectTypeWithComment holds that the example of RFC 2045 5.1 can be
// protected, and that a comment which hides a parameter from some cannot.
func TestProtectTypeWithComment(t *testing.T) {
	in := "From: a@clinic.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii (Plain text)\r\n\r\nHello.\r\n"
	_, payload := protect(t, in, message.Protection{})
	if want := "Content-Type: text/plain;\r\n charset=us-ascii"; !strings.Contains(payload, want) || strings.Contains(payload, "(Plain") {
		t.Errorf("got %q, want it to hold %q and no comment", payload, want)
	}
	for _, bad := range []string{"(; charset=utf-7)", "(", "(a (b))"} {
		if _, err := message.Protect(opener(strings.Replace(in, "(Plain text)", bad, 1)), message.Protection{}); !errors.Is(err, message.ErrAmbiguous) {
			t.Errorf("%s: got %v, want ErrAmbiguous", bad, err)
		}
	}
}
