package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const bypassOn = "\n[bypass]\nenabled = true\nmax = \"2h\"\n[notify]\nofficers = [\"officer@clinic.example\"]\n"

// bypassState is one line of `bypass list --format json`.
type bypassState struct {
	ID, Reason, How string
	Active          bool
	Passed          int64
	Ends            time.Time
}

func (g *gateway) bypasses(verb string) []bypassState {
	g.t.Helper()
	var bs []bypassState
	out := g.must("bypass", verb, "--format", "json")
	if err := json.Unmarshal([]byte(out), &bs); err != nil {
		g.t.Fatalf("bypass %s: %v: %s", verb, err, out)
	}
	return bs
}

// TestBypass: mail passes unread while it is in force, over kill -9 too, and is
// read again after; nothing of the reason shows where it must not.
//
// long: one story, each step of which needs the one before
func TestBypass(t *testing.T) {
	t.Parallel()
	metricsAddr := freeAddr(t)
	g := newGateway(t, options{extra: bypassOn + fmt.Sprintf("[metrics]\nlisten = %q\n", metricsAddr)})
	if _, code := g.cli("bypass", "status"); code == 0 {
		t.Error("bypass status succeeds although serve does not run")
	}
	g.start()
	const who, to = "quillfeather.zephyrine@clinic.example", "zq-correspondent@partner.example"
	offer := func(what string) string {
		t.Helper()
		answer, err := g.send(who, []string{to}, canaryMail(what))
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	if a := offer("before"); !strings.Contains(a, "Held for review") {
		t.Fatalf("before: %s", a)
	}
	if _, code := g.cli("bypass", "--for", "3h", "--reason", "x"); code == 0 {
		t.Error("longer than max is let through")
	}
	g.must("bypass", "--for", "1h", "--reason", canaryText[:40])
	if _, code := g.cli("bypass", "--for", "1h", "--reason", "again"); code == 0 {
		t.Error("a second bypass is let through")
	}
	if a := offer("first"); strings.Contains(a, "Held") {
		t.Fatalf("under the bypass: %s", a)
	}
	ends := g.bypasses("status")[0].Ends
	drained(t, g) // killed amid it, a notice might come twice: it is not what this is about
	g.kill()
	g.start()
	if a := offer("second"); strings.Contains(a, "Held") {
		t.Fatalf("after kill -9 under the bypass: %s", a)
	}
	if now := g.bypasses("status"); len(now) != 1 || !now[0].Ends.Equal(ends) || now[0].Passed != 2 {
		t.Errorf("after kill -9: %+v, want one that ends at %v, and 2 messages passed", now, ends)
	}
	record := filepath.Join(g.data(), "state", "bypass", g.bypasses("status")[0].ID+".bypass")
	inForce := read(t, record)
	health := page(t, "http://"+metricsAddr+"/healthz")
	if !strings.Contains(health, `"alarms":["bypass"]`) {
		t.Errorf("/healthz: %s", health)
	}
	measured := page(t, "http://"+metricsAddr+"/metrics")
	for _, want := range []string{"stanch_bypass_active 1", "stanch_bypass_passed_total 1"} {
		if !strings.Contains(measured, want+"\n") {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	g.must("bypass", "end")
	if a := offer("after"); !strings.Contains(a, "Held for review") {
		t.Fatalf("after its end: %s", a)
	}
	drained(t, g)
	g.kill()
	write(t, record, inForce, 0o600) // somebody puts a file of the backup back
	g.start()
	if a := offer("later"); !strings.Contains(a, "Held for review") {
		t.Fatalf("after its end, kill -9 and its old record: %s", a)
	}
	list := g.bypasses("list")
	if len(list) != 1 || list[0].Active || list[0].How != "stopped" || list[0].Reason != canaryText[:40] {
		t.Errorf("list: %+v", list)
	}
	eventually(t, "the outbox is empty", func() bool { return strings.Contains(g.must("queue", "list"), "empty") })
	log := g.must("audit", "export")
	for _, want := range []string{`"kind":"bypass_on"`, `"kind":"bypass_off"`, `"reason":"bypass"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
	g.must("audit", "verify")
	for what, text := range map[string]string{"the log": g.logged(), "standard output": g.printed(), "metrics": measured + health, "audit export": log} {
		noCanary(t, what, text)
	}
	told := 0
	for _, m := range g.delivered() {
		if strings.Contains(m, "To: <officer@clinic.example>") {
			told++
			noCanary(t, "notice to an officer", m)
		}
	}
	if told != 2 {
		t.Errorf("officers had %d notices, want 2", told)
	}
	for _, f := range filesWith(t, g.data(), canary...) {
		t.Error(f)
	}
}

func page(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestBypassWithoutReaders: the night on which no child starts. serve runs, asks
// senders to try again, and a bypass lets mail pass; once the readers are back
// and SIGHUP says so, mail is read.
func TestBypassWithoutReaders(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{extra: bypassOn})
	cache := filepath.Join(g.data(), "cache", "pdfium")
	kept := filepath.Join(g.dir, "pdfium")
	if err := os.Rename(cache, kept); err != nil {
		t.Fatal(err)
	}
	write(t, cache, "no folder", 0o600)
	g.start()
	_, err := g.send("ada@clinic.example", []string{"sam@partner.example"}, "Subject: x\r\n\r\nhello\r\n")
	if err == nil || !strings.Contains(err.Error(), "451") {
		t.Fatalf("without readers: %v, want 451", err)
	}
	if out := g.must("bypass", "status"); !strings.Contains(out, "Nothing can be read") {
		t.Errorf("status without readers: %s", out)
	}
	g.must("bypass", "--for", "1h", "--reason", "no child starts")
	if a, err := g.send("ada@clinic.example", []string{"sam@partner.example"}, canaryMail("unread")); err != nil || strings.Contains(a, "Held") {
		t.Fatalf("under the bypass: %s, %v", a, err)
	}
	if err := os.Remove(cache); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(kept, cache); err != nil {
		t.Fatal(err)
	}
	if out := g.must("bypass", "end"); !strings.Contains(out, "Nothing can be read") {
		t.Errorf("end without readers: %s", out)
	}
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "mail is read again", func() bool {
		a, err := g.send("ada@clinic.example", []string{"sam@partner.example"}, canaryMail("read"))
		return err == nil && strings.Contains(a, "Held for review")
	})
	if out := g.must("bypass", "status"); !strings.Contains(out, "Mail is read.") {
		t.Errorf("status with readers: %s", out)
	}
}

// TestBypassStatusWithoutScan: where all passes unread anyway, status does not
// say that mail is read.
func TestBypassStatusWithoutScan(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{extra: bypassOn + "[scan]\nenabled = false\n"})
	g.start()
	if out := g.must("bypass", "status"); !strings.Contains(out, "passes unread") {
		t.Errorf("status without scan: %s", out)
	}
}

// TestBrokenConfiguration: while serve runs, nobody is kept from the vault, the
// outbox, the audit log or the bypass by a configuration that does not hold.
func TestBrokenConfiguration(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{extra: bypassOn})
	g.start()
	for range 2 {
		if a, err := g.send("ada@clinic.example", []string{"sam@partner.example"}, canaryMail("x")); err != nil || !strings.Contains(a, "Held") {
			t.Fatalf("got %s, %v, want it held", a, err)
		}
	}
	holds := read(t, g.config)
	for name, text := range map[string]string{
		"an unknown section":        holds + "\n[no_such_section]\nkey = 1\n",
		"a value that is not taken": strings.Replace(holds, "[bypass]\nenabled = true", "[bypass]\nenabled = 3", 1),
		"what is no TOML":           holds + "\nkey = \n",
	} {
		t.Run(name, func(t *testing.T) {
			write(t, g.config, text, 0o600)
			if _, code := g.cli("config", "check"); code != 1 {
				t.Fatalf("config check: exit %d, want 1", code)
			}
			g.must("bypass", "--for", "1h", "--reason", "the night is long")
			if a, err := g.send("ada@clinic.example", []string{"sam@partner.example"}, canaryMail("unread")); err != nil || strings.Contains(a, "Held") {
				t.Errorf("under the bypass: %s, %v", a, err)
			}
			g.must("bypass", "status")
			g.must("bypass", "end")
			g.must("queue", "list")
			g.must("audit", "verify")
			var held []item
			r := shell(t, g.dir, "", "quarantine", "list", "--format", "json", "--config", g.config)
			if err := json.Unmarshal([]byte(r.out), &held); err != nil || len(held) == 0 || r.code != 0 {
				t.Fatalf("quarantine list: exit %d, %v, %q", r.code, err, r.out)
			}
			if !strings.Contains(r.errs, "the configuration does not hold") || !strings.Contains(r.errs, g.config+":") {
				t.Errorf("no warning on standard error: %q", r.errs)
			}
			g.must("quarantine", "show", held[0].ID)
			if r := shell(t, g.dir, "", "upgrade", "--config", g.config); r.code != 2 || !strings.Contains(r.errs, "the old program goes on") {
				t.Errorf("upgrade: exit %d, %s, want 2 and that the old program goes on", r.code, r.errs)
			}
		})
	}
	g.must("quarantine", "release", g.held()[0].ID)
	g.kill()
	for _, tt := range []struct{ command, want string }{{"quarantine list", "no serve answers"}, {"bypass status", "serve does not run"}} {
		r := shell(t, g.dir, "", append(strings.Fields(tt.command), "--config", g.config)...)
		if r.code != 2 || !strings.Contains(r.errs, tt.want) || !strings.Contains(r.errs, g.config+":") {
			t.Errorf("%s without a serve: exit %d, %s, want 2, %q and what is wrong", tt.command, r.code, r.errs, tt.want)
		}
	}
}
