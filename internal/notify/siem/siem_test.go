package siem_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/notify/siem"
)

// TestSignature is the example of the Standard Webhooks specification's
// reference libraries, and one that openssl made.
func TestSignature(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	const id, at, body = "17-00112233aabbccdd", "1772359200", `{"kind":"decision"}`
	got := siem.Sign(secret, id, at, []byte(body))
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	cmd := exec.Command(openssl, "dgst", "-sha256", "-mac", "HMAC", "-macopt", "key:"+string(secret), "-binary")
	cmd.Stdin = strings.NewReader(id + "." + at + "." + body)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := base64.StdEncoding.EncodeToString(out); got != want {
		t.Errorf("got %s, openssl says %s", got, want)
	}
}

// place is an audit log with a receiver, and what it took.
type place struct {
	t   *testing.T
	dir string
	log *audit.Log
	cfg siem.Config

	heard func(text string) // hears what the sender logs; may be nil
	skip  func(dlp.ID) bool

	mu   sync.Mutex
	took []sent
	down bool
	away int // so many times it says to ask elsewhere
	srv  *httptest.Server
}

type sent struct {
	ID, Kind, Doc, Action string
	Checkpoint            string
	Raw                   string
}

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir()}
	p.srv = httptest.NewTLSServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.srv.Close)
	ca, file := filepath.Join(p.dir, "ca.pem"), filepath.Join(p.dir, "secret")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.srv.Certificate().Raw})))
	write(t, file, secret+"\n")
	var none dlp.Duration
	p.cfg = siem.Config{Name: "soc", URL: p.srv.URL + "/in", SecretFile: file, TLSCA: ca, CheckpointEvery: none}
	p.open("audit")
	return p
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// open opens the log in a folder of that name.
func (p *place) open(name string) {
	p.t.Helper()
	var err error
	p.log, _, err = audit.Open(p.t.Context(), audit.Options{Dir: filepath.Join(p.dir, name), Key: filepath.Join(p.dir, "key"),
		AnchorPath: filepath.Join(p.dir, name+".head"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		p.t.Fatal(err)
	}
	log := p.log
	p.t.Cleanup(func() { _ = log.Close() })
}

func (p *place) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if p.away--; p.away >= 0 {
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
		return
	}
	if r.URL.Path != "/in" || r.Method != http.MethodPost {
		p.t.Errorf("asked for %s %s", r.Method, r.URL.Path)
	}
	b, err := io.ReadAll(r.Body)
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	id, at := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	if want := "v1," + siem.Sign(key, id, at, b); err != nil || r.Header.Get("webhook-signature") != want {
		p.t.Errorf("got signature %q, want %q", r.Header.Get("webhook-signature"), want)
	}
	var s sent
	if err := json.Unmarshal(b, &s); err != nil || s.ID != id {
		p.t.Errorf("got body %s under id %q", b, id)
	}
	s.Raw = string(b)
	p.took = append(p.took, s)
}

func (p *place) set(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *place) all() []sent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.took)
}

// Write takes what the sender logs.
func (p *place) Write(b []byte) (int, error) {
	if p.heard != nil {
		p.heard(string(b))
	}
	return len(b), nil
}

// run runs a sender until stop is called.
func (p *place) run(step func(string)) (s *siem.Sender, stop func()) {
	p.t.Helper()
	s, err := siem.New(p.t.Context(), []siem.Config{p.cfg}, siem.Deps{Log: p.log, Dir: siem.Dir(p.dir), Hostname: "gw.example",
		Version: "1.2.3", Logger: slog.New(slog.NewTextHandler(p, nil)), OnStep: step, Skip: p.skip})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	p.t.Cleanup(stop)
	return s, stop
}

// event records one and returns its document.
func (p *place) event(e audit.Event) dlp.ID {
	p.t.Helper()
	if e.Doc == "" && e.Kind != audit.Drill {
		e.Doc = dlp.NewID()
	}
	if _, err := p.log.Append(p.t.Context(), e); err != nil {
		p.t.Fatal(err)
	}
	return e.Doc
}

func (p *place) hold() dlp.ID {
	return p.event(audit.Event{Kind: audit.Decision, Channel: dlp.Mail, Action: dlp.Hold.String(), Policy: "phi", Rules: []dlp.RuleID{"us_ssn"},
		Findings: 1, Rcpts: 1, Sender: "00112233445566778899aabbccddeeff", RcptKeys: []string{"ffeeddccbbaa99887766554433221100"}})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not come: " + what)
		}
	}
}

