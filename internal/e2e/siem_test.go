package e2e

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestSIEM: a receiver of events hears of a hold and a release, also where serve
// is killed between its answer and the note of it, and while it is down, which
// holds up no mail; `stanch doctor` and the metrics say so; nothing of the
// patient is told.
//
// long: one story, each step of which needs the one before
func TestSIEM(t *testing.T) {
	t.Parallel()
	type told struct {
		ID, Kind, Doc, Action, Checkpoint string
	}
	var (
		mu   sync.Mutex
		took []told
		raw  strings.Builder
		down bool
	)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		b, err := io.ReadAll(r.Body)
		if err != nil || down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var e told
		if err := json.Unmarshal(b, &e); err != nil || e.ID != r.Header.Get("webhook-id") || !strings.HasPrefix(r.Header.Get("webhook-signature"), "v1,") {
			t.Errorf("got %s, %v", r.Header, err)
		}
		took = append(took, e)
		fmt.Fprintln(&raw, r.Header, string(b))
	}))
	defer srv.Close()
	set := func(now bool) {
		mu.Lock()
		defer mu.Unlock()
		down = now
	}
	all := func(kind string) (out []told) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range took {
			if e.Kind == kind {
				out = append(out, e)
			}
		}
		return out
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secret"), "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n", 0o600)
	write(t, filepath.Join(dir, "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})), 0o600)
	measured := freeAddr(t)
	g := newGateway(t, options{extra: fmt.Sprintf(`
[metrics]
listen = %q
[[siem]]
name = "soc"
url = %q
secret_file = %q
tls_ca = %q
`, measured, srv.URL, filepath.Join(dir, "secret"), filepath.Join(dir, "ca.pem"))})
	const from = "quillfeather.zephyrine@clinic.example"
	to := []string{"zq-correspondent@partner.example"}

	g.start("STANCH_CRASH_AT=siem sent")
	_, _ = g.send(from, to, canaryMail("one")) // it may be cut off
	if !g.ended() {
		t.Fatal("serve did not reach the step")
	}
	g.start()
	eventually(t, "the decision is told twice", func() bool { return len(all("decision")) == 2 })
	if d := all("decision"); d[0] != d[1] || d[0].Action != "quarantine" {
		t.Errorf("got %+v, want the same hold twice", d)
	}
	eventually(t, "a checkpoint is told", func() bool { return len(all("checkpoint")) > 0 })
	kept := filepath.Join(dir, "checkpoint")
	write(t, kept, all("checkpoint")[0].Checkpoint, 0o600)

	set(true)
	if _, err := g.send(from, to, canaryMail("two")); err != nil {
		t.Errorf("with a receiver that is down: %v", err)
	}
	metrics := func() string {
		res, err := http.Get("http://" + measured + "/metrics")
		if err != nil {
			return ""
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return string(b)
	}
	eventually(t, "the metrics tell of failures", func() bool {
		m := metrics()
		return strings.Contains(m, `stanch_siem_failures_total{receiver="soc"}`) && !strings.Contains(m, `stanch_siem_failures_total{receiver="soc"} 0`)
	})
	out, _ := g.cli("doctor", "--only", "siem")
	if !strings.Contains(out, "receiver soc") || strings.Contains(out, "nothing waits") {
		t.Errorf("doctor says %s", out)
	}
	g.kill()
	set(false)
	g.start()
	id := all("decision")[0].Doc
	g.must("quarantine", "release", id)
	eventually(t, "the second hold and the release are told", func() bool { return len(all("decision")) == 3 && len(all("release")) == 1 })
	if r := all("release")[0]; r.Doc != id {
		t.Errorf("got a release of %s, want %s", r.Doc, id)
	}
	mu.Lock()
	kinds := slices.IndexFunc(took, func(e told) bool { return e.Kind == "release" })
	last := slices.IndexFunc(took, func(e told) bool { return e.Kind == "decision" && e.Doc != id })
	mu.Unlock()
	if kinds < last {
		t.Error("the release was told before the hold that came before it")
	}
	eventually(t, "doctor is content", func() bool {
		out, code := g.cli("doctor", "--only", "siem")
		return code == 0 && strings.Contains(out, "nothing waits")
	})
	g.must("audit", "verify", "--checkpoint", kept)
	write(t, kept, strings.Replace(all("checkpoint")[0].Checkpoint, "version 1", "version 2", 1), 0o600)
	if _, code := g.cli("audit", "verify", "--checkpoint", kept); code != 1 {
		t.Errorf("a changed checkpoint: exit status %d, want 1", code)
	}
	mu.Lock()
	noCanary(t, "what a receiver was told", raw.String())
	mu.Unlock()
	cursor, err := os.ReadFile(filepath.Join(g.data(), "state", "siem", "soc"))
	if err != nil {
		t.Fatal(err)
	}
	noCanary(t, "the cursor", string(cursor))
	noCanary(t, "the log", g.logged())
	noCanary(t, "metrics", metrics())
}
