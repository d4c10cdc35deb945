package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// reconfigure stops serve, adds text to its configuration, and starts it again.
func (g *gateway) reconfigure(text string) {
	g.t.Helper()
	g.stop()
	b, err := os.ReadFile(g.config)
	if err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(g.config, append(b, text...), 0o600); err != nil {
		g.t.Fatal(err)
	}
	g.start()
}

// refused runs a subcommand that must fail, and returns what it says.
func (g *gateway) refused(args ...string) string {
	g.t.Helper()
	out, err := exec.CommandContext(g.t.Context(), stanch, append(args, "--config", g.config)...).CombinedOutput()
	if err == nil {
		g.t.Errorf("stanch %s: done, want it refused: %s", strings.Join(args, " "), out)
	}
	return string(out)
}

// TestReviewersKeys leads a site from the release key on the server to
// reviewers only: what was held before and what is held since opens with a
// reviewer's key, made by age itself, and with nothing that is on the server.
//
// long: one site led through its changes
func TestReviewersKeys(t *testing.T) {
	t.Parallel()
	ann, annPublic := ageKey(t)
	ben, benPublic := ageKey(t)
	g := newGateway(t, options{extra: quietPolicy + `
[[policies]]
id = "hold-files"
where = { channels = ["file"] }
all = [ { type = "SSN" } ]
action = "quarantine"
`})
	g.start()
	path := filepath.Join(g.share, "patients.csv")
	write(t, path, phiFile, 0o640)
	if _, err := g.send("ada@clinic.example", outside, phiMail); err != nil {
		t.Fatal(err)
	}
	eventually(t, "mail and file are held", func() bool { return len(g.held()) == 2 })
	if out := g.must("vault", "keys"); !strings.Contains(out, "this server") || strings.Contains(out, annPublic) {
		t.Errorf("keys before: %s", out)
	}

	g.reconfigure(fmt.Sprintf("[vault]\nreviewers = [%q]\nreviewers_only = true\n", annPublic))
	if exists(filepath.Join(g.data(), "keys", "release.agekey")) {
		t.Error("the release key is still on the server")
	}
	if out := g.must("vault", "keys"); strings.Contains(out, "this server (") || !strings.Contains(out, annPublic) {
		t.Errorf("keys with reviewers only: %s", out)
	}
	if _, err := g.send("ada@clinic.example", outside, strings.Replace(phiMail, "Subject: ", "Subject: second ", 1)); err != nil {
		t.Fatal(err)
	}
	items := g.held()
	if len(items) != 3 {
		t.Fatalf("%d held, want 3", len(items))
	}
	for _, it := range items {
		for _, args := range [][]string{{"release", it.ID}, {"show", it.ID}, {"export", it.ID, "--reveal"}} {
			if said := g.refused(append([]string{"quarantine"}, args...)...); !strings.Contains(said, "--identity") {
				t.Errorf("%s without a key says %q", args[0], said)
			}
			if said := g.refused(append([]string{"quarantine", "--identity", ben}, args...)...); !strings.Contains(said, "not the key of anybody") {
				t.Errorf("%s with a stranger's key says %q", args[0], said)
			}
		}
		g.must("quarantine", "show", it.ID, "--identity", ann)
	}
	open := filepath.Join(t.TempDir(), "open.txt")
	write(t, open, read(t, ann), 0o644)
	if said := g.refused("quarantine", "show", items[0].ID, "--identity", open); !strings.Contains(said, "0600") {
		t.Errorf("a key that others can read: %q", said)
	}

	// Ben comes, Ann goes: her key opens what was held while hers was there until
	// the keys are sealed anew, and nothing of it afterwards.
	g.stop()
	write(t, g.config, strings.Replace(read(t, g.config), annPublic, benPublic, 1), 0o600)
	g.start()
	if said := g.refused("quarantine", "show", items[0].ID, "--identity", ben); !strings.Contains(said, "not the key of anybody") {
		t.Errorf("the new reviewer before the keys are sealed anew: %q", said)
	}
	g.refused("vault", "reseal", "--identity", ben)
	g.must("vault", "reseal", "--identity", ann)
	g.refused("quarantine", "show", items[0].ID, "--identity", ann)

	for _, it := range items {
		if it.Channel == "mail" {
			if out := g.must("quarantine", "export", it.ID, "--reveal", "--identity", ben); !strings.Contains(out, "Subject: ") {
				t.Errorf("export is %q", out)
			}
		}
		g.must("quarantine", "release", it.ID, "--identity", ben)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != phiFile {
		t.Errorf("released file is %q, %v", got, err)
	}
	eventually(t, "both mails are delivered", func() bool { return len(g.delivered()) == 2 })
	whole := 0
	for _, m := range g.delivered() {
		if strings.HasSuffix(m, phiMail+"\r\n") || strings.HasSuffix(m, strings.Replace(phiMail, "Subject: ", "Subject: second ", 1)+"\r\n") {
			whole++
		}
	}
	if whole != 2 {
		t.Errorf("%d of 2 were delivered byte for byte", whole)
	}
	g.must("audit", "verify")
	for _, f := range filesWith(t, g.data(), "AGE-SECRET-KEY") {
		if !strings.Contains(f, "work.agekey") {
			t.Error(f)
		}
	}
}

// TestTwoReviewersRelease: one of them does not do.
func TestTwoReviewersRelease(t *testing.T) {
	t.Parallel()
	ann, annPublic := ageKey(t)
	ben, benPublic := ageKey(t)
	g := newGateway(t, options{extra: quietPolicy + fmt.Sprintf("[vault]\nreviewers = [%q, %q]\nreviewers_only = true\nreviewers_needed = 2\n", annPublic, benPublic)})
	g.start()
	if _, err := g.send("ada@clinic.example", outside, phiMail); err != nil {
		t.Fatal(err)
	}
	id := g.held()[0].ID
	for _, one := range []string{ann, ben} {
		g.refused("quarantine", "release", id, "--identity", one)
	}
	g.must("quarantine", "release", id, "--identity", ben, "--identity", ann)
	eventually(t, "it is delivered", func() bool { return len(g.delivered()) == 1 })
}

// TestReviewersReleaseSurvivesKillAtEachStep: with the key of a reviewer a
// release is done once or not at all, as with the server's own.
func TestReviewersReleaseSurvivesKillAtEachStep(t *testing.T) {
	t.Parallel()
	for i, step := range []string{"release", "commit", "commit: sync", "commit: answer", "committed", "deliver"} {
		t.Run(step, func(t *testing.T) {
			eachSecond(t, i)
			key, public := ageKey(t)
			b := newBooks(t)
			hop := b.hop()
			g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy + fmt.Sprintf("[vault]\nreviewers = [%q]\nreviewers_only = true\n", public)})
			g.start()
			if _, err := b.send(g, outside, phiMail); err != nil {
				t.Fatal(err)
			}
			id := g.held()[0].ID
			g.kill()
			g.start("STANCH_CRASH_AT=" + step)
			_, code := g.cli("quarantine", "release", id, "--identity", key)
			if !g.ended() {
				t.Fatal("the step was never reached")
			}
			g.start()
			if code != 0 && len(g.held()) == 1 {
				g.must("quarantine", "release", id, "--identity", key)
			}
			eventually(t, "it is delivered", func() bool { return hop.count() > 0 })
			if n := b.settle(g); n != 0 || hop.count() != 1 {
				t.Errorf("%d copies, want 1", hop.count())
			}
		})
	}
}

