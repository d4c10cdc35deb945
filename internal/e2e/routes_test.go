package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// routeState is one line of doctor routes --format json.
type routeState struct {
	Route, State         string
	Alarm                bool
	LastSent, LastCaught time.Time
}

// routes asks where each route stands.
func (g *gateway) routes() (map[string]routeState, int) {
	g.t.Helper()
	out, code := g.cli("doctor", "routes", "--format", "json")
	var all []struct {
		Route      string    `json:"route"`
		State      string    `json:"state"`
		Alarm      bool      `json:"alarm"`
		LastSent   time.Time `json:"last_sent"`
		LastCaught time.Time `json:"last_caught"`
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		g.t.Fatalf("doctor routes: exit %d: %v: %s", code, err, out)
	}
	by := map[string]routeState{}
	for _, r := range all {
		by[r.Route] = routeState{r.Route, r.State, r.Alarm, r.LastSent, r.LastCaught}
	}
	return by, code
}

// becomes waits until the route is in that state.
func (g *gateway) becomes(route, state string) routeState {
	g.t.Helper()
	var r routeState
	eventually(g.t, "route "+route+" is "+state, func() bool {
		all, _ := g.routes()
		r = all[route]
		return r.State == state
	})
	return r
}

func route(name, via string, more ...string) string {
	return fmt.Sprintf("[[doctor.routes]]\nname = %q\nvia = %q\nfrom = \"probe@clinic.example\"\nto = \"probe@outside.example\"\n%s\n",
		name, via, strings.Join(more, "\n"))
}

// recorded waits until the audit log has just these results of a route's probes:
// one stands there a moment after the route shows it.
func (g *gateway) recorded(route, want string) {
	g.t.Helper()
	eventually(g.t, "on the audit log of the route "+route+": "+want, func() bool { return strings.Join(g.audited(route), " ") == want })
}

// noneHeld waits until nothing is held for an officer: the hold of a probe is
// ended a moment after the probe is caught.
func (g *gateway) noneHeld() {
	g.t.Helper()
	eventually(g.t, "nothing is held for an officer", func() bool { return len(g.held()) == 0 })
}

// audited lists the results of probes on the audit log, oldest first.
func (g *gateway) audited(route string) []string {
	g.t.Helper()
	var results []string
	for line := range strings.Lines(g.must("audit", "export")) {
		var e struct{ Kind, Reason, Result string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			g.t.Fatal(err)
		}
		if e.Kind == "probe" && e.Reason == route {
			results = append(results, e.Result)
		}
	}
	return results
}

// patient finds what names a person in a probe.
var patient = regexp.MustCompile(`(?:Patient|Social security number|\(MBI\)|\(MRN\)|Phone): ([^\r\n]+)`)

