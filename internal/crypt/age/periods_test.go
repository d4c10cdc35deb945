package age_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

func public(ids ...*filippo.X25519Identity) []string {
	var out []string
	for _, id := range ids {
		out = append(out, id.Recipient().String())
	}
	return out
}

func periods(t *testing.T, c age.PeriodsConfig, used ...dlp.ID) *age.Periods {
	t.Helper()
	p, err := age.OpenPeriods(c, used)
	if err != nil {
		t.Fatalf("OpenPeriods: %v", err)
	}
	return p
}

// held is one content sealed to the period that runs.
type held struct {
	id, period dlp.ID
	sealed     []byte
}

const secretText = "a held letter"

func hold(t *testing.T, p *age.Periods) held {
	t.Helper()
	h := held{id: dlp.NewID()}
	var out bytes.Buffer
	w, period, err := p.Seal(&out, "vault", h.id)
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	if _, err := io.WriteString(w, secretText); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	h.period, h.sealed = period, out.Bytes()
	return h
}

func (h held) open(p *age.Periods, key []byte) (string, error) {
	r, err := p.Open(bytes.NewReader(h.sealed), h.period, "vault", h.id, key)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(r)
	return string(b), err
}

// by opens it as a reviewer's program does.
func (h held) by(t *testing.T, p *age.Periods, ids ...filippo.Identity) (string, error) {
	t.Helper()
	l, err := p.Lock(bytes.NewReader(h.sealed), h.period)
	if err != nil {
		return "", err
	}
	key, err := age.FileKey(l, ids)
	if err != nil {
		return "", err
	}
	return h.open(p, key)
}

func wants(t *testing.T, what, got string, err error) {
	t.Helper()
	if err != nil || got != secretText {
		t.Errorf("%s: got %q, %v; want it opened", what, got, err)
	}
}

func refuses(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func TestServersKeyOpensUntilItIsTakenAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.keys")
	server, ann, stranger := identity(t), identity(t), identity(t)
	old := held{id: dlp.NewID()} // as it was sealed before there were periods
	old.sealed = seal(t, age.NewSealer(server), "vault", old.id, []byte(secretText))

	p := periods(t, age.PeriodsConfig{Path: path, Server: server})
	h := hold(t, p)
	got, err := h.open(p, nil)
	wants(t, "with the key on the server", got, err)
	got, err = old.open(p, nil)
	wants(t, "what was held before, with the key on the server", got, err)
	_, err = h.by(t, p, ann)
	refuses(t, "somebody who is no reviewer", err, crypt.ErrWrongKey)

	p = periods(t, age.PeriodsConfig{Path: path, Server: server, Reviewers: public(ann)}, h.period, "")
	got, err = h.by(t, p, ann)
	wants(t, "a reviewer who was added", got, err)

	p = periods(t, age.PeriodsConfig{Path: path, Server: server, Reviewers: public(ann), Only: true}, h.period, "")
	for _, again := range []bool{false, true} { // the start that takes the key away, and the next
		if again {
			p = periods(t, age.PeriodsConfig{Path: path, Reviewers: public(ann), Only: true}, h.period, "")
		}
		for name, x := range map[string]held{"held before": old, "held with the key on the server": h, "held now": hold(t, p)} {
			_, err = x.open(p, nil)
			refuses(t, name+", by the server", err, vault.ErrLocked)
			got, err = x.by(t, p, ann)
			wants(t, name+", by the reviewer", got, err)
			_, err = x.by(t, p, stranger)
			refuses(t, name+", by a stranger", err, crypt.ErrWrongKey)
			_, err = x.by(t, p, server)
			refuses(t, name+", by the key that was taken away", err, crypt.ErrWrongKey)
		}
	}
	if _, err := age.OpenPeriods(age.PeriodsConfig{Path: path, Reviewers: public(ann)}, nil); err == nil {
		t.Error("a server without the key opened as if it had one")
	}
}