// TestReleaseKeyIsTakenAwayWhole kills the start that takes the release key
// away: what is held opens afterwards, with the server's key or the reviewer's.
func TestReleaseKeyIsTakenAwayWhole(t *testing.T) {
	t.Parallel()
	key, public := ageKey(t)
	for _, step := range []string{"vault keys: settle", "vault keys: forget"} {
		t.Run(step, func(t *testing.T) {
			g := newGateway(t, options{extra: quietPolicy})
			g.start()
			if _, err := g.send("ada@clinic.example", outside, phiMail); err != nil {
				t.Fatal(err)
			}
			id := g.held()[0].ID
			g.stop()
			write(t, g.config, read(t, g.config)+fmt.Sprintf("[vault]\nreviewers = [%q]\nreviewers_only = true\n", public), 0o600)
			g.start("STANCH_CRASH_AT=" + step)
			if !g.ended() {
				t.Fatal("the step was never reached")
			}
			g.start()
			if out := g.must("quarantine", "export", id, "--reveal", "--identity", key); out != phiMail+"\r\n" {
				t.Errorf("export is %q", out)
			}
			if exists(filepath.Join(g.data(), "keys", "release.agekey")) {
				t.Error("the release key is still on the server")
			}
		})
	}
}

// TestPlaintextOfAHeldMessageIsNowhere searches the data folder, the folder for
// temporary files and what serve has open for a message that is held while the
// release key is away, small and large.
func TestPlaintextOfAHeldMessageIsNowhere(t *testing.T) {
	t.Parallel()
	_, public := ageKey(t)
	temp := t.TempDir()
	made := madeIn(t, temp)
	g := newGateway(t, options{extra: quietPolicy + fmt.Sprintf("[vault]\nreviewers = [%q]\nreviewers_only = true\n", public)})
	g.start("TMPDIR=" + temp)
	large := phiMail + "\r\n" + strings.Repeat("Zephyrine Quillfeather, 536-22-8199\r\n", 1<<16)
	for _, m := range []string{canaryMail("held"), large} {
		if answer, err := g.send("ada@clinic.example", outside, m); err != nil || !strings.Contains(answer, "Held") {
			t.Fatalf("%q, %v", answer, err)
		}
	}
	noCanaryOnDisk(t, g, temp)
	if len(g.children()) == 0 {
		t.Error("no process reads for the gateway: none was searched")
	}
	if names := made(); len(names) != 0 {
		t.Errorf("made in the folder for temporary files: %q", names)
	}
	g.kill()
	noCanaryInFiles(t, "after kill -9", g.data(), temp)
}
