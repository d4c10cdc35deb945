package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// fewerSSNs is a rule file by which one value is none.
const fewerSSNs = `schema = 1
[[rules]]
extends = "us-ssn"
  [[rules.allowlists]]
  description = "the example in our handbook"
  values      = ["536-22-8145"]
`

// replayed is what rules replay prints.
type replayed struct {
	Read, Decided, Same, Failed, Locked, Gone, Sampled int
	Changes                                            []struct {
		ID, State string
		What      []string
	}
	Rules []struct{ Before, After int }
}

// replay runs edited rules beside those in force.
func (g *gateway) replay(args ...string) (r replayed) {
	g.t.Helper()
	out := g.must(append([]string{"rules", "replay", "--format", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		g.t.Fatalf("rules replay: %v: %s", err, out)
	}
	return r
}

// TestReplay: what was held is judged by edited rules too, by a running serve and
// without one, with a reviewer's key where the server has none; nothing but masked
// values is printed, and nothing changes.
func TestReplay(t *testing.T) {
	t.Parallel()
	ann, annPublic := ageKey(t)
	g := newGateway(t, options{extra: quietPolicy})
	g.start()
	for i, text := range []string{"her social security number is 536-22-8145", "his social security number is 536-22-8146"} {
		if !g.holds(text) {
			t.Fatalf("mail %d is not held", i)
		}
	}
	for _, text := range []string{"the social security number is 536-22-8145", "a social security number: 536-22-8146"} {
		g.holds(text)
	}
	items := g.held() // newest first
	if len(items) != 4 {
		t.Fatalf("%d held, want 4", len(items))
	}
	g.must("quarantine", "release", items[0].ID, "--reason", "not_phi")
	g.must("quarantine", "reject", items[1].ID)
	file := filepath.Join(t.TempDir(), "edited.toml")
	write(t, file, fewerSSNs, 0o600)
	verify := func(r replayed) {
		t.Helper()
		got := map[string]string{}
		for _, c := range r.Changes {
			got[string(c.ID)] = strings.Join(c.What, " ")
		}
		want := map[string]string{items[0].ID: "contradicts_release", items[1].ID: "no_longer_held contradicts_reject", items[3].ID: "no_longer_held"}
		if fmt.Sprint(got) != fmt.Sprint(want) || r.Read != 4 || r.Decided != 2 || r.Same != 1 || r.Failed+r.Locked+r.Gone != 0 {
			t.Errorf("replayed: %+v, want %v", r, want)
		}
		if len(r.Rules) != 1 || r.Rules[0].Before != 4 || r.Rules[0].After != 2 {
			t.Errorf("rules: %+v", r.Rules)
		}
	}
	verify(g.replay("--rules", file))
	verify(g.replay("--draft", file))
	out := g.must("rules", "replay", "--rules", file)
	for _, want := range []string{"***-**-8145", "2 no longer held", "2 of reviewers' decisions contradicted"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "536-22") || strings.Contains(out, "clinic.example") {
		t.Errorf("more than masked values is printed:\n%s", out)
	}
	write(t, file, strings.Replace(fewerSSNs, "values", "valeus", 1), 0o600)
	if said := g.refused("rules", "replay", "--rules", file); !strings.Contains(said, file+":6:") {
		t.Errorf("of a mistake it says %q", said)
	}
	write(t, file, fewerSSNs, 0o600)
	if said := g.refused("rules", "replay"); !strings.Contains(said, "--draft FILE") {
		t.Errorf("without rules it says %q", said)
	}
	log := g.must("audit", "export")
	if n := strings.Count(log, `"reason":"replay"`); n != 3 || strings.Contains(log, `"kind":"export"`) {
		t.Errorf("%d replays on record, want 3, and no export", n)
	}
	g.stop()
	verify(g.replay("--rules", file)) // by the command itself
	g.start()
	g.reconfigure(fmt.Sprintf("[vault]\nreviewers = [%q]\nreviewers_only = true\n", annPublic))
	if out, code := g.cli("rules", "replay", "--rules", file); code != 3 || !strings.Contains(out, "4 that the server cannot open") {
		t.Errorf("without a reviewer's key: exit %d, %s", code, out)
	}
	verify(g.replay("--rules", file, "--identity", ann))
}

// moreWards is a rule file that finds what the rules in force do not.
const moreWards = `schema = 1
[[rules]]
id = "ward-code"
type = "SSN"
description = "codes of wards"
tags = ["identifier"]
  [[rules.patterns]]
  confidence = "high"
  regex = 'WARD-[0-9]{4}'
  [rules.tests]
  match = ["WARD-1234"]
  no_match = ["WARD-12"]
`

// TestReplayOfASample: what passed is kept sealed where a site asks for it, and edited
// rules tell what of it they would hold; by a running serve, without one, and with a
// reviewer's key alone; and it is erased once no sample is wanted. Nothing of it is on
// the disk in the clear, nor in a log.
func TestReplayOfASample(t *testing.T) {
	t.Parallel()
	ann, annPublic := ageKey(t)
	g := newGateway(t, options{extra: quietPolicy + "[sample]\none_in = 1\n"})
	temp := t.TempDir()
	g.start("TMPDIR=" + temp)
	const secret = "Wilhelmina Quillfeather of WARD-4711"
	for _, text := range []string{secret, "nothing of the kind"} {
		if g.holds(text) {
			t.Fatalf("held: %s", text)
		}
	}
	g.holds("her social security number is 536-22-8145")
	file := filepath.Join(t.TempDir(), "wards.toml")
	write(t, file, moreWards, 0o600)
	kept := func() int {
		files, err := filepath.Glob(filepath.Join(g.data(), "sample", "*.age"))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	eventually(t, "what passed is kept", func() bool { return kept() == 2 })
	verify := func(r replayed, passed int) {
		t.Helper()
		if r.Read != passed+1 || r.Sampled != passed || r.Failed+r.Locked+r.Gone != 0 || len(r.Changes) != 1 || r.Changes[0].State != "passed" || strings.Join(r.Changes[0].What, " ") != "newly_held" {
			t.Errorf("replayed: %+v", r)
		}
	}
	verify(g.replay("--rules", file), 2)
	if out := g.must("rules", "replay", "--rules", file); !strings.Contains(out, "2 passed, of the sample") || strings.Contains(out, "WARD-4711") || strings.Contains(out, "Quillfeather") {
		t.Errorf("it says:\n%s", out)
	}
	g.stop()
	verify(g.replay("--rules", file), 2)
	g.start("TMPDIR=" + temp)
	g.reconfigure(fmt.Sprintf("[vault]\nreviewers = [%q]\nreviewers_only = true\n", annPublic))
	if out, code := g.cli("rules", "replay", "--rules", file); code != 3 || !strings.Contains(out, "3 that the server cannot open") {
		t.Errorf("without a reviewer's key: exit %d, %s", code, out)
	}
	if g.holds("some more of WARD-12") {
		t.Error("held")
	}
	eventually(t, "what passes is kept, sealed to the reviewer", func() bool { return kept() == 3 })
	verify(g.replay("--rules", file, "--identity", ann), 3)
	log := g.logged() + g.must("audit", "export")
	for _, dir := range []string{g.data(), temp} {
		for _, f := range filesWith(t, dir, "Quillfeather", "WARD-4711", "nothing of the kind") {
			t.Errorf("in the clear: %s", f)
		}
	}
	if strings.Contains(log, "Quillfeather") || strings.Contains(log, "WARD-4711") {
		t.Error("a log holds what passed")
	}
	g.stop()
	write(t, g.config, strings.Replace(read(t, g.config), "one_in = 1", "one_in = 0", 1), 0o600)
	g.start("TMPDIR=" + temp)
	if n := kept(); n != 0 {
		t.Errorf("%d kept though none is wanted", n)
	}
	g.stop()
}