// TestFileKeyOpensOneContent: what the server is given for one document does
// not open another of the same period.
func TestFileKeyOpensOneContent(t *testing.T) {
	ann := identity(t)
	p := periods(t, age.PeriodsConfig{Path: filepath.Join(t.TempDir(), "k"), Reviewers: public(ann), Only: true})
	a, b := hold(t, p), hold(t, p)
	l, err := p.Lock(bytes.NewReader(a.sealed), a.period)
	if err != nil {
		t.Fatal(err)
	}
	key, err := age.FileKey(l, []filippo.Identity{ann})
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.open(p, key)
	wants(t, "its own", got, err)
	_, err = b.open(p, key)
	refuses(t, "another's", err, age.ErrTampered)
	_, err = a.open(p, key[:15])
	refuses(t, "half a key", err, age.ErrTampered)
}

func TestReviewersComeAndGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.keys")
	ann, ben := identity(t), identity(t)
	p := periods(t, age.PeriodsConfig{Path: path, Reviewers: public(ann), Only: true})
	h := hold(t, p)

	p = periods(t, age.PeriodsConfig{Path: path, Reviewers: public(ben), Only: true}, h.period)
	if now := hold(t, p); now.period == h.period {
		t.Error("what comes in is sealed to a key of who was removed")
	} else {
		got, err := now.by(t, p, ben)
		wants(t, "held since, by the new reviewer", got, err)
		_, err = now.by(t, p, ann)
		refuses(t, "held since, by the old one", err, crypt.ErrWrongKey)
	}
	_, err := h.by(t, p, ben)
	refuses(t, "held before, by the new reviewer", err, crypt.ErrWrongKey)
	sealed := h.sealed
	anew := map[dlp.ID][][]byte{}
	for _, x := range p.Stands(true).Periods {
		if !x.Stale {
			continue
		}
		if _, err := age.Reseal(x, public(ben), 1, []filippo.Identity{ben}); !errors.Is(err, crypt.ErrWrongKey) {
			t.Errorf("the new reviewer sealed a key anew that is not theirs: %v", err)
		}
		if anew[x.ID], err = age.Reseal(x, public(ben), 1, []filippo.Identity{ann}); err != nil {
			t.Fatal(err)
		}
	}
	if len(anew) != 2 {
		t.Fatalf("%d keys to seal anew, want those of contents and cases", len(anew))
	}
	if err := p.Accept(anew); err != nil {
		t.Fatal(err)
	}
	p = periods(t, age.PeriodsConfig{Path: path, Reviewers: public(ben), Only: true}, h.period)
	got, err := h.by(t, p, ben)
	wants(t, "held before, sealed anew, by the new reviewer", got, err)
	_, err = h.by(t, p, ann)
	refuses(t, "held before, sealed anew, by the old one", err, crypt.ErrWrongKey)
	if !bytes.Equal(sealed, h.sealed) {
		t.Error("the content was sealed anew, not its key")
	}
	if err := p.Accept(map[dlp.ID][][]byte{dlp.NewID(): {{1}}}); !errors.Is(err, crypt.ErrBadKey) {
		t.Errorf("a key of no period: %v", err)
	}
	if err := p.Accept(map[dlp.ID][][]byte{h.period: nil}); !errors.Is(err, crypt.ErrBadKey) {
		t.Errorf("no key at all: %v", err)
	}
}

