package notify_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
	"github.com/stanch-dlp/stanch/internal/notify"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	alice = dlp.Address{Local: "alice", Domain: "clinic.example"}
	at    = time.Date(2026, 3, 1, 10, 0, 0, 250e6, time.UTC)
)

const doc = dlp.ID("abcdefghijklmnopqrstuvwxya")

func notice() notify.Notice {
	return notify.Notice{ID: doc, Hostname: "gw.example", To: alice, Types: []dlp.Type{"SSN", "MRN", "ICD10", "ICD9"},
		Parts: []string{"HEADER", "1.2", "1", "2", "3.MIME", "3/2/4", "4.HEADER", "2~2"}, Causes: []dlp.Cause{dlp.Encrypted},
		Policy: "phi-leaves", When: at}
}

func dsn() notify.DSN {
	return notify.DSN{ID: doc, Hostname: "gw.example", To: alice, Arrived: at.Add(-time.Hour), When: at, Rcpts: []notify.RcptStatus{
		{Rcpt: dlp.Address{Local: "bob", Domain: "other.example"}, Status: "5.1.1", Code: 550, Enhanced: "5.1.1"},
		{Rcpt: dlp.Address{Local: "carol jones", Domain: "other.example"}, Status: "4.4.7"},
	}}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

func TestGolden(t *testing.T) {
	contact := notify.Config{Contact: "Büro für Datenschutz, 555-0100", From: "privacy@clinic.example"}
	only := func(change func(*notify.Notice)) notify.Notice {
		n := notice()
		n.Types, n.Parts, n.Causes = nil, nil, nil
		change(&n)
		return n
	}
	policy := dsn()
	policy.Types = []dlp.Type{"SSN"}
	unread := policy
	unread.Causes = []dlp.Cause{dlp.Encrypted}
	delayed, relayed := dsn(), dsn()
	delayed.Kind, delayed.Until, delayed.EnvID = notify.Delayed, at.Add(24*time.Hour), "q 7"
	delayed.To.Local = "gr\u00fcn"
	delayed.Rcpts = []notify.RcptStatus{{Rcpt: dlp.Address{Local: "bob", Domain: "other.example"}, Status: "4.4.7", Code: 452, Enhanced: "4.2.2"},
		{Rcpt: dlp.Address{Local: "carol", Domain: "other.example"}, Status: "4.4.7", Code: 421}}
	relayed.Kind = notify.Relayed
	relayed.Rcpts = []notify.RcptStatus{{Rcpt: dlp.Address{Local: "gr\u00fcn", Domain: "other.example"}, ORcpt: "utf-8;gr\u00fcn@other.example", Status: "2.0.0"},
		{Rcpt: dlp.Address{Local: "bob", Domain: "other.example"}, ORcpt: "rfc822;list=bob", Status: "2.0.0"}}
	for _, tc := range []struct {
		name string
		got  []byte
	}{
		{"held.eml", notify.Config{}.Held(notice())},
		{"held-contact.eml", contact.Held(only(func(n *notify.Notice) { n.Types = []dlp.Type{"MBI"} }))},
		{"held-unread.eml", notify.Config{}.Held(only(func(n *notify.Notice) { n.Causes, n.Parts = []dlp.Cause{dlp.Image, dlp.TooLarge}, []string{"2"} }))},
		{"held-choices.eml", contact.Held(only(func(n *notify.Notice) {
			n.Types, n.Parts = []dlp.Type{"SSN", "ICD10"}, []string{"2"}
			n.Choices = &notify.Choices{Link: "https://held.clinic.example/held/abcdefghijklmnopqrstuvwxya.x1.e.AAAAAAAAAAAAAAAAAAAAAA", Until: at.Add(72 * time.Hour), Encrypt: true}
		}))},
		{"held-coaching.eml", notify.Config{}.Held(only(func(n *notify.Notice) {
			n.Types, n.Coaching = []dlp.Type{"SSN"}, []dlp.Coaching{
				{Text: "Payers ask for the member number, never for a Social Security number. If it must go, choose “send encrypted”.", URL: "https://intranet.clinic.example/privacy/" + strings.Repeat("sending-", 8) + "ssn?from=notice"},
				{Text: "Ask the privacy office."}}
		}))},
		{"waits.eml", contact.Waiting(waits(), 1)},
		{"waits-many.eml", notify.Config{}.Waiting(waits(), 3)},
		{"waits-coaching.eml", notify.Config{}.Waiting(coached(waits()), 1)},
		{"rejected-late.eml", notify.Config{}.Rejected(only(func(n *notify.Notice) { *n = coached(*n); n.Late, n.Decision = true, true }))},
		{"dsn-unread.eml", notify.Config{}.DSN(unread)},
		{"at-once.eml", contact.AtOnceNotice(notice(), dlp.File)},
		{"digest.eml", notify.Config{}.DigestOf(notify.DigestNotice{ID: doc, Hostname: "gw.example", To: alice, Held: 12, New: 3, Asked: 1, Unread: 2, Oldest: at.Add(-50 * time.Hour),
			Rules: []notify.RuleCount{{Rule: "us-ssn", Held: 9}, {Rule: "mrn", Held: 4}}, Since: at.Add(-24 * time.Hour), When: at})},
		{"rejected.eml", notify.Config{}.Rejected(notice())},
		{"rejected-by-reviewer.eml", notify.Config{}.Rejected(only(func(n *notify.Notice) { n.Decision = true }))},
		{"dsn.eml", notify.Config{}.DSN(dsn())},
		{"dsn-delayed.eml", notify.Config{}.DSN(delayed)},
		{"dsn-relayed.eml", notify.Config{}.DSN(relayed)},
		{"dsn-policy.eml", contact.DSN(policy)},
		{"stub.txt", notify.Stub(notice(), notify.Config{})},
		{"stub-contact.txt", notify.Stub(only(func(*notify.Notice) {}), contact)},
	} {
		t.Run(tc.name, func(t *testing.T) { golden(t, tc.name, tc.got) })
	}
}

// coached is n about a kind of data of which the site says something.
func coached(n notify.Notice) notify.Notice {
	n.Types, n.Coaching = []dlp.Type{"SSN"}, []dlp.Coaching{{Text: "Payers ask for the member number.", URL: "https://intranet.clinic.example/privacy/ssn"}}
	return n
}

// waits is of a message that waits at the pickup pages.
func waits() notify.Notice {
	return notify.Notice{ID: doc, Hostname: "gw.example", To: alice, When: at,
		Choices: &notify.Choices{Link: "https://held.clinic.example/sent/abcdefghijklmnopqrstuvwxya.x1.-.AAAAAAAAAAAAAAAAAAAAAA", Until: at.Add(14 * 24 * time.Hour)}}
}

func TestMessagesAreWellFormed(t *testing.T) {
	long := notice()
	long.Hostname = strings.Repeat("long-label.", 20) + "example"
	for i := range 300 {
		long.Parts = append(long.Parts, strings.Repeat("9.", i%50)+"7")
	}
	long.Types = dlp.Types()
	long.Causes = dlp.Causes()
	for _, tc := range []struct {
		name string
		msg  []byte
	}{
		{"held", notify.Config{}.Held(notice())},
		{"held with much", notify.Config{Contact: strings.Repeat("ä", 100)}.Held(long)},
		{"rejected", notify.Config{}.Rejected(long)},
		{"waits", notify.Config{}.Waiting(waits(), 2)},
		{"dsn", notify.Config{}.DSN(dsn())},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for line := range strings.SplitAfterSeq(string(tc.msg), "\n") {
				if line != "" && !strings.HasSuffix(line, "\r\n") || len(line) > 1000 {
					t.Errorf("line %q", line)
				}
			}
			m, err := mail.ReadMessage(bytes.NewReader(tc.msg))
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Header.Get("Auto-Submitted"); got != "auto-replied" {
				t.Errorf("Auto-Submitted = %q", got)
			}
			if got := m.Header.Get("To"); got != "<alice@clinic.example>" {
				t.Errorf("To = %q", got)
			}
			if d, err := m.Header.Date(); err != nil || d.Unix() != at.Unix() {
				t.Errorf("Date = %v, %v", d, err)
			}
			if got := m.Header.Get("X-Stanch-Id"); got != string(doc) {
				t.Errorf("X-Stanch-Id = %q", got)
			}
			fs, err := message.ReadHeader(bytes.NewReader(tc.msg), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if notify.Wanted(fs, alice) {
				t.Error("a notice may be answered by a notice")
			}
		})
	}
}

