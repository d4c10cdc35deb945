package audit_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

func TestEvidence(t *testing.T) {
	t.Parallel()
	l, _ := open(t, place(t))
	defer closeLog(t, l)
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	doc, other := dlp.NewID(), dlp.NewID()
	for i := range 500 {
		e := audit.Event{Time: start.Add(time.Duration(i) * time.Hour), Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail, Action: "allow"}
		switch i {
		case 7, 300:
			e.Doc = doc
		case 301:
			e.Kind, e.Action, e.Doc, e.Of = audit.Repeat, "", other, doc
		case 302:
			e.Doc = other
		}
		appendEvent(t, l, e)
	}
	seqs := func(e audit.Evidence) (out []int64) {
		for _, p := range e.Events {
			out = append(out, p.Seq)
		}
		return out
	}
	got, err := l.Evidence(t.Context(), []dlp.ID{doc}, time.Time{}, 100)
	if err != nil || len(got.Events) != 3 || got.Events[0].Seq != 8 || got.Events[2].Seq != 302 || got.Cut {
		t.Fatalf("evidence: %v, cut %v, %v; want 8, 301, 302", seqs(got), got.Cut, err)
	}
	if x, err := got.Events[2].Event(); err != nil || x.Of != doc || x.Kind != audit.Repeat {
		t.Errorf("the third event: %+v, %v", x, err)
	}
	if since, err := l.Evidence(t.Context(), []dlp.ID{doc}, start.Add(200*time.Hour), 100); err != nil || len(since.Events) != 2 {
		t.Errorf("since the 200th hour: %v, %v", seqs(since), err)
	}
	if one, err := l.Evidence(t.Context(), []dlp.ID{doc}, time.Time{}, 1); err != nil || len(one.Events) != 1 || one.Events[0].Seq != 302 || !one.Cut {
		t.Errorf("one alone: %v, cut %v, %v", seqs(one), one.Cut, err)
	}

	// It survives being written down, and nothing that is changed in it does.
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	read := func() (e audit.Evidence) {
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	whole := read()
	if err := whole.Check(got.PublicKey); err != nil {
		t.Errorf("as it was written: %v", err)
	}
	for name, change := range map[string]func(e *audit.Evidence){
		"a word of a line":  func(e *audit.Evidence) { e.Events[1].Line = strings.Replace(e.Events[1].Line, "allow", "reject", 1) },
		"another number":    func(e *audit.Evidence) { e.Events[1].Seq++ },
		"a number too high": func(e *audit.Evidence) { e.Events[1].Seq = 1 << 40 },
		"another's path":    func(e *audit.Evidence) { e.Events[0].Path = e.Events[1].Path },
		"no path":           func(e *audit.Evidence) { e.Events[0].Path = nil },
		"the checkpoint":    func(e *audit.Evidence) { e.Checkpoint = strings.Replace(e.Checkpoint, "state open", "state closed", 1) },
		"another size":      func(e *audit.Evidence) { e.Size++ },
		"another root":      func(e *audit.Evidence) { e.Root = strings.Repeat("A", 43) + "=" },
		"two lines as one":  func(e *audit.Evidence) { e.Events[0].Line += "\n" },
	} {
		e := read()
		change(&e)
		if err := e.Check(got.PublicKey); !errors.Is(err, audit.ErrNotProved) {
			t.Errorf("%s changed: %v, want %v", name, err, audit.ErrNotProved)
		}
	}
	strange, _ := open(t, place(t))
	defer closeLog(t, strange)
	foreign, err := strange.Evidence(t.Context(), nil, time.Time{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if e := read(); !errors.Is(e.Check(foreign.PublicKey), audit.ErrNotProved) {
		t.Error("another's key proves it")
	}
}
