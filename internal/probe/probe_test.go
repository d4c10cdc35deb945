package probe_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/probe"
)

// keys are a site's, by a word of its own.
type keys string

func (k keys) MAC(kind string, parts ...[]byte) [32]byte {
	return sha256.Sum256([]byte(string(k) + "\x00" + kind + "\x00" + string(bytes.Join(parts, []byte{0}))))
}

var (
	byMail   = probe.Route{Name: "out", Via: "mail.clinic.example:25", From: "probe@clinic.example", To: "probe@outside.example"}
	byFolder = probe.Route{Name: "share", Folder: "/srv/share"}
	to       = []dlp.Address{{Local: "probe", Domain: "Outside.example"}}
)

type site struct {
	t    *testing.T
	path string
	now  time.Time
	keys keys
	cfg  probe.Config
}

func newSite(t *testing.T) *site {
	return &site{t: t, path: filepath.Join(t.TempDir(), "probes.json"), now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), keys: "ours",
		cfg: probe.Config{Routes: []probe.Route{byMail, byFolder}}}
}

func (s *site) open() *probe.Book {
	s.t.Helper()
	b, err := probe.Open(probe.Options{Path: s.path, Hostname: "gw.example", Config: s.cfg, Keys: s.keys, Now: func() time.Time { return s.now }})
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *site) send(b *probe.Book, name string) probe.Post {
	s.t.Helper()
	p, err := b.Make(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func TestRecognise(t *testing.T) {
	s := newSite(t)
	b := s.open()
	p, f := s.send(b, "out"), s.send(b, "share")
	received := "Received: from mail.clinic.example by gw.example;\r\n\tWed, 25 Nov 2026 12:00:00 +0000\r\n"
	msg := string(p.Mail)
	token := regexp.MustCompile(`stanch-probe-[a-z2-7]{26}-[a-z2-7]{26}`).FindString(msg)
	for name, tc := range map[string]struct {
		text    string
		channel dlp.Channel
		rcpts   []dlp.Address
		ok      bool
		same    bool
		way     bool
	}{
		"as sent":                  {msg, dlp.Mail, to, true, true, true},
		"with trace fields":        {received + "DKIM-Signature: v=1; d=clinic.example\r\n" + msg, dlp.Mail, to, true, true, true},
		"with LF":                  {strings.ReplaceAll(msg, "\r\n", "\n"), dlp.Mail, to, true, true, true},
		"folded anew":              {strings.Replace(msg, "Content-Type: text/plain; ", "Content-Type: text/plain;\r\n ", 1), dlp.Mail, to, true, true, true},
		"a line end more":          {msg + "\r\n", dlp.Mail, to, true, true, true},
		"a field more":             {"X-Note: for you\r\n" + msg, dlp.Mail, to, true, false, true},
		"a field twice":            {"Subject: Referral\r\n" + msg, dlp.Mail, to, true, false, true},
		"another subject":          {strings.Replace(msg, "Subject: Referral", "Subject: 536-22-8145", 1), dlp.Mail, to, true, false, true},
		"a field less":             {strings.Replace(msg, "MIME-Version: 1.0\r\n", "", 1), dlp.Mail, to, true, false, true},
		"a word more":              {msg + "and 536-22-8145\r\n", dlp.Mail, to, true, false, true},
		"a word less":              {strings.Replace(msg, "Patient: ", "", 1), dlp.Mail, to, true, false, true},
		"in front of a large mail": {msg + strings.Repeat("x", 70<<10), dlp.Mail, to, true, false, true},
		"to another":               {msg, dlp.Mail, []dlp.Address{{Local: "eve", Domain: "evil.example"}}, true, false, true},
		"to one more":              {msg, dlp.Mail, append(to[:1:1], dlp.Address{Local: "eve", Domain: "evil.example"}), true, false, true},
		"as a file":                {msg, dlp.File, nil, true, false, false},
		"a token alone":            {token, dlp.Mail, to, true, false, true},
		"a file as left":           {string(f.Text), dlp.File, nil, true, true, true},
		"a file that was changed":  {"536-22-8145\n" + string(f.Text), dlp.File, nil, true, false, false},
		"a file by mail":           {string(f.Text), dlp.Mail, to, true, false, false},
		"a token with another id":  {strings.ReplaceAll(msg, token[:15], "stanch-probe-zz"), dlp.Mail, to, false, false, false},
		"a seal with one letter":   {strings.ReplaceAll(msg, token, token[:len(token)-1]+flip(token[len(token)-1])), dlp.Mail, to, false, false, false},
		"no token":                 {strings.ReplaceAll(msg, token, ""), dlp.Mail, to, false, false, false},
		"behind what is looked at": {strings.Repeat("x", 70<<10) + token, dlp.Mail, to, false, false, false},
		"quoted to another":        {"Subject: what is this?\r\n\r\n> " + token, dlp.Mail, []dlp.Address{{Local: "officer", Domain: "clinic.example"}}, true, false, false},
		"attached to another":      {"Subject: what is this?\r\n\r\n" + msg, dlp.Mail, []dlp.Address{{Local: "officer", Domain: "clinic.example"}}, true, false, false},
		"a letter about it":        {"about " + token, dlp.File, nil, true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := b.Recognise(strings.NewReader(tc.text), tc.channel, tc.rcpts)
			if ok != tc.ok || got.Same != tc.same || got.OnItsWay != tc.way {
				t.Errorf("got %v, same %v, on its way %v; want %v, %v, %v", ok, got.Same, got.OnItsWay, tc.ok, tc.same, tc.way)
			}
		})
	}
	other := newSite(t)
	other.keys = "theirs"
	if _, ok := other.open().Recognise(strings.NewReader(msg), dlp.Mail, to); ok {
		t.Error("another site's probe is taken for ours")
	}
	forgot := newSite(t)
	if _, ok := forgot.open().Recognise(strings.NewReader(msg), dlp.Mail, to); ok {
		t.Error("a probe that is not remembered is taken for one")
	}
	if got, ok := s.open().Recognise(strings.NewReader(msg), dlp.Mail, to); !ok || !got.Same {
		t.Error("after a restart a probe on its way is not known")
	}
}

// flip is another letter, whose bits all count.
func flip(c byte) string {
	if c == 'q' {
		return "a"
	}
	return "q"
}

func TestProbesAreAboutDifferentPeople(t *testing.T) {
	s := newSite(t)
	b := s.open()
	ssn := regexp.MustCompile(`\d{3}-\d{2}-\d{4}`)
	seen := map[string]bool{}
	for range 20 {
		p := s.send(b, "out")
		n := ssn.FindString(string(p.Mail))
		if n == "" || seen[n] {
			t.Fatalf("number %q is missing, or was there before", n)
		}
		seen[n] = true
		if !strings.HasSuffix(string(p.Mail), "\r\n") || bytes.ContainsRune(bytes.ReplaceAll(p.Mail, []byte("\r\n"), nil), '\n') {
			t.Fatal("line ends are not CRLF throughout")
		}
	}
	book, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range seen {
		if bytes.Contains(book, []byte(n)) {
			t.Errorf("the book holds the number of a probe")
		}
	}
}

func TestStateOfARoute(t *testing.T) {
	s := newSite(t)
	b := s.open()
	state := func(want probe.Result, alarm bool) {
		t.Helper()
		if got := s.open().List()[0]; got.Result != want || got.Alarm != alarm { // as a restart finds it
			t.Errorf("got %+v, want %s, alarm %v", got, want, alarm)
		}
	}
	settle := func(p probe.Post, r probe.Result, news bool) {
		t.Helper()
		if got, _, err := b.Settle(p.Probe.ID, r, ""); err != nil || got != news {
			t.Errorf("Settle(%s) = %v, %v; want %v", r, got, err, news)
		}
	}
	state(probe.NeverSent, false)
	if due, _ := b.Due(); len(due) != 2 {
		t.Errorf("due at first: %v, want both", due)
	}
	first := s.send(b, "out")
	state(probe.OnItsWay, false)
	if due, next := b.Due(); len(due) != 1 || !next.Equal(s.now.Add(10*time.Minute)) {
		t.Errorf("due %v, next %v; want the other, and when the first is overdue", due, next)
	}
	if len(b.Overdue()) != 0 {
		t.Error("overdue at once")
	}
	s.now = s.now.Add(10 * time.Minute)
	if o := b.Overdue(); len(o) != 1 || o[0].ID != first.Probe.ID {
		t.Errorf("overdue: %+v", o)
	}
	settle(first, probe.Missed, true)
	settle(first, probe.Missed, false)
	state(probe.Missed, true)
	settle(first, probe.Caught, true) // it was in a queue
	state(probe.Caught, false)
	settle(first, probe.Missed, false)
	s.now = s.now.Add(6 * time.Hour)
	if due, _ := b.Due(); len(due) != 2 {
		t.Errorf("due after six hours: %v", due)
	}
	second := s.send(b, "out")
	settle(second, probe.Passed, true)
	state(probe.Passed, true)
	settle(second, probe.Caught, false)
	settle(first, probe.Passed, true) // a second copy of an earlier one
	s.now = s.now.Add(6 * time.Hour)
	third := s.send(b, "out")
	state(probe.OnItsWay, true) // until it is caught, the alarm stands
	settle(third, probe.Caught, true)
	state(probe.Caught, false)
	// The clock is set back by a day.
	s.now = s.now.Add(-24 * time.Hour)
	if due, _ := b.Due(); len(due) != 2 {
		t.Errorf("due after the clock was set back: %v", due)
	}
	if _, err := b.Make("nowhere"); err == nil {
		t.Error("a probe on a route that is not configured")
	}
}

// TestPeopleAreToldOnce: of a new alarm, of another one, and once a day.
func TestPeopleAreToldOnce(t *testing.T) {
	s := newSite(t)
	b := s.open()
	for i, tc := range []struct {
		later  time.Duration
		result probe.Result
		tell   bool
		next   time.Duration
	}{
		{0, probe.NotSent, true, 10 * time.Minute},
		{10 * time.Minute, probe.NotSent, false, 10 * time.Minute},
		{10 * time.Minute, probe.Missed, true, 6 * time.Hour},
		{6 * time.Hour, probe.Missed, false, 6 * time.Hour},
		{18 * time.Hour, probe.Missed, true, 6 * time.Hour},
		{6 * time.Hour, probe.Caught, false, 6 * time.Hour},
		{6 * time.Hour, probe.Missed, true, 6 * time.Hour},
	} {
		s.now = s.now.Add(tc.later)
		p := s.send(b, "out")
		if news, tell, err := b.Settle(p.Probe.ID, tc.result, ""); err != nil || !news || tell != tc.tell {
			t.Errorf("%d: Settle(%s) = %v, %v, %v; want tell %v", i, tc.result, news, tell, err, tc.tell)
		}
		b = s.open()
		if got := b.List()[0].Next; !got.Equal(s.now.Add(tc.next)) {
			t.Errorf("%d: next at %v, want after %v", i, got, tc.next)
		}
	}
}

func TestBookIsBoundedAndMended(t *testing.T) {
	s := newSite(t)
	b := s.open()
	first := s.send(b, "out")
	for range 30 {
		s.send(b, "out")
	}
	if _, ok := b.Recognise(bytes.NewReader(first.Mail), dlp.Mail, to); ok {
		t.Error("the oldest of 31 probes is still remembered")
	}
	if err := os.WriteFile(s.path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := probe.Open(probe.Options{Path: s.path, Config: s.cfg, Keys: s.keys})
	if err == nil || b == nil {
		t.Fatalf("a damaged book: %v, %v; want an error and a book", b, err)
	}
	if _, err := b.Make("out"); err != nil {
		t.Error(err)
	}
	if _, err := probe.Look(s.path, s.cfg); err != nil {
		t.Error(err)
	}
	// A disk that takes nothing: no probe is made, and none is forgotten.
	broken := probe.Options{Path: filepath.Join(t.TempDir(), "none", "probes.json"), Config: s.cfg, Keys: s.keys}
	if b, err = probe.Open(broken); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Make("out"); err == nil {
		t.Error("a probe that is not on record was made")
	}
	if got := b.List()[0]; !got.LastSent.IsZero() {
		t.Errorf("got %+v, want it never sent", got)
	}
}

func TestValidate(t *testing.T) {
	with := func(change func(*probe.Route)) probe.Route {
		r := byMail
		change(&r)
		return r
	}
	for name, tc := range map[string]struct {
		routes []probe.Route
		key    string
	}{
		"by mail and by folder": {[]probe.Route{byMail, byFolder}, ""},
		"sendmail":              {[]probe.Route{with(func(r *probe.Route) { r.Via = "sendmail" })}, ""},
		"sendmail of a site":    {[]probe.Route{with(func(r *probe.Route) { r.Via = "sendmail:/opt/sendmail -C /etc/out" })}, ""},
		"twice":                 {[]probe.Route{byMail, byMail}, "doctor.routes[1].name"},
		"a name of a person":    {[]probe.Route{with(func(r *probe.Route) { r.Name = "Ada Byron" })}, "doctor.routes[0].name"},
		"a number for a name":   {[]probe.Route{with(func(r *probe.Route) { r.Name = "a1234567" })}, "doctor.routes[0].name"},
		"nothing":               {[]probe.Route{{Name: "out"}}, "doctor.routes[0].via"},
		"both":                  {[]probe.Route{with(func(r *probe.Route) { r.Folder = "/srv" })}, "doctor.routes[0].via"},
		"no port":               {[]probe.Route{with(func(r *probe.Route) { r.Via = "mail.example" })}, "doctor.routes[0].via"},
		"a relative program":    {[]probe.Route{with(func(r *probe.Route) { r.Via = "sendmail:bin/sendmail" })}, "doctor.routes[0].via"},
		"no recipient":          {[]probe.Route{with(func(r *probe.Route) { r.To = "" })}, "doctor.routes[0].to"},
		"a line in an address":  {[]probe.Route{with(func(r *probe.Route) { r.From = "a\r\nb@c.example" })}, "doctor.routes[0].from"},
		"always":                {[]probe.Route{with(func(r *probe.Route) { r.Every = dlp.Duration(time.Minute) })}, "doctor.routes[0].every"},
		"at once":               {[]probe.Route{with(func(r *probe.Route) { r.Within = 1 })}, "doctor.routes[0].within"},
	} {
		t.Run(name, func(t *testing.T) {
			c := probe.Config{Routes: tc.routes}
			err := c.Validate()
			got := ""
			if k, ok := errors.AsType[*dlp.KeyError](err); ok {
				got = k.Key
			}
			if got != tc.key {
				t.Errorf("Validate = %v, want key %q", err, tc.key)
			}
		})
	}
}

func FuzzRecognise(f *testing.F) {
	dir := f.TempDir()
	b, err := probe.Open(probe.Options{Path: filepath.Join(dir, "probes.json"), Hostname: "gw.example", Config: probe.Config{Routes: []probe.Route{byMail}}, Keys: keys("ours")})
	if err != nil {
		f.Fatal(err)
	}
	p, err := b.Make("out")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("Received: x\r\n"), []byte(""))
	f.Add([]byte("X-Note: y\r\n"), []byte("more\r\n"))
	f.Add([]byte("\r\n"), []byte("\x00"))
	// Whatever is put around a probe: what is called the same has no text but
	// the probe's own, and no field that servers do not add.
	f.Fuzz(func(t *testing.T, before, after []byte) {
		msg := append(append(bytes.Clone(before), p.Mail...), after...)
		s, ok := b.Recognise(bytes.NewReader(msg), dlp.Mail, to)
		if !ok || !s.Same {
			return
		}
		if len(bytes.Trim(after, "\r\n")) > 0 {
			t.Errorf("%q behind the probe is called the same", after)
		}
		for line := range bytes.Lines(before) {
			name, _, found := bytes.Cut(line, []byte(":"))
			if found && len(bytes.TrimSpace(name)) > 0 && name[0] != ' ' && name[0] != '\t' && !regexp.MustCompile(`(?i)^(date|message-id|received|return-path|delivered-to|x-original-to|dkim-signature|authentication-results|received-spf|x-stanch-id|sender|arc-.*)$`).Match(bytes.TrimSpace(name)) {
				t.Errorf("field %q in front of the probe is called the same", name)
			}
		}
	})
}