func TestDSNParts(t *testing.T) {
	m, err := mail.ReadMessage(bytes.NewReader(notify.Config{}.DSN(dsn())))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("Content-Type = %q, %v, %v", kind, params, err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	var kinds []string
	var status string
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		k, _, _ := strings.Cut(p.Header.Get("Content-Type"), ";")
		kinds = append(kinds, k)
		if k == "message/delivery-status" {
			status = string(b)
		}
	}
	if got, want := strings.Join(kinds, " "), "text/plain message/delivery-status text/rfc822-headers"; got != want {
		t.Errorf("parts = %q, want %q", got, want)
	}
	groups := strings.Split(strings.TrimSpace(status), "\r\n\r\n")
	if len(groups) != 3 {
		t.Fatalf("%d groups of fields, want one for the message and one a recipient: %q", len(groups), status)
	}
	for i, want := range []string{"Reporting-Mta: dns; gw.example", "Final-Recipient: rfc822; bob@other.example", `Final-Recipient: rfc822; "carol jones"@other.example`} {
		if !strings.HasPrefix(groups[i], want) {
			t.Errorf("group %d = %q, want it to begin %q", i, groups[i], want)
		}
	}
}

// TestNothingForeign: what a caller hands in by mistake adds no field and no
// name to a notice.
func TestNothingForeign(t *testing.T) {
	n := notice()
	n.Parts = []string{"Quillon.docx", "2/Quillon.docx", "2.Quillon", "3/1/Quillon"}
	n.Types = []dlp.Type{"Quillon"}
	n.To.Local = "x\r\nBcc: eve@other.example\r\n"
	d := dsn()
	d.Rcpts[0].Status = "5.1.1 Quillon"
	for _, msg := range [][]byte{notify.Config{}.Held(n), notify.Config{}.Rejected(n), notify.Config{}.DSN(d), notify.Stub(n, notify.Config{})} {
		if bytes.Contains(msg, []byte("Quillon")) {
			t.Errorf("a name stands in\n%s", msg)
		}
		if bytes.Contains(msg, []byte("\nBcc")) {
			t.Errorf("a field was added in\n%s", msg)
		}
	}
}

