package drill_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/drill"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func address(s string) dlp.Address {
	local, domain, _ := strings.Cut(s, "@")
	return dlp.Address{Local: local, Domain: domain}
}

func inside(a dlp.Address) bool { return a.Domain == "clinic.example" }

func ring(t *testing.T) *crypt.Ring {
	t.Helper()
	k, err := crypt.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func open(t *testing.T, dir string, k drill.Keys) *drill.Book {
	t.Helper()
	b, err := drill.Open(dir, k)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func noRecord(*drill.Drill) error { return nil }

func plan(k drill.Kind, senders ...string) drill.Plan {
	p := drill.Plan{Name: "spring", Kind: k, To: address("sam@partner.example"), For: time.Hour}
	for _, s := range senders {
		p.Senders = append(p.Senders, address(s))
	}
	return p
}

// TestIDs: only the site's key makes an id of a drill, and no other id is one.
func TestIDs(t *testing.T) {
	k, other := ring(t), ring(t)
	for range 100 {
		id := drill.NewID(k)
		if _, err := dlp.ParseID(string(id)); err != nil || !drill.Is(k, id) {
			t.Fatalf("%s: %v", id, err)
		}
		if drill.Is(other, id) || drill.Is(k, drill.NewID(other)) || drill.Is(k, dlp.NewID()) {
			t.Fatal("an id of somebody else's is taken for a drill's")
		}
		b, _ := id.Bytes()
		b[0] ^= 1
		if drill.Is(k, dlp.IDOf(b)) {
			t.Fatal("an id that was changed is taken for a drill's")
		}
	}
	if drill.Is(k, "") || drill.Is(k, "short") {
		t.Error("no id is taken for a drill's")
	}
}

func TestPlansAreBounded(t *testing.T) {
	b := open(t, t.TempDir(), ring(t))
	var many []string
	for i := range drill.MaxPeople + 1 {
		many = append(many, string(rune('a'+i%26))+strings.Repeat("x", i/26)+"@clinic.example")
	}
	ok := plan(drill.Officers, "ada@clinic.example")
	for name, p := range map[string]drill.Plan{
		"no kind":            {Name: "x", Senders: ok.Senders, To: ok.To, For: time.Hour},
		"no name":            {Kind: drill.Officers, Senders: ok.Senders, To: ok.To, For: time.Hour},
		"two lines":          {Name: "a\nb", Kind: drill.Officers, Senders: ok.Senders, To: ok.To, For: time.Hour},
		"long name":          {Name: strings.Repeat("x", drill.MaxName+1), Kind: drill.Officers, Senders: ok.Senders, To: ok.To, For: time.Hour},
		"too short":          {Name: "x", Kind: drill.Officers, Senders: ok.Senders, To: ok.To, For: time.Second},
		"too long":           {Name: "x", Kind: drill.Officers, Senders: ok.Senders, To: ok.To, For: drill.MaxFor + 1},
		"nobody":             plan(drill.Senders),
		"an outside sender":  plan(drill.Senders, "sam@partner.example"),
		"twice":              plan(drill.Senders, "ada@clinic.example", "ada@CLINIC.example"),
		"no recipient":       {Name: "x", Kind: drill.Officers, Senders: ok.Senders, For: time.Hour},
		"an inside one":      {Name: "x", Kind: drill.Officers, Senders: ok.Senders, To: address("eve@clinic.example"), For: time.Hour},
		"too many people":    plan(drill.Senders, many...),
		"too many for a few": plan(drill.Officers, many[:drill.MaxItems+1]...),
	} {
		if _, err := b.Begin(p, "user:dana", noon, inside, noRecord); !errors.Is(err, drill.ErrForm) {
			t.Errorf("%s: %v, want ErrForm", name, err)
		}
	}
	for i := range drill.MaxRunning + 1 {
		_, err := b.Begin(ok, "user:dana", noon, inside, noRecord)
		if i < drill.MaxRunning && err != nil || i == drill.MaxRunning && !errors.Is(err, drill.ErrMany) {
			t.Errorf("drill %d: %v", i, err)
		}
	}
}

// TestNoRecordNoDrill: what could not be recorded is not begun.
func TestNoRecordNoDrill(t *testing.T) {
	dir, k := t.TempDir(), ring(t)
	b := open(t, dir, k)
	broken := errors.New("broken")
	if _, err := b.Begin(plan(drill.Officers, "ada@clinic.example"), "user:dana", noon, inside, func(*drill.Drill) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("begin: %v", err)
	}
	if n := len(b.List()) + len(open(t, dir, k).List()); n != 0 {
		t.Errorf("%d drills", n)
	}
}

// TestReport: what was noted is there after a restart, sealed, each thing once and
// in its order, and says who did nothing.
func TestReport(t *testing.T) {
	dir, k := t.TempDir(), ring(t)
	b := open(t, dir, k)
	asked := plan(drill.Officers, "ada@clinic.example", "sue@clinic.example")
	asked.Asked = []string{"user:eve", "user:max", "user:ann", "user:sam"}
	d, err := b.Begin(asked, "user:dana", noon, inside, noRecord)
	if err != nil {
		t.Fatal(err)
	}
	item := d.Items[0].ID
	note := func(after time.Duration, by, did string) {
		t.Helper()
		if err := b.React(item, drill.Reaction{At: noon.Add(after), By: by, Did: did}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range d.Items {
		if err := b.Change(d.Items[i].ID, func(it *drill.Item) { it.State, it.At = drill.Held, noon }); err != nil {
			t.Fatal(err)
		}
	}
	note(time.Minute, "user:eve", drill.Opened)
	note(2*time.Minute, "user:eve", drill.Opened)
	note(3*time.Minute, "user:eve", drill.Claimed)
	note(3*time.Minute, "user:ann for user:sam", drill.Opened)
	if err := b.Change(item, func(it *drill.Item) { it.Code = "consented" }); err != nil {
		t.Fatal(err)
	}
	note(4*time.Minute, "user:eve", drill.WouldRelease)
	if err := b.React(dlp.NewID(), drill.Reaction{}); !errors.Is(err, drill.ErrNotFound) {
		t.Errorf("of no drill: %v", err)
	}

	files, err := filepath.Glob(filepath.Join(dir, "state", "drills", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %q, %v", files, err)
	}
	sealed, err := os.ReadFile(files[0])
	if err != nil || bytes.Contains(sealed, []byte("ada")) || bytes.Contains(sealed, []byte("spring")) {
		t.Errorf("what is kept is not sealed, %v", err)
	}
	again, _, err := open(t, dir, k).Of(item)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range again.Cells() {
		got = append(got, strings.Join(slices.Concat(c[:2], c[3:]), "|"))
	}
	want := []string{
		"spring|officers|ada@clinic.example|decided|user:eve|opened||2026-03-01T12:01:00Z|60",
		"spring|officers|ada@clinic.example|decided|user:eve|claimed||2026-03-01T12:03:00Z|180",
		"spring|officers|ada@clinic.example|decided|user:ann for user:sam|opened||2026-03-01T12:03:00Z|180",
		"spring|officers|ada@clinic.example|decided|user:eve|would_release|consented|2026-03-01T12:04:00Z|240",
		"spring|officers|sue@clinic.example|held|||||",
		"spring|officers|||user:max||||",
		"spring|officers|||user:sam||||",
	}
	if slices.Compare(got, want) != 0 {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := again.Counts(); n[drill.WouldRelease] != 1 || n[string(drill.Held)] != 1 || again.Settled() {
		t.Errorf("counts %v", n)
	}
}

// TestEnds: a drill ends once.
func TestEnds(t *testing.T) {
	dir, k := t.TempDir(), ring(t)
	b := open(t, dir, k)
	d, err := b.Begin(plan(drill.Senders, "ada@clinic.example"), "user:dana", noon, inside, noRecord)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.End(d.ID, "user:dana", noon.Add(time.Minute), noRecord); err != nil {
		t.Fatal(err)
	}
	if err := b.End(d.ID, "", noon, noRecord); !errors.Is(err, drill.ErrEnded) {
		t.Errorf("again: %v", err)
	}
	if err := b.End(dlp.NewID(), "", noon, noRecord); !errors.Is(err, drill.ErrNotFound) {
		t.Errorf("of none: %v", err)
	}
	if got, err := open(t, dir, k).Get(d.ID); err != nil || got.Running() || got.EndedBy != "user:dana" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestDamaged: of what does not open the error tells, and the others are there. A
// file of one drill in the place of another is none.
func TestDamaged(t *testing.T) {
	dir, k := t.TempDir(), ring(t)
	b := open(t, dir, k)
	var ids []dlp.ID
	for range 2 {
		d, err := b.Begin(plan(drill.Senders, "ada@clinic.example"), "user:dana", noon, inside, noRecord)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, d.ID)
	}
	path := func(id dlp.ID) string { return filepath.Join(dir, "state", "drills", string(id)+".drill") }
	swapped, err := os.ReadFile(path(ids[1]))
	if err == nil {
		err = os.WriteFile(path(ids[0]), swapped, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := drill.Open(dir, k)
	if !errors.Is(err, drill.ErrDamaged) || len(got.List()) != 1 || got.List()[0].ID != ids[1] {
		t.Errorf("%d drills, %v; want the other one and ErrDamaged", len(got.List()), err)
	}
}