// noted waits until the cursor is behind all that was to be sent: what a receiver
// took and is not noted comes once more.
func (p *place) noted() {
	p.t.Helper()
	eventually(p.t, "the cursor is behind all", func() bool {
		all, err := siem.Look(p.t.Context(), p.dir, filepath.Join(p.dir, "audit"), []siem.Config{p.cfg})
		return err == nil && len(all) == 1 && !all[0].New && all[0].Waiting.IsZero()
	})
}

func docs(all []sent) (ids []string) {
	for _, s := range all {
		ids = append(ids, s.Doc)
	}
	return ids
}

// TestWebhook: of the log what is to be sent is sent, in order, once, signed,
// and nothing of the rest; what happened while the receiver was down and while
// there was no sender comes after.
func TestWebhook(t *testing.T) {
	p := newPlace(t)
	before := p.hold() // the receiver is new: it is not told of the past
	_, stop := p.run(nil)
	want := []string{string(p.hold())}
	p.event(audit.Event{Kind: audit.Decision, Channel: dlp.Mail, Action: dlp.Allow.String()})
	p.event(audit.Event{Kind: audit.Look, Reason: audit.ReasonCase, Actor: "uid:0"})
	want = append(want, string(p.event(audit.Event{Kind: audit.Release, Channel: dlp.Mail, Actor: "uid:0"})))
	want = append(want, string(p.event(audit.Event{Kind: audit.Ask, Channel: dlp.Mail, Actor: "sender"})),
		string(p.event(audit.Event{Kind: audit.Pickup, Channel: dlp.Mail, Reason: audit.ReasonCodeWrong})))
	eventually(t, "four events", func() bool { return len(p.all()) == 4 })
	p.noted()
	p.set(true)
	want = append(want, string(p.hold()))
	stop()
	want = append(want, string(p.hold()))
	p.set(false)
	_, stop = p.run(nil)
	eventually(t, "six events", func() bool { return len(p.all()) >= 6 })
	stop()
	if got := docs(p.all()); !slices.Equal(got, want) || slices.Contains(got, string(before)) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, s := range p.all() {
		if strings.Contains(s.Raw, "ffeeddccbbaa") {
			t.Errorf("recipients' pseudonyms were sent: %s", s.Raw)
		}
	}
}

// TestRedirectsAreNotFollowed: a receiver that says to ask elsewhere has taken nothing,
// and nobody elsewhere is told.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.away = 1
	p.hold() // the receiver is new: it is not told of the past
	p.run(nil)
	want := string(p.hold())
	eventually(t, "the event", func() bool { return len(p.all()) > 0 })
	if got := docs(p.all()); !slices.Equal(got, []string{want}) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestDrillsAreNotTold: of what a drill holds no receiver hears, but that it began.
func TestDrillsAreNotTold(t *testing.T) {
	p := newPlace(t)
	of := dlp.NewID()
	p.skip = func(id dlp.ID) bool { return id == of }
	_, stop := p.run(nil)
	defer stop()
	p.event(audit.Event{Kind: audit.Drill, Of: dlp.NewID(), Actor: "user:dana", Reason: "start:officers"})
	p.event(audit.Event{Kind: audit.Decision, Doc: of, Channel: dlp.Mail, Action: dlp.Hold.String()})
	last := string(p.hold())
	eventually(t, "what was really held", func() bool { return slices.Contains(docs(p.all()), last) })
	if got := docs(p.all()); len(got) != 2 || slices.Contains(got, string(of)) {
		t.Errorf("told of %q", got)
	}
}

// TestKilled: a sender that ends between what a receiver took and the cursor
// sends it once more under the same id, and goes on.
func TestKilled(t *testing.T) {
	p := newPlace(t)
	_, stop := p.run(nil)
	stop()
	first := p.hold()
	cursor := filepath.Join(siem.Dir(p.dir), "soc")
	kept, err := os.ReadFile(cursor)
	if err != nil {
		t.Fatal(err)
	}
	_, stop = p.run(nil)
	eventually(t, "an event", func() bool { return len(p.all()) == 1 })
	stop()
	write(t, cursor, string(kept)) // as if it had not been written
	second := p.hold()
	_, stop = p.run(nil)
	eventually(t, "it and another", func() bool { return len(p.all()) == 3 })
	stop()
	got := p.all()
	if got[0].ID != got[1].ID || got[0].ID == got[2].ID || got[1].Doc != string(first) || got[2].Doc != string(second) {
		t.Errorf("got %+v", got)
	}
}