// TestRoutesThroughPostfix tries two ways out of a site: one whose mail server
// sends through stanch, and one that goes round it.
//
// long: one Postfix set up and a table of routes
func TestRoutesThroughPostfix(t *testing.T) {
	t.Parallel()
	next, messages := startSMTPSink(t)
	g := newGateway(t, options{nextHop: next})
	through := startPostfix(t, g.addr)
	round := startPostfix(t, next)
	g.change(t, "[metrics]", "[notify]\nofficers = [\"privacy@clinic.example\"]\n"+
		route("guarded", "sendmail:/usr/sbin/sendmail -C "+through.dir, `within = "5m"`)+
		route("open", "sendmail:/usr/sbin/sendmail -C "+round.dir, `within = "3s"`)+"[metrics]")
	g.start()
	r := g.becomes("guarded", "caught")
	if r.Alarm || r.LastCaught.IsZero() || r.LastSent.IsZero() {
		t.Errorf("a way that is guarded: %+v", r)
	}
	if r = g.becomes("open", "missed"); !r.Alarm || !r.LastCaught.IsZero() {
		t.Errorf("a way that goes round stanch: %+v", r)
	}
	if _, code := g.routes(); code != 1 {
		t.Errorf("doctor routes with an alarm: exit %d, want 1", code)
	}
	g.noneHeld()
	if all := g.held("--all"); len(all) != 1 || all[0].State != "rejected" {
		t.Errorf("the vault has %+v, want the probe, ended", all)
	}
	g.recorded("guarded", "sent caught")
	g.recorded("open", "sent missed")
	eventually(t, "the officer is told", func() bool {
		for _, m := range messages() {
			if strings.Contains(m, "was not held") && strings.Contains(m, "on the route open") {
				return true
			}
		}
		return false
	})
	eventually(t, "the log has the alarm", func() bool { return strings.Contains(g.logged(), `"route":"open","result":"missed"`) })
	// The canary: who the probe that left was about stands nowhere.
	var names [][]string
	eventually(t, "the probe that went round stanch has five traces of a person", func() bool {
		names = patient.FindAllStringSubmatch(sinkHas(t, messages, "Social security number: "), -1)
		return len(names) >= 5
	})
	for _, n := range names {
		for where, text := range map[string]string{"log": g.logged(), "audit log": g.must("audit", "export"), "book": read(t, filepath.Join(g.data(), "state", "probes.json"))} {
			if strings.Contains(text, n[1]) {
				t.Errorf("the %s has %q", where, n[1])
			}
		}
	}
	// The way is closed: the next probe ends the alarm.
	if out, err := exec.Command("/usr/sbin/postconf", "-c", round.dir, "-e", "relayhost = ["+strings.Replace(g.addr, ":", "]:", 1)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	round.run("postfix", "-c", round.dir, "reload")
	g.stop()
	g.change(t, `within = "3s"`, `within = "5m"`) // a busy Postfix takes its time
	g.start()
	if out, code := g.cli("doctor", "routes", "--send", "--wait", "open"); code != 0 {
		t.Errorf("after the way was closed: exit %d: %s", code, out)
	}
	if r := g.becomes("open", "caught"); r.Alarm {
		t.Errorf("after the way was closed: %+v", r)
	}
	g.recorded("open", "sent missed sent caught")
	g.noneHeld()
	// What an earlier run saw is known to the next.
	g.stop()
	if all, code := g.routes(); code != 0 || all["open"].State != "caught" || all["guarded"].LastCaught.IsZero() {
		t.Errorf("while nothing serves: exit %d, %+v", code, all)
	}
	if _, code := g.cli("doctor", "routes", "--send"); code != 2 {
		t.Errorf("a probe that nobody would catch: exit %d, want 2", code)
	}
	g.start()
	if got := strings.Join(g.audited("guarded"), " "); got != "sent caught" {
		t.Errorf("after a restart: %q, want no new probe before its time", got)
	}
}

// TestRouteWithRulesSwitchedToMonitor: a probe that passes is an alarm at once,
// long before it is overdue.
func TestRouteWithRulesSwitchedToMonitor(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.change(t, "[metrics]", route("out", g.addr)+"[metrics]")
	g.start()
	g.becomes("out", "caught")
	text := read(t, g.config)
	write(t, g.config, text+"[[policies]]\nid = \"leaves\"\nmode = \"monitor\"\nany = [{ type = \"SSN\" }]\naction = \"quarantine\"\n", 0o600)
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the policy is in force", func() bool { return strings.Contains(g.logged(), "new rules and policies are in force") })
	if out, code := g.cli("doctor", "routes", "--send", "--wait"); code != 1 || !strings.Contains(out, "passed") {
		t.Errorf("exit %d: %s", code, out)
	}
	g.recorded("out", "sent caught sent passed")
	eventually(t, "the next hop has the probe", func() bool { return len(g.delivered()) == 1 })
	write(t, g.config, text, 0o600)
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the old policy is in force", func() bool { return strings.Count(g.logged(), "new rules and policies are in force") == 2 })
	if out, code := g.cli("doctor", "routes", "--send", "--wait"); code != 0 {
		t.Errorf("after the policy is back: exit %d: %s", code, out)
	}
}

// TestRouteByAFolder leaves a file where people leave theirs.
func TestRouteByAFolder(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.change(t, "[metrics]", fmt.Sprintf("[[doctor.routes]]\nname = \"share\"\nfolder = %q\n", g.share)+"[metrics]")
	g.start()
	g.becomes("share", "caught")
	eventually(t, "nothing is left in the folder", func() bool {
		es, err := os.ReadDir(g.share)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			if e.Name() != ".stanch" {
				return false
			}
		}
		return true
	})
	if held := g.held(); len(held) != 0 {
		t.Errorf("a probe is work for an officer: %+v", held)
	}
	// A folder whose files are no longer judged.
	g.stop()
	g.change(t, "[metrics]", "[[policies]]\nid = \"mail-only\"\nwhere = { channels = [\"mail\"] }\nany = [{ type = \"SSN\" }]\naction = \"quarantine\"\n[metrics]")
	g.start()
	if out, code := g.cli("doctor", "routes", "--send", "--wait"); code != 1 || !strings.Contains(out, "passed") {
		t.Errorf("exit %d: %s", code, out)
	}
	eventually(t, "the file is taken away", func() bool {
		left, err := filepath.Glob(filepath.Join(g.share, "stanch-probe-*"))
		return err == nil && len(left) == 0
	})
}

