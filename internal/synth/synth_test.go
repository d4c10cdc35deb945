package synth_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/synth"
)

func TestPatientNumbers(t *testing.T) {
	t.Parallel()
	forms := []struct {
		name string
		form string
		of   func(synth.Patient) string
	}{
		{"SSN", `^(00[1-9]|0[1-9]\d|[1-578]\d\d|6[0-57-9]\d|66[0-57-9])-(0[1-9]|[1-9]\d)-(\d{3}[1-9]|\d\d[1-9]\d|\d[1-9]\d\d|[1-9]\d{3})$`, func(p synth.Patient) string { return p.SSN }},
		{"MRN", `^E\d{7}$`, func(p synth.Patient) string { return p.MRN }},
		{"MBI", `^[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d[AC-HJKMNP-RT-Y]{2}\d\d$`, func(p synth.Patient) string { return p.MBI }},
		{"phone", `^\(\d{3}\) 555-01\d\d$`, func(p synth.Patient) string { return p.Phone }},
		{"NPI", `^1\d{9}$`, func(p synth.Patient) string { return p.NPI }},
		{"ICD-10-CM", `^[A-TV-Z]\d[0-9AB](\.[0-9A-Z]{1,4})?$`, func(p synth.Patient) string { return p.Diagnoses[0].Code }},
	}
	patients := synth.New(synth.Seed).Patients(2000)
	for _, tt := range forms {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			form := regexp.MustCompile(tt.form)
			for _, p := range patients {
				if got := tt.of(p); !form.MatchString(got) {
					t.Fatalf("got %q, want the form %s", got, tt.form)
				}
			}
		})
	}
	t.Run("NPI check digit", func(t *testing.T) {
		t.Parallel()
		for _, p := range patients {
			if !luhn("80840" + p.NPI) {
				t.Fatalf("%q fails its check digit", p.NPI)
			}
		}
	})
	t.Run("no two share a record number", func(t *testing.T) {
		t.Parallel()
		seen := map[string]bool{}
		for _, p := range patients {
			if seen[p.MRN] || seen[p.SSN] {
				t.Fatalf("%q or %q is given out twice", p.MRN, p.SSN)
			}
			seen[p.MRN], seen[p.SSN] = true, true
		}
	})
}

// luhn reports whether the last digit of s is the check digit of the others.
// ISO/IEC 7812-1.
func luhn(s string) bool {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// documents writes one of each kind about the first patient of seed.
func documents(seed uint64) map[string][]byte {
	s := synth.New(seed)
	p := s.Patient()
	rows := synth.Register(append(s.Patients(3), p), true)
	list := synth.Member{Name: "patients.csv", Data: synth.CSV(rows)}
	return map[string][]byte{
		"docx":      synth.DOCX(synth.Referral(p)),
		"xlsx":      synth.XLSX("Patients", rows),
		"pdf":       synth.PDF(synth.DischargeSummary(p)),
		"csv":       list.Data,
		"zip":       synth.Zip(list),
		"zipcrypto": synth.ZipCrypto("open sesame", list),
		"zipaes":    synth.ZipAES("open sesame", list),
		"png":       synth.Logo(),
		"mail":      synth.Message(sampleMail(p)),
	}
}

func sampleMail(p synth.Patient) synth.Mail {
	return synth.Mail{
		From: "billing@clinic.example", To: []string{"a@partner.example", "b@partner.example"},
		Subject: "Überweisung", Paragraphs: synth.BillingNote(p), Logo: synth.Logo(),
		Header: []synth.Field{{Name: "X-Demo-Id", Value: "1"}},
		Attachments: []synth.Attachment{{
			Member: synth.Member{Name: "summary.pdf", Data: synth.PDF(synth.DischargeSummary(p))}, Type: synth.TypePDF,
		}},
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	t.Parallel()
	first, second, other := documents(7), documents(7), documents(8)
	for name := range first {
		if !bytes.Equal(first[name], second[name]) {
			t.Errorf("%s: two runs of one seed differ", name)
		}
		if name != "png" && bytes.Equal(first[name], other[name]) {
			t.Errorf("%s: two seeds give the same bytes", name)
		}
	}
}

// TestHidden shows that what only a parser can find stands nowhere in the
// clear: a scanner that reads bytes alone finds nothing in these.
func TestHidden(t *testing.T) {
	t.Parallel()
	docs := documents(synth.Seed)
	p := synth.New(synth.Seed).Patient()
	for _, kind := range []string{"docx", "xlsx", "pdf", "zip", "zipcrypto", "zipaes"} {
		for _, trace := range p.Traces() {
			if bytes.Contains(docs[kind], []byte(trace)) {
				t.Errorf("%s holds %q in the clear", kind, trace)
			}
		}
	}
}

func TestLogo(t *testing.T) {
	t.Parallel()
	logo := synth.Logo()
	img, err := png.Decode(bytes.NewReader(logo))
	if err != nil {
		t.Fatal(err)
	}
	if got := img.Bounds().Dx(); got != 96 {
		t.Errorf("got %d pixels, want 96", got)
	}
	if len(logo) > 4<<10 {
		t.Errorf("got %d bytes, want at most 4 KiB", len(logo))
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	p := synth.New(synth.Seed).Patient()
	raw := synth.Message(sampleMail(p))
	if i := strings.Index(strings.ReplaceAll(string(raw), "\r\n", ""), "\n"); i >= 0 || !bytes.HasSuffix(raw, []byte("\r\n")) {
		t.Error("a line does not end in CRLF")
	}
	for line := range strings.SplitSeq(string(raw), "\r\n") {
		if len(line) > 998 { // RFC 5322 2.1.1
			t.Errorf("got a line of %d characters, want at most 998", len(line))
		}
	}
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); got != "Überweisung" {
		t.Errorf("subject: got %q, want %q", got, "Überweisung")
	}
	if to, err := msg.Header.AddressList("To"); err != nil || len(to) != 2 {
		t.Errorf("To: got %v, %v, want two addresses", to, err)
	}
	var got []string
	walk(t, msg.Header.Get("Content-Type"), "", msg.Body, &got)
	if want := []string{"text/plain", "text/html", "image/png", "application/pdf"}; !slices.Equal(got, want) {
		t.Errorf("leaves: got %q, want %q", got, want)
	}
}

// walk reads a MIME tree with the standard library and notes its leaves.
func walk(t *testing.T, contentType, encoding string, body io.Reader, leaves *[]string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(kind, "multipart/") {
		switch encoding {
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, body)
		case "quoted-printable":
			body = quotedprintable.NewReader(body)
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		*leaves = append(*leaves, kind)
		return
	}
	for r := multipart.NewReader(body, params["boundary"]); ; {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		walk(t, part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part, leaves)
	}
}
