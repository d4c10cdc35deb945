package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	gosmtp "github.com/emersion/go-smtp"
)

// gateway plays the part of a running stanch: it sorts what comes by a fixed
// list, as a correct one would.
type gateway struct {
	site  site
	list  string // file that the program of fakeBin prints
	mu    sync.Mutex
	held  []held // under mu
	files int    // under mu
	pass  map[string]bool
}

func (g *gateway) hold(h held) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h.ID, h.State = fmt.Sprintf("id%d", len(g.held)+1), "held"
	g.held = append(g.held, h)
	b, err := json.Marshal(g.held)
	if err == nil {
		err = os.WriteFile(g.list, b, 0o600)
	}
	if err != nil {
		panic(err)
	}
}

// ServeHTTP answers as /metrics, and takes the files that it finds first.
func (g *gateway) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	paths, _ := filepath.Glob(filepath.Join(g.site.share, "demo-*", "*"))
	for _, path := range paths {
		name := filepath.Base(path)
		if i := slices.IndexFunc(files(), func(f dropped) bool { return f.name == name && f.taken }); i >= 0 {
			g.hold(held{Channel: "file", Path: filepath.Join(filepath.Base(filepath.Dir(path)), name), Policy: "phi-number", Rules: []string{"us-ssn"}})
			_ = os.Remove(path)
		}
		g.mu.Lock()
		g.files++
		g.mu.Unlock()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	fmt.Fprintf(w, "# HELP stanch_documents_total …\nstanch_documents_total{channel=\"file\",outcome=\"held\"} %d\nstanch_documents_total{channel=\"mail\",outcome=\"held\"} 7\n", g.files)
}

func (g *gateway) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return &session{g: g}, nil }

type session struct{ g *gateway }

func (s *session) Mail(string, *gosmtp.MailOptions) error { return nil }
func (s *session) Rcpt(string, *gosmtp.RcptOptions) error { return nil }
func (s *session) Reset()                                 {}
func (s *session) Logout() error                          { return nil }

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(raw))).ReadMIMEHeader()
	if err != nil {
		return err
	}
	id := header.Get(idHeader)
	n := id[strings.LastIndexByte(id, '-')+1:]
	if n == "1" || n == "8" || s.g.pass[n] {
		if err := os.WriteFile(filepath.Join(s.g.site.maildir, "new", id), raw, 0o600); err != nil {
			return err
		}
	}
	if n == "1" || s.g.pass[n] {
		return nil
	}
	h := held{Channel: "mail", Policy: "phi-leaves", Rules: []string{"mrn"}, Recipients: []string{partner}, Header: id}
	if n == "7" {
		h.Policy, h.Rules, h.Causes = "", nil, []string{"encrypted"}
	}
	s.g.hold(h)
	return nil
}

// startGateway returns the folder of a prepared demo with a gateway running.
// pass names messages, by number, that it wrongly lets through.
func startGateway(t *testing.T, pass ...string) (dir, bin string) {
	t.Helper()
	dir = t.TempDir()
	if err := prepare(io.Discard, dir); err != nil {
		t.Fatal(err)
	}
	site, err := load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(site.maildir, "new"), 0o700); err != nil {
		t.Fatal(err)
	}
	g := &gateway{site: site, list: filepath.Join(dir, "list.json"), pass: map[string]bool{}}
	for _, n := range pass {
		g.pass[n] = true
	}
	metrics := httptest.NewServer(g)
	t.Cleanup(metrics.Close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := gosmtp.NewServer(g)
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(ln) })                              // ends by Close
	t.Cleanup(func() { _ = ln.Close(); _ = server.Close(); wg.Wait() }) // the listener too: a Close before Serve knows it leaves it open

	config := filepath.Join(dir, "stanch.toml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.NewReplacer("127.0.0.1:2525", ln.Addr().String(), "127.0.0.1:9025", metrics.Listener.Addr().String()).Replace(string(text))
	bin = filepath.Join(dir, "stanch")
	for name, content := range map[string]string{config: edited, g.list: "[]",
		bin: "#!/bin/sh\ncase $2 in\nlist) cat " + g.list + " ;;\nesac\n"} {
		if err := os.WriteFile(name, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir, bin
}

func TestRun(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		pass []string
		wait time.Duration
		err  error
		want []string
	}{
		{"as expected", nil, time.Minute, nil, []string{
			"clean letter with a logo      intake@partner.example  delivered",
			"SSN in the body               intake@partner.example  held               phi-leaves: mrn\n",
			"referral, inside and outside  ward3@clinic.example    delivered          stays inside the clinic\n",
			"encrypted zip                 intake@partner.example  held               on_gap: encrypted\n",
			"price list, .xlsx             prices.xlsx             left in place",
			"encrypted zip                 backup.zip              held               phi-number: us-ssn\n",
			"quarantine show id1 --config",
		}},
		{"a leak", []string{"2"}, 700 * time.Millisecond, errUnexpected, []string{
			"SSN in the body               intake@partner.example  delivered          nothing a policy names  << not as expected\n",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, bin := startGateway(t, tt.pass...)
			var got bytes.Buffer
			err := run(t.Context(), &got, options{dir: dir, bin: bin, wait: tt.wait})
			if !errors.Is(err, tt.err) {
				t.Fatalf("got error %v, want %v; printed:\n%s", err, tt.err, got.String())
			}
			for _, want := range tt.want {
				if !strings.Contains(got.String(), want) {
					t.Errorf("got:\n%s\nwant it to hold %q", got.String(), want)
				}
			}
		})
	}
}

func TestRunWithoutGateway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := run(t.Context(), io.Discard, options{dir: dir}); err == nil || !strings.Contains(err.Error(), "make run") {
		t.Errorf("without a configuration: got %v, want the advice to start make run", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := prepare(io.Discard, dir); err != nil {
		t.Fatal(err)
	}
	if err := run(ctx, io.Discard, options{dir: dir}); err == nil || !strings.Contains(err.Error(), "make run") {
		t.Errorf("without a gateway: got %v, want the advice to start make run", err)
	}
}

func TestPrepareKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), `with "quotes" and ünicode`)
	if err := prepare(io.Discard, dir); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "stanch.toml")
	var parsed struct {
		DataDir string `toml:"data_dir"`
	}
	if _, err := toml.DecodeFile(config, &parsed); err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "data"); parsed.DataDir != want {
		t.Errorf("data_dir: got %q, want %q", parsed.DataDir, want)
	}
	if err := os.WriteFile(config, []byte("# mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := prepare(io.Discard, dir); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(config); string(got) != "# mine" {
		t.Errorf("got %q, want the edited file", got)
	}
}

func TestBecause(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		held held
		want string
	}{
		{"policy and rules", held{Policy: "phi-number", Rules: []string{"us-mbi", "us-ssn"}}, "phi-number: us-mbi, us-ssn"},
		{"gap with its cause", held{Causes: []string{"encrypted"}}, "on_gap: encrypted"},
		{"gap without", held{}, "on_gap: could not be read"},
		{"policy alone", held{Policy: "send-sealed"}, "send-sealed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := because(tt.held); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
