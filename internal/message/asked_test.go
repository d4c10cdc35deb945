package message_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding/htmlindex"

	"github.com/stanch-dlp/stanch/internal/message"
)

// word is text as one encoded word of base64 in a charset.
func word(t *testing.T, charset, text string) string {
	t.Helper()
	e, err := htmlindex.Get(charset)
	if err != nil {
		t.Fatal(err)
	}
	coded, err := e.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return mime.BEncoding.Encode(charset, coded)
}

// TestHeadAsks: what a mail program may show as a subject that asks, asks,
// however it is written; what stands in the text does not.
func TestHeadAsks(t *testing.T) {
	long := strings.Repeat(" more words\r\n", 400)
	for name, tc := range map[string]struct {
		in   string
		want bool
	}{
		"plain":             {"From: a\r\nSubject: [secure] x\r\n\r\n", true},
		"bare LF":           {"From: a\nSubject: [ Encrypt ] x\n\nbody", true},
		"without an end":    {"Subject: [secure] x", true},
		"encoded":           {"Subject: =?windows-1252?B?W3NlY3VyZV0gTfxsbGVy?=\r\n\r\n", true},
		"over 4 KiB":        {"Subject: [secure]" + long + "\r\n", true},
		"over 4 KiB behind": {"Subject:" + long + " [secure]\r\n\r\n", true},
		"behind junk":       {"a line that is no field\r\nSubject: [secure] x\r\n\r\n", true},
		"behind a bare CR":  {"X: a\rSubject: [secure] x\r\n\r\n", true},
		"too long a header": {"X: " + strings.Repeat("y", 20<<10) + "\r\n\r\n", true},
		"a field by name":   {"X-Encrypt: no\r\n\r\n", true},
		"long field":        {"x-encrypt:" + long + "\r\n", true},
		"other field":       {"X-Encrypted: yes\r\nComments: [secure]\r\nSubject: secure\r\n\r\n", false},
		"in the text":       {"Subject: x\r\n\r\nSubject: [secure]\r\nX-Encrypt: yes\r\n", false},
		"in the text, LF":   {"Subject: x\n\nSubject: [secure]\n", false},
		"in a folded line":  {"Comments: x\r\n Subject: [secure]\r\n\r\n", false},
		"nothing":           {"", false},
		// Words that break RFC 2047 and are shown as these words all the same.
		"base64 without its end":   {"Subject: =?utf-8?B?W3NlY3VyZV0?=\r\n\r\n", true},
		"base64 that ends twice":   {"Subject: =?utf-8?B?W3NlY3VyZV0==?=\r\n\r\n", true},
		"base64 that is folded":    {"Subject: =?utf-8?B?W3Nl\r\n Y3VyZV0=?=\r\n\r\n", true},
		"a sign that ends nothing": {"Subject: =?utf-8?Q?=5Bsecure=5D=?=\r\n\r\n", true},
		"bytes outside ASCII":      {"Subject: =?utf-8?Q?=5Bsecure=5D M\xc3\xbcller?=\r\n\r\n", true},
		"a folded code":            {"Subject: =?utf-8?Q?=5B=\r\n secure=5D?=\r\n\r\n", true},
		"two bytes a letter":       {"Subject: " + word(t, "utf-16be", "[secure] Müller") + "\r\n\r\n", true},
		"two bytes, the other way": {"Subject: =?utf-16?B?" + base64.StdEncoding.EncodeToString([]byte("[\x00s\x00e\x00c\x00u\x00r\x00e\x00]\x00")) + "?=\r\n\r\n", true},
		"four bytes a letter":      {"Subject: =?utf-32be?B?" + base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll("[secure]", "", "\x00\x00\x00"))) + "?=\r\n\r\n", true},
		"UTF-7":                    {"Subject: =?utf-7?Q?+AFs-secure+AF0-_M+APw-ller?=\r\n\r\n", true},
		"UTF-7 throughout":         {"Subject: =?UTF-7?B?" + base64.StdEncoding.EncodeToString([]byte("+AFsAcwBlAGMAdQByAGUAXQ-")) + "?=\r\n\r\n", true},
		"wide brackets, raw":       {"Subject: \uff3bsecure\uff3d\r\n\r\n", true},
		"a language":               {"Subject: =?utf-8*en?Q?=5Bsecure=5D?=\r\n\r\n", true},
	} {
		for _, r := range []io.Reader{strings.NewReader(tc.in), iotest.OneByteReader(strings.NewReader(tc.in))} {
			h, err := message.ReadHead(r, 16<<10)
			if got := h.Asks(true, "X-Encrypt"); err != nil || got != tc.want {
				t.Errorf("%s: got %v, %v", name, got, err)
			}
		}
	}
	for _, max := range []int64{1 << 10, 10} {
		h, err := message.ReadHead(strings.NewReader("Subject: [secure]\r\nX-Encrypt: 1\r\n\r\n"), max)
		if got := h.Asks(false, ""); got || err != nil {
			t.Errorf("nobody may ask: got %v, %v", got, err)
		}
	}
	boom := errors.New("boom")
	if h, err := message.ReadHead(iotest.ErrReader(boom), 100); !errors.Is(err, boom) || !h.Asks(true, "") {
		t.Errorf("got %v", err)
	}
}