// TestChangedReadersBeginAPeriod: who kept a copy of vault.keys, and could open what was
// held, opens nothing that is held after they were removed; also while the server has a
// key, and where that key is what was removed.
func TestChangedReadersBeginAPeriod(t *testing.T) {
	server, ann, ben := identity(t), identity(t), identity(t)
	two := public(ann, ben)
	for name, c := range map[string]struct {
		before, after age.PeriodsConfig
		keeps         []filippo.Identity
	}{
		"a reviewer is removed":         {age.PeriodsConfig{Reviewers: two}, age.PeriodsConfig{Reviewers: public(ann)}, []filippo.Identity{ben}},
		"the last reviewer is removed":  {age.PeriodsConfig{Reviewers: public(ben)}, age.PeriodsConfig{}, []filippo.Identity{ben}},
		"the release key is taken away": {age.PeriodsConfig{Reviewers: two}, age.PeriodsConfig{Reviewers: two, Only: true}, []filippo.Identity{server}},
		"two are needed from now on":    {age.PeriodsConfig{Reviewers: two}, age.PeriodsConfig{Reviewers: two, Only: true, Needed: 2}, []filippo.Identity{ben}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "vault.keys")
			c.before.Path, c.before.Server = path, server
			c.after.Path, c.after.Server = path, server
			p := periods(t, c.before)
			old := hold(t, p)
			kept := p.Stands(true)
			p = periods(t, c.after, old.period)
			now := hold(t, p)
			if now.period == old.period {
				t.Error("what comes in is sealed to a key that they have")
			}
			l, err := p.Lock(bytes.NewReader(now.sealed), now.period)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range kept.Periods {
				l.Sealed = x.Sealed
				_, err := age.FileKey(l, c.keeps)
				refuses(t, "with a key of the copy", err, crypt.ErrWrongKey)
			}
			if n := len(p.Stands(false).Periods); n != 4 && !c.after.Only || n != 5 && c.after.Only {
				t.Errorf("%d keys, want those of before and those of now", n)
			}
			same := periods(t, c.after, old.period, now.period)
			if h := hold(t, same); h.period != now.period {
				t.Error("a start by which nothing changed began a period")
			}
		})
	}
}

func TestTwoReviewers(t *testing.T) {
	ann, ben, cid, stranger := identity(t), identity(t), identity(t), identity(t)
	p := periods(t, age.PeriodsConfig{Path: filepath.Join(t.TempDir(), "k"), Reviewers: public(ann, ben, cid), Only: true, Needed: 2})
	h := hold(t, p)
	for name, ids := range map[string][]filippo.Identity{
		"the first and the second": {ann, ben}, "in the other order": {ben, ann}, "the first and the third": {ann, cid}, "the last two": {cid, ben},
		"all of them": {ann, ben, cid},
	} {
		got, err := h.by(t, p, ids...)
		wants(t, name, got, err)
	}
	for name, ids := range map[string][]filippo.Identity{"one": {ann}, "one, twice": {ann, ann}, "one and a stranger": {ann, stranger}} {
		_, err := h.by(t, p, ids...)
		refuses(t, name, err, age.ErrNotEnough)
	}
	for name, ids := range map[string][]filippo.Identity{"the last alone": {cid}, "a stranger": {stranger}} {
		if _, err := h.by(t, p, ids...); err == nil {
			t.Errorf("%s opened it", name)
		}
	}
	if _, err := age.OpenPeriods(age.PeriodsConfig{Path: filepath.Join(t.TempDir(), "k"), Reviewers: public(ann), Only: true, Needed: 2}, nil); err == nil {
		t.Error("two needed of one: no error")
	}
}

func TestPostQuantumReviewers(t *testing.T) {
	one, err := filippo.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	two, err := filippo.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	both := []string{one.Recipient().String(), two.Recipient().String()}
	for needed := range 2 {
		p := periods(t, age.PeriodsConfig{Path: filepath.Join(t.TempDir(), "k"), Reviewers: both, Only: true, Needed: needed + 1})
		if to := p.Stands(false).Periods[0].Recipient; !strings.HasPrefix(to, "age1pq1") {
			t.Errorf("the period's key is %.12s…, want a post-quantum one", to)
		}
		got, err := hold(t, p).by(t, p, one, two)
		wants(t, "post-quantum", got, err)
	}
}

// TestPeriodsBecomePostQuantum: once all who may open the vault have post-quantum
// keys, what is held since is sealed to one, whether or not the server took its own
// key away in the same start; what was held before opens too.
func TestPeriodsBecomePostQuantum(t *testing.T) {
	id, err := filippo.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	path, server := filepath.Join(t.TempDir(), "vault.keys"), identity(t)
	reviewers := []string{id.Recipient().String()}
	old := hold(t, periods(t, age.PeriodsConfig{Path: path, Server: server, Reviewers: reviewers}))
	p := periods(t, age.PeriodsConfig{Path: path, Server: server, Reviewers: reviewers, Only: true}, old.period)
	now := hold(t, p)
	if to := p.Recipients()[now.period]; now.period == old.period || !strings.HasPrefix(to, "age1pq1") {
		t.Errorf("what is held goes to %.12s…, want a new post-quantum key", to)
	}
	for again := range 2 { // the start that takes the release key away, and the next
		if again == 1 {
			p = periods(t, age.PeriodsConfig{Path: path, Reviewers: reviewers, Only: true}, old.period, now.period)
			if next := hold(t, p); next.period != now.period {
				t.Error("the next start begins another key")
			}
		}
		for name, h := range map[string]held{"held before": old, "held now": now} {
			got, err := h.by(t, p, id)
			wants(t, name, got, err)
			_, err = h.open(p, nil)
			refuses(t, name+", by the server", err, vault.ErrLocked)
		}
	}
}

func TestDestroyedKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.keys")
	server := identity(t)
	p := periods(t, age.PeriodsConfig{Path: path, Server: server})
	h := hold(t, p)
	if err := p.Destroy(h.period); err == nil {
		t.Fatal("the key of a period that runs was destroyed")
	}
	if err := p.Rotate(); err != nil {
		t.Fatal(err)
	}
	later := hold(t, p)
	if later.period == h.period {
		t.Fatal("the period did not change")
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Destroy(h.period); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		_, err := h.open(p, nil)
		refuses(t, "its content", err, vault.ErrNoContent)
		_, err = h.by(t, p, server)
		refuses(t, "its lock", err, vault.ErrNoContent)
		got, err := later.open(p, nil)
		wants(t, "the next period's", got, err)
		p = periods(t, age.PeriodsConfig{Path: path, Server: server}, h.period, later.period)
	}
	if now, err := os.ReadFile(path); err != nil || len(now) >= len(before) {
		t.Errorf("the file has %d bytes, %d before, %v: want the sealed key gone", len(now), len(before), err)
	}
}

func TestPeriodsThatAreNotOurs(t *testing.T) {
	server, dir := identity(t), t.TempDir()
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"a later form": {`{"v":3,"periods":[]}`, age.ErrNewer},
		"no JSON":      {"age1", crypt.ErrBadKey},
		"none":         {"", crypt.ErrKeyMissing},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if c.text != "" {
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := age.OpenPeriods(age.PeriodsConfig{Path: path, Server: server}, []dlp.ID{dlp.NewID()}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if got, err := os.ReadFile(path); err == nil && string(got) != c.text || c.text == "" && err == nil {
			t.Errorf("%s: the file was written: %q", name, got)
		}
	}
	// Another period's sealed key in the place of one does not open.
	path := filepath.Join(dir, "swapped")
	p := periods(t, age.PeriodsConfig{Path: path, Server: server})
	st := p.Stands(true).Periods
	if err := p.Accept(map[dlp.ID][][]byte{st[0].ID: st[1].Sealed}); err != nil {
		t.Fatal(err)
	}
	h := hold(t, p)
	if _, err := h.open(p, nil); err == nil {
		t.Error("a key that was moved to another period opened")
	}
}

// TestPeriodDoesNotEndBeforeItBegan: with a clock in the past a period would
// end long ago, and be too old to be kept as soon as the clock is right.
func TestPeriodDoesNotEndBeforeItBegan(t *testing.T) {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	p := periods(t, age.PeriodsConfig{Path: filepath.Join(t.TempDir(), "k"), Server: identity(t), Now: func() time.Time { return now }})
	begun := now
	now = time.Unix(0, 0)
	if err := p.Rotate(); err != nil {
		t.Fatal(err)
	}
	for _, x := range p.Stands(false).Periods[:2] {
		if !x.Ended.Equal(begun) {
			t.Errorf("%s ended %v, begun %v", x.Kind, x.Ended, begun)
		}
	}
}

// TestRunningKeyThatDoesNotOpen: what comes in is not sealed to a key that the
// server cannot open, such as one that was put into the file.
func TestRunningKeyThatDoesNotOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.keys")
	server, foreign := identity(t), identity(t)
	p := periods(t, age.PeriodsConfig{Path: path, Server: server})
	own := hold(t, p)
	was := p.Stands(false).Periods[0].Recipient
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte(was), []byte(public(foreign)[0])), 0o600); err != nil {
		t.Fatal(err)
	}
	p = periods(t, age.PeriodsConfig{Path: path, Server: server}, own.period)
	now := hold(t, p)
	if now.period == own.period {
		t.Error("what comes in is sealed to a key that is not the server's")
	}
	got, err := now.open(p, nil)
	wants(t, "held since", got, err)
	n := len(p.Stands(false).Periods)
	p = periods(t, age.PeriodsConfig{Path: path, Server: server}, own.period)
	if got := len(p.Stands(false).Periods); got != n {
		t.Errorf("the next start begins periods again: %d, %d before", got, n)
	}
}

