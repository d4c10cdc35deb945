package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stanch-dlp/stanch/internal/synth"
)

// TestPatientIndex: a site's own patients are held once there is an index and a
// reload, those that a delta brings too, and nobody else; an index that does not
// open changes nothing; a build that is killed leaves the one before.
//
// long: one story, each step of which needs the one before
func TestPatientIndex(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{extra: "[[policies]]\nid = \"patients\"\nany = [{ type = \"PATIENT\" }]\naction = \"quarantine\"\n"})
	ps := synth.New(99).Patients(40)
	csv := func(ps []synth.Patient) string {
		var b strings.Builder
		b.WriteString("mrn,ssn,last,first,dob,phone\n")
		for _, p := range ps {
			fmt.Fprintf(&b, "%s,%s,%s,%s,%s,%s\n", p.MRN, p.SSN, p.Family, p.Given, p.Born.Format("2006-01-02"), p.Phone)
		}
		return b.String()
	}
	file := filepath.Join(g.dir, "patients.csv")
	take := func(how string, ps []synth.Patient) {
		t.Helper()
		write(t, file, csv(ps), 0o600)
		out := g.must("index", how, file)
		noPatient(t, "index "+how, out, ps)
	}
	g.start()
	known := func(p synth.Patient) string { return "about " + p.MRN + ", as discussed" }
	person := func(p synth.Patient) string { return p.Name() + ", " + p.Born.Format("January 2, 2006") }
	if g.holds(known(ps[0])) {
		t.Error("without an index: got it held, want it passed")
	}
	take("build", ps[:20])
	if g.holds(known(ps[0])) {
		t.Error("before a reload: got it held, want it passed")
	}
	const inForce = "new rules and policies are in force"
	g.reload(inForce)
	if !g.holds(known(ps[0])) || !g.holds(person(ps[1])) || !g.holds("SSN "+ps[2].SSN+" "+ps[2].Family) {
		t.Error("patients: got them passed, want them held")
	}
	if g.holds(known(ps[30])) || g.holds(person(ps[30])) || g.holds("SSN "+ps[3].SSN+" alone") {
		t.Error("a stranger, and an SSN alone: got them held, want them passed")
	}
	var rules []string
	for _, it := range g.held() {
		rules = append(rules, it.Rules...)
	}
	for _, want := range []string{"patient-mrn", "patient-birth", "patient-ssn"} {
		if !slices.Contains(rules, want) {
			t.Errorf("got held by %v, want %s too", rules, want)
		}
	}
	take("add", ps[30:31])
	take("remove", ps[:1])
	g.reload(inForce)
	if !g.holds(known(ps[30])) || g.holds(known(ps[0])) || !g.holds(known(ps[1])) {
		t.Error("after deltas: want who was added held, who was removed passed, and the rest as before")
	}
	type shown struct {
		ID       string
		Segments []struct{ Kind string }
	}
	show := func() (s shown) {
		t.Helper()
		if err := json.Unmarshal([]byte(g.must("index", "show", "--format", "json")), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := show(); len(s.Segments) != 3 {
		t.Errorf("got %+v, want three segments", s)
	}

	// Another key: the reload is refused, and what was in force stays.
	keyFile := filepath.Join(g.data(), "keys", "patients.key")
	key := read(t, keyFile)
	write(t, keyFile, "# another\n"+strings.Repeat("0123456789abcdef", 4)+"\n", 0o600)
	g.reload("made under another key")
	if !g.holds(known(ps[30])) || g.holds(known(ps[0])) {
		t.Error("after a refused reload: want what was in force to stay")
	}
	write(t, keyFile, key, 0o600)
	killBuild(t, g, csv(ps))
	if s := show(); len(s.Segments) != 3 {
		t.Errorf("after a killed build: got %+v, want what was there", s)
	}
	take("build", ps)
	g.reload(inForce)
	if !g.holds(known(ps[0])) || !g.holds(known(ps[39])) {
		t.Error("after a rebuild: want everybody held")
	}
	if left, _ := filepath.Glob(filepath.Join(g.data(), "patients", ".*")); len(left) > 0 {
		t.Errorf("got %v left behind, want it swept", left)
	}
	g.must("index", "verify")
	noPatient(t, "the log", g.logged(), ps)
	if err := os.Remove(filepath.Join(g.data(), "patients", "main.idx")); err != nil {
		t.Fatal(err)
	}
	g.stop()
	g.start()
	if !g.ended() || !strings.Contains(g.logged(), "there is no patient index") {
		t.Errorf("an index that is gone: got serve running, want it to say so and end:\n%s", tail(g.logged(), 500))
	}
}

// noPatient fails where text tells of one of ps.
func noPatient(t *testing.T, what, text string, ps []synth.Patient) {
	t.Helper()
	for _, p := range ps {
		for _, trace := range []string{p.MRN, p.SSN, p.BareSSN(), p.Family, p.Given, p.Phone} {
			if strings.Contains(text, trace) {
				t.Errorf("%s tells of a patient", what)
			}
		}
	}
}

// killBuild kills a build in the middle of its extract, as kill -9 does.
func killBuild(t *testing.T, g *gateway, csv string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(stanch, "index", "build", "-", "--config", g.config)
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, csv[:len(csv)/2]); err != nil {
		t.Fatal(err)
	}
	// The header is read once more than fits its first look is there.
	go func() { _, _ = io.WriteString(w, strings.Repeat("E1,,,,,\n", 20_000)) }() // it breaks off with the process
	eventually(t, "the build is at work", func() bool {
		left, _ := filepath.Glob(filepath.Join(g.data(), "patients", ".stanch-tmp-*"))
		return len(left) > 0
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	w.Close()
}