// TestRestored: with an older log brought back, a receiver is told of what
// comes after, though the numbers were used before, under ids of its own.
func TestRestored(t *testing.T) {
	p := newPlace(t)
	p.hold()
	if err := p.log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.CopyFS(filepath.Join(p.dir, "old"), os.DirFS(filepath.Join(p.dir, "audit"))), copyFile(p.dir+"/audit.head", p.dir+"/old.head")); err != nil {
		t.Fatal(err)
	}
	p.open("audit")
	_, stop := p.run(nil)
	p.hold()
	p.hold()
	eventually(t, "two events", func() bool { return len(p.all()) == 2 })
	p.noted()
	stop()
	p.open("old")
	third := p.hold()
	_, stop = p.run(nil)
	eventually(t, "an event of the old log", func() bool { return len(p.all()) == 3 })
	stop()
	got := p.all()
	if got[2].Doc != string(third) || got[2].ID == got[0].ID {
		t.Errorf("got %+v, want the event of %s", got, third)
	}
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

// TestCheckpoint: the signed checkpoint is sent once for each state of the log.
// A log that goes on from it verifies against it; one that was begun anew with
// the same key does not.
func TestCheckpoint(t *testing.T) {
	p := newPlace(t)
	every := dlp.Duration(time.Second)
	p.cfg.CheckpointEvery = every
	p.hold()
	_, stop := p.run(nil)
	eventually(t, "a checkpoint", func() bool { return len(p.all()) == 1 })
	note := []byte(p.all()[0].Checkpoint)
	time.Sleep(3 * time.Second) // a second like it would come by now
	if n := len(p.all()); n != 1 {
		t.Errorf("the same checkpoint was sent %d times", n)
	}
	stop()
	p.hold()
	if err := p.log.Close(); err != nil {
		t.Fatal(err)
	}
	verify := func(name string, note []byte) error {
		_, err := audit.Verify(t.Context(), filepath.Join(p.dir, name), filepath.Join(p.dir, name+".head"), filepath.Join(p.dir, "key"), note)
		return err
	}
	if err := verify("audit", note); err != nil {
		t.Errorf("the log that went on: %v", err)
	}
	p.open("other")
	p.hold()
	p.hold()
	if err := p.log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := verify("other", note); !errors.Is(err, audit.ErrBroken) {
		t.Errorf("a log begun anew: got %v, want it broken", err)
	}
	if err := verify("audit", []byte(strings.Replace(string(note), "version 1", "version 2", 1))); !errors.Is(err, audit.ErrBroken) {
		t.Errorf("a changed checkpoint: got %v, want it broken", err)
	}
}

// TestLook: doctor sees what waits, whoever runs.
func TestLook(t *testing.T) {
	p := newPlace(t)
	look := func() siem.Status {
		t.Helper()
		all, err := siem.Look(t.Context(), p.dir, filepath.Join(p.dir, "audit"), []siem.Config{p.cfg})
		if err != nil || len(all) != 1 {
			t.Fatalf("got %v, %v", all, err)
		}
		return all[0]
	}
	if s := look(); !s.New {
		t.Errorf("before: got %+v, want it new", s)
	}
	_, stop := p.run(nil)
	stop()
	if s := look(); s.New || s.Unread || !s.Waiting.IsZero() {
		t.Errorf("nothing happened: got %+v", s)
	}
	p.hold()
	if s := look(); s.Waiting.IsZero() {
		t.Errorf("one waits: got %+v", s)
	}
}

func TestValidate(t *testing.T) {
	ok := siem.Config{Name: "soc", URL: "https://siem.example/in", SecretFile: "/etc/s"}
	for name, change := range map[string]func(*siem.Config){
		"url":         func(c *siem.Config) { c.URL = "http://siem.example/in" },
		"name":        func(c *siem.Config) { c.Name = "../x" },
		"format":      func(c *siem.Config) { c.Format = "cef" },
		"secret_file": func(c *siem.Config) { c.SecretFile = "" },
		"tls_cert":    func(c *siem.Config) { c.TLSCert = "a" },
	} {
		c := ok
		change(&c)
		k, is := errors.AsType[*dlp.KeyError](siem.ValidateAll([]siem.Config{ok, c}))
		if !is || k.Key != "siem[1]."+name {
			t.Errorf("%s: got %v", name, k)
		}
	}
	if err := siem.ValidateAll([]siem.Config{ok}); err != nil {
		t.Error(err)
	}
}