// TestRunningKeyUnderReviewersOnly: a server that can open nothing tells the form
// alone. What comes in is not sealed to a key that nobody was given; that what is
// sealed is another key than it says, reviewers are the first to see.
func TestRunningKeyUnderReviewersOnly(t *testing.T) {
	ann, ben, foreign := identity(t), identity(t), identity(t)
	for name, tc := range map[string]struct {
		change func(x map[string]any)
		told   bool
	}{
		"as it was":                 {func(map[string]any) {}, false},
		"no recipient":              {func(x map[string]any) { x["recipient"] = "age1" }, true},
		"sealed to nobody":          {func(x map[string]any) { delete(x, "sealed") }, true},
		"sealed to one of two":      {func(x map[string]any) { x["sealed"] = x["sealed"].([]any)[:1] }, true},
		"nothing is sealed":         {func(x map[string]any) { x["sealed"].([]any)[1] = "" }, true},
		"the key of somebody else":  {func(x map[string]any) { x["recipient"] = public(foreign)[0] }, false},
		"not all of what is sealed": {func(x map[string]any) { b := x["sealed"].([]any)[0].(string); x["sealed"].([]any)[0] = b[:len(b)-8] }, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := age.PeriodsConfig{Path: filepath.Join(t.TempDir(), "vault.keys"), Reviewers: public(ann, ben), Only: true}
			own := hold(t, periods(t, c))
			var file struct {
				V       int              `json:"v"`
				Periods []map[string]any `json:"periods"`
			}
			b, err := os.ReadFile(c.Path)
			if err == nil {
				err = json.Unmarshal(b, &file)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range file.Periods {
				tc.change(x)
			}
			if b, err = json.Marshal(file); err == nil {
				err = os.WriteFile(c.Path, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			p := periods(t, c, own.period)
			now := hold(t, p)
			if told := now.period != own.period; told != tc.told {
				t.Fatalf("another period was begun: %v, want %v", told, tc.told)
			}
			got, err := now.by(t, p, ann)
			if name == "the key of somebody else" || name == "not all of what is sealed" {
				if err == nil {
					t.Errorf("opened: %q", got)
				}
				return
			}
			wants(t, "held since", got, err)
		})
	}
}

// TestSamePeriods: a file of keys in which a period has another key than the
// backup knows is not that installation's.
func TestSamePeriods(t *testing.T) {
	p := periods(t, age.PeriodsConfig{Path: filepath.Join(t.TempDir(), "k"), Server: identity(t)})
	known := p.Recipients()
	if len(known) != 2 {
		t.Fatalf("%d periods, want 2", len(known))
	}
	if err := p.Rotate(); err != nil { // the file is often newer than the backup
		t.Fatal(err)
	}
	b, err := p.File()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []map[dlp.ID]string{known, nil} {
		if err := age.SamePeriods(b, k); err != nil {
			t.Errorf("%d known: %v", len(k), err)
		}
	}
	for id, to := range known {
		other := bytes.ReplaceAll(b, []byte(to), []byte(public(identity(t))[0]))
		if err := age.SamePeriods(other, known); !errors.Is(err, age.ErrOtherKeys) || !strings.Contains(err.Error(), string(id)) {
			t.Errorf("another key for %s: %v, want %v", id, err, age.ErrOtherKeys)
		}
	}
	if err := age.SamePeriods([]byte("x"), known); !errors.Is(err, crypt.ErrBadKey) {
		t.Errorf("no file of keys: %v", err)
	}
}
