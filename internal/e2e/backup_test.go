package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// queued are the states in the outbox, by id.
func (g *gateway) queued() map[string]string {
	g.t.Helper()
	var qs []struct{ ID, State, Why string }
	if err := json.Unmarshal([]byte(g.must("queue", "list", "--format", "json")), &qs); err != nil {
		g.t.Fatal(err)
	}
	states := map[string]string{}
	for _, q := range qs {
		states[q.ID] = strings.TrimSpace(q.State + " " + q.Why)
	}
	return states
}

// withEnv runs a subcommand with more in its environment.
func (g *gateway) withEnv(env string, args ...string) (string, error) {
	g.t.Helper()
	cmd := exec.CommandContext(g.t.Context(), stanch, append(args, "--config", g.config)...)
	cmd.Env = append(os.Environ(), env)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestBackupComesBackOnANewMachine backs a gateway up while 20 clients send,
// destroys it, and brings it back elsewhere: what was held is held, byte for
// byte, nothing leaves by itself, and the audit log is whole.
//
// long: one backup led from the first machine to the second
func TestBackupComesBackOnANewMachine(t *testing.T) {
	t.Parallel()
	if tools == "" {
		t.Skip("../shared/tools/smtp is not beside the checkout")
	}
	key, public := ageKey(t)
	stranger, _ := ageKey(t)
	safe := t.TempDir()
	// What is let go finds nobody, and stays in the outbox.
	g := newGateway(t, options{nextHop: freeAddr(t), smtp: "next_hop_tls = \"off\"\n", extra: quietPolicy + fmt.Sprintf("[backup]\nrecipients = [%q]\n", public)})
	sink, _ := startSink(t, g.dir)
	write(t, g.config, strings.Replace(read(t, g.config), "next_hop = ", "next_hop = \""+sink+"\"\n#", 1), 0o600)
	g.start()
	corpus := loadCorpus(t, g.dir)
	var ledgers []string
	load := startLoad(t, g, g.dir, corpus, 20, 300, &ledgers)
	eventually(t, "something is held", func() bool { return len(g.held()) >= 5 })
	first := g.held()
	want := map[string]string{}
	for _, it := range first {
		want[it.ID] = g.must("quarantine", "export", it.ID, "--reveal")
	}
	if out := g.must("backup", filepath.Join(safe, "one")); !strings.Contains(out, "whole") {
		t.Errorf("backup says %q", out)
	}
	plain := filepath.Join(safe, "one.tar") // age and tar read it, and nobody else's key opens it
	output(t, "age", "-d", "-i", key, "-o", plain, filepath.Join(safe, "one"))
	names := strings.Split(strings.TrimSpace(output(t, "tar", "tf", plain)), "\n")
	if names[0] != "stanch-backup.json" || names[len(names)-1] != "stanch-sums.json" || !slices.Contains(names, "restored.toml") {
		t.Errorf("age and tar list %q", names)
	}
	if out, err := exec.Command("age", "-d", "-i", stranger, filepath.Join(safe, "one")).Output(); err == nil || len(out) > 0 {
		t.Errorf("a stranger opens it by age: %d bytes, %v", len(out), err)
	}
	if err := os.Remove(plain); err != nil {
		t.Fatal(err)
	}
	load.wait(t)
	if _, code := g.cli("backup", filepath.Join(safe, "one")); code == 0 {
		t.Error("a backup was written over")
	}
	g.must("audit", "verify")
	g.kill()
	if err := os.RemoveAll(g.data()); err != nil {
		t.Fatal(err)
	}

	n := newGateway(t, options{extra: quietPolicy})
	if err := os.RemoveAll(n.data()); err != nil {
		t.Fatal(err)
	}
	if out, err := n.withEnv("", "restore", filepath.Join(safe, "one"), "--identity", stranger); err == nil {
		t.Errorf("a stranger restored it: %s", out)
	}
	n.must("restore", filepath.Join(safe, "one"), "--identity", key, "--check")
	t.Log(n.must("restore", filepath.Join(safe, "one"), "--identity", key))
	if _, code := n.cli("restore", filepath.Join(safe, "one"), "--identity", key); code == 0 {
		t.Error("a data folder was restored over")
	}
	n.warm()
	n.start()
	held := map[string]bool{}
	for _, it := range n.held() {
		held[it.ID] = true
	}
	for id, text := range want {
		if !held[id] {
			t.Errorf("%s is not held any more", id)
			continue
		}
		if got := n.must("quarantine", "export", id, "--reveal"); got != text {
			t.Errorf("%s came back with %d bytes, want %d", id, len(got), len(text))
		}
	}
	n.must("audit", "verify")
	if log := n.must("audit", "export"); !strings.Contains(log, `"restored"`) || !strings.Contains(log, `"backup"`) {
		t.Error("backup and restore are not on record")
	}
	if _, err := n.send("ada@clinic.example", outside, phiMail); err != nil {
		t.Errorf("mail after the restore: %v", err)
	}
}

// TestRestoredOutboxWaitsForAWord: what was delivered after the backup does not
// go again by itself, and what was not goes when somebody says so.
func TestRestoredOutboxWaitsForAWord(t *testing.T) {
	t.Parallel()
	key, public := ageKey(t)
	safe := t.TempDir()
	dead := freeAddr(t)
	g := newGateway(t, options{nextHop: dead, smtp: "next_hop_tls = \"off\"\n", extra: quietPolicy})
	live := strings.Replace(read(t, g.config), dead, "maildir:"+g.maildir(), 1)
	write(t, g.config, live, 0o600)
	g.start()
	for range 2 {
		if !g.holds("social security number 536-22-8145") {
			t.Fatal("not held")
		}
	}
	g.stop()
	write(t, g.config, strings.Replace(live, "maildir:"+g.maildir(), dead, 1), 0o600)
	g.start()
	for _, it := range g.held() {
		g.must("quarantine", "release", it.ID)
	}
	g.must("backup", safe, "--recipient", public)
	g.stop()
	write(t, g.config, live, 0o600)
	g.start()
	g.must("queue", "retry", "--all") // it is their minute otherwise
	eventually(t, "both are delivered after the backup", func() bool { return len(g.delivered()) == 2 })
	g.stop()
	if err := os.RemoveAll(g.data()); err != nil {
		t.Fatal(err)
	}
	archives, err := filepath.Glob(filepath.Join(safe, "*.backup"))
	if err != nil || len(archives) != 1 {
		t.Fatalf("%v, %v; want one backup with a name of its own", archives, err)
	}
	// A file of keys that somebody changed is refused, and nothing new is sealed
	// to a key of one that was not.
	keys, running := filepath.Join(safe, "stanch-vault.keys"), regexp.MustCompile(`"recipient": "(age1\w+)"`)
	sound := read(t, keys)
	_, foreign := ageKey(t)
	write(t, keys, strings.Replace(sound, running.FindStringSubmatch(sound)[1], foreign, 1), 0o600)
	if out, code := g.cli("restore", archives[0], "--identity", key); code == 0 {
		t.Errorf("keys that were changed: %d, %s", code, out)
	}
	write(t, keys, sound, 0o600)
	g.must("restore", archives[0], "--identity", key)
	g.warm()
	g.start()
	if n := strings.Count(g.must("vault", "keys"), " ended "); n != 2 {
		t.Errorf("%d periods ended by the restore, want both", n)
	}
	states := g.queued()
	if len(states) != 2 {
		t.Fatalf("the outbox has %v, want two", states)
	}
	for id, s := range states {
		if s != "poison restored" {
			t.Errorf("%s is %q, want it set aside", id, s)
		}
	}
	g.stop() // and another start changes nothing
	g.start()
	if n := len(g.delivered()); n != 2 {
		t.Fatalf("%d copies: a restore sent again what was delivered", n)
	}
	for id := range states {
		g.must("queue", "retry", id)
		break
	}
	eventually(t, "the one that was let go is delivered", func() bool { return len(g.delivered()) == 3 })
	eventually(t, "the other alone stands still", func() bool { return len(g.queued()) == 1 })
	if n := len(g.delivered()); n != 3 {
		t.Errorf("%d copies: more than was let go went", n)
	}
}

// TestExpiredIsGoneFromOlderBackups: once a period's key is destroyed, no backup
// gives its contents back, for nobody's key.
func TestExpiredIsGoneFromOlderBackups(t *testing.T) {
	t.Parallel()
	key, public := ageKey(t)
	safe := t.TempDir()
	g := newGateway(t, options{extra: quietPolicy + "[vault]\nkeep = \"1s\"\n"})
	g.start()
	if _, err := g.send("ada@clinic.example", outside, phiMail); err != nil {
		t.Fatal(err)
	}
	id := g.held()[0].ID
	g.must("quarantine", "reject", id)
	g.must("backup", filepath.Join(safe, "before"), "--recipient", public)
	g.must("vault", "rotate")
	g.stop()
	time.Sleep(time.Second) // it is over at the first look of the next start, and at the second
	g.start()
	eventually(t, "the key of the period is destroyed", func() bool {
		return strings.Contains(g.must("vault", "keys"), "destroyed")
	})
	if items := g.held("--all"); len(items) != 1 || items[0].State != "expired" {
		t.Errorf("%+v, want it expired", items)
	}
	g.must("backup", filepath.Join(safe, "after"), "--recipient", public)
	g.stop()
	for _, name := range []string{"before", "after"} {
		if err := os.RemoveAll(g.data()); err != nil {
			t.Fatal(err)
		}
		g.must("restore", filepath.Join(safe, name), "--identity", key)
		if out, code := g.cli("quarantine", "export", id, "--reveal"); code == 0 || strings.Contains(out, "536-22-8145") {
			t.Errorf("%s gives it back: %q", name, out)
		}
	}
}

// TestBackupAndRestoreSurviveKillAtEachStep: what was cut short is neither taken
// for a backup nor served from, and the next try succeeds.
func TestBackupAndRestoreSurviveKillAtEachStep(t *testing.T) {
	t.Parallel()
	key, public := ageKey(t)
	g := newGateway(t, options{extra: quietPolicy})
	g.start()
	if _, err := g.send("ada@clinic.example", outside, phiMail); err != nil {
		t.Fatal(err)
	}
	id := g.held()[0].ID
	names := func(dir string) (out []string) {
		es, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			out = append(out, e.Name())
		}
		return out
	}
	for _, step := range []string{"backup: write", "backup: verify", "backup: keys", "backup: name"} {
		safe := t.TempDir()
		dest := filepath.Join(safe, "one")
		if out, err := g.withEnv("STANCH_CRASH_AT="+step, "backup", dest, "--recipient", public); err == nil {
			t.Fatalf("%s: the step was never reached: %s", step, out)
		}
		if exists(dest) {
			t.Errorf("%s: what was cut short has a backup's name", step)
		}
		g.must("backup", dest, "--recipient", public)
		if got := names(safe); !slices.Equal(got, []string{"one", "stanch-vault.keys"}) {
			t.Errorf("%s: then the folder has %v", step, got)
		}
	}
	safe := t.TempDir()
	for _, step := range []string{"snapshot: copy", "snapshot: check"} { // serve itself dies
		g.kill()
		g.start("STANCH_CRASH_AT=" + step)
		dest := filepath.Join(safe, "serve")
		if out, code := g.cli("backup", dest, "--recipient", public); code == 0 || exists(dest) {
			t.Errorf("%s: %s", step, out)
		}
		if !g.ended() {
			t.Fatalf("%s: the step was never reached", step)
		}
		g.start()
	}
	dest := filepath.Join(safe, "whole")
	g.must("backup", dest, "--recipient", public)
	g.stop()
	// Not cut short by a crash, but by a copy that ended early.
	whole := read(t, dest)
	write(t, filepath.Join(safe, "short"), whole[:len(whole)*2/3], 0o600)
	for _, step := range []string{"bring back: begin", "bring back: file#1", "bring back: file#5", "bring back: keys", "bring back: database", "bring back: end"} {
		if err := os.RemoveAll(g.data()); err != nil {
			t.Fatal(err)
		}
		if out, err := g.withEnv("STANCH_CRASH_AT="+step, "restore", dest, "--identity", key); err == nil {
			t.Fatalf("%s: the step was never reached: %s", step, out)
		}
		if step != "bring back: begin" {
			if out, err := g.withEnv("", "serve"); err == nil || !strings.Contains(out, "restore") {
				t.Errorf("%s: serve on a half-restored folder says %q, %v", step, out, err)
			}
			if out, err := g.withEnv("", "restore", filepath.Join(safe, "short"), "--identity", key); err == nil {
				t.Errorf("half a backup was restored: %s", out)
			}
		}
		g.must("restore", dest, "--identity", key)
		if out := g.must("quarantine", "export", id, "--reveal"); out != phiMail+"\r\n" {
			t.Errorf("%s: export is %q", step, out)
		}
	}
}