func TestEveryTypeHasWords(t *testing.T) {
	for _, typ := range dlp.Types() {
		if typ == "CUSTOM" {
			continue
		}
		n := notice()
		n.Types, n.Causes, n.Parts = []dlp.Type{typ}, nil, nil
		if bytes.Contains(notify.Config{}.Held(n), []byte("information that is protected")) {
			t.Errorf("%s has no words", typ)
		}
	}
}

func TestWanted(t *testing.T) {
	for _, tc := range []struct {
		name   string
		from   dlp.Address
		header string
		want   bool
	}{
		{"a person", alice, "Subject: x\r\n", true},
		{"null reverse-path", dlp.Address{}, "Subject: x\r\n", false},
		{"automatic", alice, "Auto-Submitted: auto-generated\r\n", false},
		{"bulk", alice, "Precedence: bulk\r\n", false},
		{"list", alice, "List-Id: x\r\n", false},
		{"mail system", dlp.Address{Local: "MAILER-DAEMON", Domain: "x.example"}, "", false},
		{"owner of a list", dlp.Address{Local: "owner-news", Domain: "x.example"}, "", false},
		{"list's own address", dlp.Address{Local: "news-request", Domain: "x.example"}, "", false},
		{"list's bounces", dlp.Address{Local: "news-bounces", Domain: "x.example"}, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fs, err := message.ReadHeader(strings.NewReader(tc.header+"\r\n"), 1000)
			if err != nil {
				t.Fatal(err)
			}
			if got := notify.Wanted(fs, tc.from); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestKey(t *testing.T) {
	mac := func(kind string, parts ...[]byte) (sum [32]byte) {
		copy(sum[:], kind+"|"+string(bytes.Join(parts, []byte("|"))))
		return sum
	}
	upper := dlp.Address{Local: "ALICE", Domain: "clinic.example"}
	if notify.Key(mac, alice, "p") != notify.Key(mac, upper, "p") {
		t.Error("the case of the local part makes another key")
	}
	if notify.Key(mac, alice, "p") == notify.Key(mac, alice, "q") {
		t.Error("two policies have one key")
	}
}

func TestConfig(t *testing.T) {
	for _, tc := range []struct {
		name    string
		cfg     notify.Config
		wantKey string
	}{
		{"default", notify.Default(), ""},
		{"both", notify.Config{Contact: "555-0100", From: "privacy@clinic.example"}, ""},
		{"two lines", notify.Config{Contact: "a\nb"}, "notify.contact"},
		{"too long", notify.Config{Contact: strings.Repeat("x", 201)}, "notify.contact"},
		{"no address", notify.Config{From: "privacy"}, "notify.from"},
		{"officers", notify.Config{Officers: []string{"privacy@clinic.example"}, AtOnce: "high", Digest: []string{"07:30", "13:00"}}, ""},
		{"no severity", notify.Config{Officers: []string{"privacy@clinic.example"}, AtOnce: "worst"}, "notify.at_once"},
		{"no time of day", notify.Config{Officers: []string{"privacy@clinic.example"}, Digest: []string{"07:30", "25:00"}}, "notify.digest[1]"},
		{"nobody at once", notify.Config{AtOnce: "high"}, "notify.officers"},
		{"nobody's digest", notify.Config{Digest: []string{"07:30"}}, "notify.officers"},
		{"a name", notify.Config{From: "Privacy <privacy@clinic.example>"}, "notify.from"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.cfg.Validate()
			got := ""
			if ke, ok := errors.AsType[*dlp.KeyError](err); ok {
				got = ke.Key
			}
			if got != tc.wantKey {
				t.Errorf("Validate = %v, want key %q", err, tc.wantKey)
			}
		})
	}
}

// TestNoteIsPlain: of what a reviewer writes nothing goes out that is no text.
func TestNoteIsPlain(t *testing.T) {
	n := notice()
	n.Note = "use the portal\r.\x1b[31m\x00\n\u202Ethanks\u2066!"
	if got := string(notify.Config{}.Rejected(n)); !strings.Contains(got, "use the portal.[31m\r\nthanks!\r\n") {
		t.Errorf("the notice says\n%s", got)
	}
}