// TestProbesAcrossKills ends serve at each step between making a probe and
// having ended its hold. Afterwards it is caught, and no work for an officer.
func TestProbesAcrossKills(t *testing.T) {
	t.Parallel()
	for i, step := range []string{"committed", "probe handed in", "decision", "probe settled"} {
		t.Run(step, func(t *testing.T) {
			if i > 0 {
				longTest(t)
			}
			g := newGateway(t, options{})
			p := startPostfix(t, g.addr)
			g.change(t, "[metrics]", route("out", "sendmail:/usr/sbin/sendmail -C "+p.dir, `within = "5m"`)+"[metrics]")
			g.start("STANCH_CRASH_AT=" + step)
			if !g.ended() {
				t.Fatal("serve did not end at the step")
			}
			g.start()
			if r := g.becomes("out", "caught"); r.Alarm {
				t.Errorf("got %+v", r)
			}
			g.noneHeld()
			for _, r := range g.audited("out") {
				if r == "missed" || r == "passed" {
					t.Errorf("a false alarm: %q", g.audited("out"))
				}
			}
		})
	}
}

// TestProbesThatAreNot: a token in a mail of somebody's own hides nothing.
func TestProbesThatAreNot(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.change(t, "[metrics]", route("out", g.addr)+"[metrics]")
	g.start()
	g.becomes("out", "caught")
	items := g.held("--all")
	if len(items) != 1 {
		t.Fatalf("the vault has %+v", items)
	}
	sent := g.must("quarantine", "export", items[0].ID, "--reveal")
	to := []string{"probe@outside.example"}
	for _, tc := range []struct {
		name, msg string
		rcpts     []string
		held      int // for an officer
	}{
		{"the same again", sent, to, 0},
		{"with a line of somebody's own", strings.Replace(sent, "Referral\r\n\r\nPatient", "Referral\r\n\r\nAlso 536-22-8145\r\nPatient", 1), to, 1},
		{"with a field of somebody's own", "X-Note: SSN 536-22-8145\r\n" + sent, to, 2},
		{"to somebody else", sent, []string{"eve@evil.example"}, 3},
		{"to one more", sent, []string{"probe@outside.example", "eve@evil.example"}, 4},
		{"a token of nobody's", regexp.MustCompile(`stanch-probe-[a-z2-7]{4}`).ReplaceAllString(sent, "stanch-probe-aaaa"), to, 5},
	} {
		if !strings.Contains(sent, "Referral\r\n\r\nPatient") {
			t.Fatalf("a probe is\n%s", sent)
		}
		if reply, err := g.send("probe@clinic.example", tc.rcpts, tc.msg); err != nil || !strings.Contains(reply, "Held for review") {
			t.Errorf("%s: answered %q, %v; want it held", tc.name, reply, err)
		}
		eventually(t, fmt.Sprintf("%s: %d are held for an officer", tc.name, tc.held), func() bool { return len(g.held()) == tc.held })
	}
}

// TestProbeThatIsQuoted: a mail that speaks of a probe, and is held, says
// nothing of the probe's route: the alarm stands until the probe itself comes.
func TestProbeThatIsQuoted(t *testing.T) {
	t.Parallel()
	open, messages := startSMTPSink(t)
	g := newGateway(t, options{})
	g.change(t, "[metrics]", route("out", open, `within = "2s"`)+"[metrics]")
	g.start()
	g.becomes("out", "missed")
	escaped := strings.ReplaceAll(sinkHas(t, messages, "Social security number: "), "\r\n", "\n")
	_, body, _ := strings.Cut(escaped, "\n\n")
	quoted := "Subject: what is this?\r\n\r\n> " + strings.ReplaceAll(body, "\n", "\r\n> ") + "\r\n"
	if reply, err := g.send("ann@clinic.example", []string{"help@partner.example"}, quoted); err != nil || !strings.Contains(reply, "Held for review") {
		t.Fatalf("the quotation is answered %q, %v, want it held", reply, err)
	}
	eventually(t, "the quotation is seen", func() bool { return strings.Contains(g.logged(), "in a document that is no probe") })
	g.stop()
	g.start() // which looks among what is held
	if all, code := g.routes(); code != 1 || all["out"].State != "missed" || !all["out"].Alarm {
		t.Errorf("after the quotation was held: exit %d, %+v, want the alarm to stand", code, all)
	}
	if held := g.held(); len(held) != 1 {
		t.Errorf("%d are held for an officer, want the quotation", len(held))
	}
	if reply, err := g.send("probe@clinic.example", []string{"probe@outside.example"}, strings.ReplaceAll(escaped, "\n", "\r\n")); err != nil || !strings.Contains(reply, "Held for review") {
		t.Fatalf("the probe is answered %q, %v, want it held", reply, err)
	}
	if r := g.becomes("out", "caught"); r.Alarm {
		t.Errorf("after the probe was held: %+v", r)
	}
}