func TestWithoutAsking(t *testing.T) {
	for name, tc := range map[string]struct {
		subject string
		asks    bool
		want    string // decoded
	}{
		"plain":                       {"[secure] Labs of Thursday", true, "Labs of Thursday"},
		"behind, capitals, spaces":    {"Labs [ ENCRYPT ]", true, "Labs "},
		"odd case":                    {"Re: [sEcUrE] Labs", true, "Re: Labs"},
		"tabs":                        {"[\tencrypt\t] Labs", true, "Labs"},
		"folded inside":               {"[\r\n secure\r\n ] Labs", true, "Labs"},
		"twice":                       {"[secure] Labs [Encrypt]", true, "Labs "},
		"both spellings in one":       {"[secure encrypt] Labs", false, "[secure encrypt] Labs"},
		"no space behind":             {"[SECURE]Labs", true, "Labs"},
		"no-break spaces":             {word(t, "utf-8", "[\u00a0secure\u00a0] Müller"), true, "Müller"},
		"no-break spaces, 1252":       {word(t, "windows-1252", "[\u00a0secure\u00a0] Müller"), true, "Müller"},
		"no-break spaces, 8-bit":      {"[\xa0secure\xa0] Labs", true, "Labs"},
		"a mark of no width":          {word(t, "utf-8", "[\u200bSecure] Müller"), true, "Müller"},
		"UTF-7":                       {"=?utf-7?Q?+AFs-secure+AF0-_M+APw-ller?=", true, "Müller"},
		"wide brackets":               {word(t, "shift_jis", "［secure］ 検査結果"), true, "検査結果"},
		"wide letters":                {word(t, "utf-8", "［ＳＥＣＵＲＥ］ 検査結果"), true, "検査結果"},
		"brackets of Japan":           {word(t, "iso-2022-jp", "【encrypt】検査結果"), true, "検査結果"},
		"wide brackets, raw":          {"［secure］ 検査結果", true, "検査結果"},
		"another wide word":           {"［ｓｅｃｕｒｅｄ］", false, "［ｓｅｃｕｒｅｄ］"},
		"another word":                {"[secured] Labs", false, "[secured] Labs"},
		"quoted-printable, as it is":  {"=?windows-1252?Q?[secure]_Caf=E9?=", true, " Café"},
		"quoted-printable, as a code": {"=?windows-1252?Q?=5Bsecure=5D_Caf=E9?=", true, "Café"},
		"a word of nothing":           {"=?utf-8?Q?[secure]?= Labs", true, "Labs"},
		"base64 without its end":      {"=?utf-8?B?W3NlY3VyZV0gTcO8bGxlcg?= Labs", true, "Müller Labs"},
		"bytes outside ASCII":         {"=?utf-8?Q?=5Bsecure=5D M\xc3\xbcller?=", true, "Müller"},
		"two bytes a letter":          {word(t, "utf-16be", "[secure] Müller"), true, "Müller"},
		"UTF-8":                       {word(t, "utf-8", "[secure] Müller"), true, "Müller"},
		"windows-1252":                {word(t, "windows-1252", "[secure] Befund Müller – Ä"), true, "Befund Müller – Ä"},
		"ISO-2022-JP":                 {word(t, "iso-2022-jp", "[secure] 検査結果"), true, "検査結果"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := message.Asks(tc.subject); got != tc.asks {
				t.Errorf("Asks: got %v, want %v", got, tc.asks)
			}
			f := message.WithoutAsking(message.Field{Raw: []byte("Subject: " + tc.subject + "\r\n")})
			if message.Asks(f.Value()) {
				t.Errorf("still asks: %q", f.Raw)
			}
			d := mime.WordDecoder{CharsetReader: func(charset string, in io.Reader) (io.Reader, error) {
				e, err := htmlindex.Get(charset)
				if err != nil {
					return nil, err
				}
				return e.NewDecoder().Reader(in), nil
			}}
			got, err := d.DecodeHeader(f.Value())
			if err != nil || strings.TrimSpace(got) != strings.TrimSpace(tc.want) {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

// TestWords: what is in a charset that is not known, or not read, stays as it is.
func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		"=?utf-7?Q?b+APw-cher?=": "bücher", "=?klingon?Q?x?=": "=?klingon?Q?x?=", "=?hz-gb-2312?Q?x?=": "=?hz-gb-2312?Q?x?=",
	} {
		if got := message.Words(in); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

// TestUntagged: all but the word that asks is as it came.
func TestUntagged(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"one":          {"From: a@clinic.example\r\nSubject: [secure] Labs\r\nTo: b@partner.example\r\n\r\nbody [secure]\r\n", "From: a@clinic.example\r\nSubject: Labs\r\nTo: b@partner.example\r\n\r\nbody [secure]\r\n"},
		"none":         {"Subject: Labs\nTo: b@partner.example\n\nbody\n", "Subject: Labs\nTo: b@partner.example\n\nbody\n"},
		"other fields": {"X-Note: [secure]\r\nSubject: Labs\r\n\r\nbody", "X-Note: [secure]\r\nSubject: Labs\r\n\r\nbody"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := message.Untagged(func() (io.ReadSeekCloser, error) { return seeker{strings.NewReader(tc.in)}, nil }, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, []byte(tc.want)) {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

type seeker struct{ *strings.Reader }

func (seeker) Close() error { return nil }
