package pickup_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/pickup"
)

func sealed(t testing.TB, key pickup.Key, id dlp.ID, plain []byte, step int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pickup.NewWriter(&b, key, id)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := range slices.Chunk(plain, step) {
		if _, err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSealed(t *testing.T) {
	const chunk, whole = 64 << 10, 64<<10 + 16
	key, id := pickup.NewKey(), dlp.NewID()
	for _, n := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3*chunk + 5} {
		plain := bytes.Repeat([]byte("0123456789abcde"), n/15+1)[:n]
		s := sealed(t, key, id, plain, 1000)
		if got, err := pickup.Decrypt(s, key, id); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	s := sealed(t, key, id, make([]byte, 3*chunk), 7777)
	for name, bad := range map[string][]byte{
		"nothing":             nil,
		"cut in a chunk":      s[:len(s)-1],
		"cut behind a chunk":  s[:2*whole],
		"a chunk left out":    slices.Concat(s[:whole], s[2*whole:]),
		"chunks exchanged":    slices.Concat(s[whole:2*whole], s[:whole], s[2*whole:]),
		"a chunk added":       slices.Concat(s, s[2*whole:]),
		"a bit of the first":  slices.Concat([]byte{s[0] ^ 1}, s[1:]),
		"a bit of the last":   slices.Concat(s[:len(s)-1], []byte{s[len(s)-1] ^ 1}),
		"a byte more":         slices.Concat(s, []byte{0}),
		"an empty chunk more": slices.Concat(s, sealed(t, key, id, nil, 1)),
	} {
		if _, err := pickup.Decrypt(bad, key, id); !errors.Is(err, pickup.ErrTampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := pickup.Decrypt(s, pickup.NewKey(), id); !errors.Is(err, pickup.ErrTampered) {
		t.Errorf("another key: %v", err)
	}
	if _, err := pickup.Decrypt(s, key, dlp.NewID()); !errors.Is(err, pickup.ErrTampered) {
		t.Errorf("another parcel: %v", err)
	}
}

func opens(msg string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(msg)), nil }
}

func TestPack(t *testing.T) {
	const head = "From: =?utf-8?q?R=C3=A9i?= <a@x.example>\r\nSubject: =?utf-8?b?w4Q=?=\r\nMIME-Version: 1.0\r\n"
	const mixed = head + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	for _, x := range []struct {
		name, msg string
		bodies    []pickup.Body
		files     []string // name, a colon, content
	}{
		{"plain", head + "\r\nhello\r\n", []pickup.Body{{Text: "hello\r\n"}}, nil},
		{"latin", head + "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nb=FCcher\r\n", []pickup.Body{{Text: "bücher\r\n"}}, nil},
		{"html", head + "Content-Type: text/html\r\n\r\n<p>hello", []pickup.Body{{HTML: true, Text: "<p>hello"}}, nil},
		{"alternative", head + "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nplain\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>rich\r\n--b--\r\n",
			[]pickup.Body{{Text: "plain"}}, []string{"message.html:<p>rich"}},
		{"alternative without a word", head + "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n \r\n--b\r\nContent-Type: text/html\r\n\r\n<p>rich\r\n--b--\r\n",
			[]pickup.Body{{HTML: true, Text: "<p>rich"}}, nil},
		{"two texts and a file", mixed + "\r\none\r\n--b\r\nContent-Type: text/plain; name=\"n.txt\"\r\n\r\ntwo\r\n--b\r\nContent-Type: text/plain\r\n\r\nthree\r\n--b--\r\n",
			[]pickup.Body{{Text: "one"}, {Text: "three"}}, []string{"n.txt:two"}},
		{"a path for a name", mixed + "Content-Type: a/b\r\nContent-Disposition: attachment; filename=\"../x\\\\y\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAE=\r\n--b--\r\n",
			nil, []string{"_x_y:\x00\x01"}},
		{"a mail in a mail", mixed + "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--b--\r\n", nil, []string{"part-1.eml:Subject: inner\r\n\r\nx"}},
		{"UTF-7", head + "Content-Type: text/plain; charset=UTF-7\r\n\r\nb+APw-cher\r\n", []pickup.Body{{Text: "bücher\r\n"}}, nil},
		{"a charset browsers do not read", head + "Content-Type: text/plain; charset=iso-2022-kr\r\n\r\nx\r\n", nil, []string{"message.txt:x\r\n"}},
		{"a charset nobody knows", head + "Content-Type: text/plain; charset=klingon\r\n\r\n\xf8x\r\n", nil, []string{"message.txt:\xf8x\r\n"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := pickup.Pack(&b, opens(x.msg)); err != nil {
				t.Fatal(err)
			}
			c, rest, err := pickup.Unpack(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			var files []string
			for _, f := range c.Files {
				files = append(files, f.Name+":"+string(rest[:f.Size]))
				rest = rest[f.Size:]
			}
			if c.Subject != "Ä" || c.From != "Réi" || c.Address != "a@x.example" || !slices.Equal(c.Bodies, x.bodies) || !slices.Equal(files, x.files) || len(rest) > 0 {
				t.Errorf("got %+v, files %q, %d bytes more", c, files, len(rest))
			}
		})
	}
	for name, msg := range map[string]string{
		"two subjects":            "Subject: a\r\nSubject: b\r\n\r\nx",
		"no boundary in it":       head + "Content-Type: multipart/mixed; boundary=zzz\r\n\r\nthe text\r\n",
		"no boundary at all":      head + "Content-Type: multipart/mixed\r\n\r\nthe text\r\n",
		"an encoding nobody does": head + "Content-Transfer-Encoding: x-uue\r\n\r\nx",
		"base64 that is none":     head + "Content-Transfer-Encoding: base64\r\n\r\n====%%%%\r\n",
		"too deep":                head + strings.Repeat("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 30) + "\r\nx",
	} {
		var b bytes.Buffer
		if err := pickup.Pack(&b, opens(msg)); err == nil {
			t.Errorf("%s is packed", name)
		} else if strings.Contains(err.Error(), "%%") {
			t.Errorf("%s: the error quotes the mail: %v", name, err)
		}
	}
}

// TestPackIsBounded: what is many or large is saved as files, not held in memory
// nor shown, and a file's name does what it says.
func TestPackIsBounded(t *testing.T) {
	pack := func(msg string) (c pickup.Content, err error) {
		var b bytes.Buffer
		if err = pickup.Pack(&b, opens(msg)); err == nil {
			c, _, err = pickup.Unpack(b.Bytes())
		}
		return c, err
	}
	part := "--b\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 10_000) + "\r\n"
	c, err := pack("Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat(part, 6) + "--b--\r\n")
	text := 0
	for _, b := range c.Bodies {
		text += len(b.Text)
	}
	if err != nil || text > 2<<20 || len(c.Bodies)+len(c.Files) != 6 {
		t.Errorf("%d bytes shown in %d texts, %d files, %v", text, len(c.Bodies), len(c.Files), err)
	}
	_, err = pack("Subject: x\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nplain\r\n" +
		strings.Repeat("--b\r\nContent-Type: text/html\r\n\r\nx\r\n", 2000) + "--b--\r\n")
	if !errors.Is(err, pickup.ErrTooMany) {
		t.Errorf("2000 parts: %v", err)
	}
	for name, want := range map[string]string{
		"=?utf-8?q?scan=E2=80=AEfdp=2Eexe?=": "scan_fdp.exe",
		"../../.bashrc":                      "_.._.bashrc",
		"..":                                 "part-1",
		strings.Repeat("n", 400) + ".pdf":    strings.Repeat("n", 146) + ".pdf",
	} {
		c, err := pack("Subject: x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\n\r\nx")
		if err != nil || len(c.Files) != 1 || c.Files[0].Name != want {
			t.Errorf("%s: %+v, %v; want %s", name, c.Files, err, want)
		}
	}
}

func FuzzPack(f *testing.F) {
	for _, s := range []string{"Subject: x\r\n\r\nhello", "From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: a/b; name=n\r\n\r\n\x00\r\n--b--\r\n",
		"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: text/html; charset=utf-7\r\n\r\n<p>\r\n--b--"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, msg string) {
		var b bytes.Buffer
		if pickup.Pack(&b, opens(msg)) != nil {
			return
		}
		c, rest, err := pickup.Unpack(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		for _, x := range c.Files {
			n += x.Size
		}
		if n != int64(len(rest)) {
			t.Errorf("files of %d bytes, %d are there", n, len(rest))
		}
	})
}

// digests is no more of Keys than a code takes.
type digests struct{ pickup.Keys }

func (digests) MAC(kind string, parts ...[]byte) [32]byte {
	return sha256.Sum256([]byte(kind + " " + string(bytes.Join(parts, []byte{0}))))
}

// TestCodes: a code is six digits, for one parcel, for a quarter of an hour, five tries
// and one use; a newer one takes its place; five an hour and twenty in all are sent.
func TestCodes(t *testing.T) {
	book, now := pickup.New(nil, nil, digests{}), time.Now()
	next := func(p *pickup.Parcel, at time.Time) string {
		t.Helper()
		code, err := book.NewCode(p, at)
		if err != nil || len(code) != 6 || strings.Trim(code, "0123456789") != "" {
			t.Fatalf("%q, %v", code, err)
		}
		return code
	}
	other := func(code string) string {
		if code == "000000" {
			return "000001"
		}
		return "000000"
	}
	tried := func(what string, p *pickup.Parcel, code string, at time.Time, want error) {
		t.Helper()
		if err := book.Try(p, code, at); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	p := &pickup.Parcel{ID: dlp.NewID()}
	tried("before any was asked for", p, "000000", now, pickup.ErrNoCode)
	code := next(p, now)
	tried("another", p, other(code), now, pickup.ErrCode)
	copied := *p
	copied.ID = dlp.NewID()
	tried("of another parcel", &copied, code, now, pickup.ErrCode)
	late := *p
	tried("a second before its time is over", &late, code, now.Add(15*time.Minute-time.Second), nil)
	late = *p
	tried("when it is over", &late, code, now.Add(15*time.Minute), pickup.ErrNoCode)
	late = *p
	tried("by a clock that was set back", &late, code, now.Add(-time.Second), pickup.ErrNoCode)
	tried("it", p, code, now, nil)
	if p.Opened != now {
		t.Errorf("opened %v", p.Opened)
	}
	tried("it once more", p, code, now, pickup.ErrNoCode)

	old := next(p, now)
	code = next(p, now)
	if old != code {
		tried("one that a newer took the place of", p, old, now, pickup.ErrCode)
	}
	for range 4 {
		_ = book.Try(p, other(code), now)
	}
	tried("it, after five that are wrong", p, code, now, pickup.ErrNoCode)

	p = &pickup.Parcel{ID: dlp.NewID()}
	sent := 0
	for at := now; at.Before(now.Add(48 * time.Hour)); at = at.Add(5 * time.Minute) {
		within := 0
		for _, t := range p.Asked {
			if at.Sub(t) < time.Hour {
				within++
			}
		}
		_, err := book.NewCode(p, at)
		if may := within < 5 && sent < 20; may != (err == nil) || err != nil && !errors.Is(err, pickup.ErrTooManyCodes) {
			t.Fatalf("%d within an hour and %d in all: %v", within, sent, err)
		}
		if err == nil {
			sent++
		}
	}
	if sent != 20 {
		t.Errorf("%d codes, want 20", sent)
	}
}

func TestReply(t *testing.T) {
	var b bytes.Buffer
	r := pickup.Reply{Subject: "Re: x\r\nBcc: eve@x.example", Text: strings.Repeat("ä line\n", 30), Files: []pickup.ReplyFile{{Name: "a\r\nb\".txt", Open: opens("data")}}}
	names := []string{"a__b\".txt"} // as a mail program gets them
	for name, want := range map[string]string{"../x\x00y": "_x_y", "\u202efdp.exe": "_fdp.exe", "...": "file", "\xff": "_", strings.Repeat("é", 600) + ".pdf": strings.Repeat("é", 73) + ".pdf"} {
		r.Files, names = append(r.Files, pickup.ReplyFile{Name: name, Open: opens("more")}), append(names, want)
	}
	err := r.Write(&b, pickup.ReplyHead{From: "gw@x.example", Answers: dlp.Address{Local: "bob", Domain: "y.example"}, To: dlp.Address{Local: "ada", Domain: "x.example"}, MessageID: "r@x", InReplyTo: "<m@x>", When: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("Bcc") != "" || m.Header.Get("Reply-To") != "<bob@y.example>" || !strings.Contains(b.String(), base64.StdEncoding.EncodeToString([]byte("data"))) {
		t.Errorf("wrote\n%s", b.String())
	}
	_, params, _ := mime.ParseMediaType(m.Header.Get("Content-Type"))
	parts, got := multipart.NewReader(m.Body, params["boundary"]), []string(nil)
	for p, err := parts.NextPart(); err == nil; p, err = parts.NextPart() {
		if _, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition")); err == nil {
			got = append(got, params["filename"])
		}
	}
	if !slices.Equal(got, names) {
		t.Errorf("files are called %q, want %q", got, names)
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > 600 || !strings.HasSuffix(line, "\r\n") {
			t.Errorf("line %q", line)
		}
	}
}

// TestReplyToAddressesOutsideASCII: they stand in the header as they are (RFC 6532),
// and what else is outside ASCII does not.
func TestReplyToAddressesOutsideASCII(t *testing.T) {
	var b bytes.Buffer
	h := pickup.ReplyHead{From: "gw@x.example", Answers: dlp.Address{Local: "björn", Domain: "y.example"}, To: dlp.Address{Local: "иван", Domain: "x.example"},
		MessageID: "r@x", InReplyTo: "<ü@x>", When: time.Now()}
	if err := (pickup.Reply{Subject: "Ä", Text: "x"}).Write(&b, h); err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(b.String(), "\r\n\r\n")
	for _, want := range []string{"\r\nReply-To: <björn@y.example>\r\n", "\r\nTo: <иван@x.example>\r\n", "\r\nSubject: =?utf-8?q?=C3=84?=\r\n"} {
		if !strings.Contains(head, want) {
			t.Errorf("no %q in\n%s", want, head)
		}
	}
	if strings.Contains(head, "In-Reply-To") || !h.UTF8() || (pickup.ReplyHead{To: dlp.Address{Local: "ada"}}).UTF8() {
		t.Errorf("UTF8 is %v of\n%s", h.UTF8(), head)
	}
}

func TestConfig(t *testing.T) {
	good := pickup.Default()
	if err := good.Validate(); err != nil || good.On() {
		t.Errorf("default: %v", err)
	}
	good.Listen, good.URL, good.Site, good.Contact = "127.0.0.1:8443", "https://pickup.clinic.example", "Clinic", "555-0142"
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*pickup.Config){
		"plain http": func(c *pickup.Config) { c.URL = "http://pickup.clinic.example" }, "no url": func(c *pickup.Config) { c.URL = "" },
		"a fragment": func(c *pickup.Config) { c.URL += "/#x" }, "no contact": func(c *pickup.Config) { c.Contact = "" },
		"two lines": func(c *pickup.Config) { c.Site = "a\nb" }, "half a certificate": func(c *pickup.Config) { c.TLSCert = "x" },
		"a command by its name": func(c *pickup.Config) { c.SMSCommand = []string{"sms"} }, "for ever": func(c *pickup.Config) { c.Expiry = 0 },
		"no network": func(c *pickup.Config) { c.Proxies = []string{"here"} },
	} {
		c := good
		if change(&c); c.Validate() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
