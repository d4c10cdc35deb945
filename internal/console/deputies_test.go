package console_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

func noted(console.Deputyship) error { return nil }

// TestDeputies: who may be whose deputy, for how long, and who counts as one.
func TestDeputies(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	users, d := console.OpenUsers(dir), console.OpenDeputies(dir, func() time.Time { return now })
	for name, role := range map[string]console.Role{"dana": console.Officer, "luis": console.Officer, "mo": console.Admin, "vera": console.Viewer, "gone": console.Officer} {
		if err := users.Add(name, role, password, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := users.SetDisabled("gone", true); err != nil {
		t.Fatal(err)
	}
	if all, err := d.Deciding(); err != nil || !slices.Equal(all, []string{"user:dana", "user:luis", "user:mo"}) {
		t.Errorf("who may decide: %q, %v", all, err)
	}
	week := now.Add(7 * 24 * time.Hour)
	for name, x := range map[string]struct {
		of, by string
		until  time.Time
		want   error
	}{
		"oneself": {"dana", "dana", week, console.ErrDeputyOf}, "a viewer": {"dana", "vera", week, console.ErrDeputyWho}, "of a viewer": {"vera", "dana", week, console.ErrDeputyOf},
		"one who may not sign in": {"dana", "gone", week, console.ErrDeputyWho}, "nobody": {"dana", "nobody", week, console.ErrDeputyWho},
		"for no time": {"dana", "luis", now, console.ErrDeputyFor}, "for good": {"dana", "luis", now.Add(console.MaxDeputy + time.Hour), console.ErrDeputyFor},
	} {
		if err := d.Name(x.of, x.by, x.until, noted); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", name, err, x.want)
		}
	}
	for range 50 { // as many as are kept of one account, and no other is kept from one by it
		if err := d.Name("mo", "luis", week, noted); err != nil {
			t.Fatal(err)
		}
		if err := d.End("mo", noted); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Name("mo", "luis", week, noted); !errors.Is(err, console.ErrDeputyOften) {
		t.Errorf("over and over: %v", err)
	}
	full := errors.New("the log is full")
	if err := d.Name("dana", "luis", week, func(console.Deputyship) error { return full }); !errors.Is(err, full) {
		t.Errorf("what was not recorded: %v", err)
	}
	if run, err := d.Running(); len(run) != 0 || err != nil {
		t.Errorf("and yet it is so: %v, %v", run, err)
	}
	began := now
	if err := d.Name("dana", "luis", week, noted); err != nil {
		t.Fatal(err)
	}
	if err := d.Name("dana", "mo", week, noted); !errors.Is(err, console.ErrHasDeputy) {
		t.Errorf("a second deputy: %v", err)
	}
	if err := d.Name("luis", "mo", week, noted); err != nil { // mo is no deputy of dana's by it
		t.Fatal(err)
	}
	places := func(by string, want ...string) {
		t.Helper()
		if got, err := d.InPlaceOf(by); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s decides in the place of %q, %v; want %q", by, got, err, want)
		}
	}
	places("luis", "dana")
	places("mo", "luis")
	one := func(a, b string, since time.Time, want bool) {
		t.Helper()
		if got, err := d.One(a, b, since); err != nil || got != want {
			t.Errorf("%s and %s are one: %v, %v", a, b, got, err)
		}
	}
	one("user:dana", "user:dana", began, true)
	one("user:dana", "user:luis", began, true)
	one("user:luis", "user:dana", began, true)
	one("user:mo", "user:dana", began, false)
	one("user:mo for user:luis", "user:dana", began, true)
	one("user:mo", "user:luis for user:dana", began, true)
	one("uid:0", "user:dana", began, false)
	one("uid:0", "uid:0", began, true)
	testAddresses(t, users, d)
	counts := func(actor string, at time.Time, want bool) {
		t.Helper()
		if got, err := d.Counts(actor, at); err != nil || got != want {
			t.Errorf("what %s decided at %v counts: %v, %v", actor, at, got, err)
		}
	}
	counts("user:dana", time.Now(), true)
	counts("uid:0", time.Now(), true)
	decided := time.Now()
	if err := users.SetDisabled("luis", true); err != nil {
		t.Fatal(err)
	}
	counts("user:luis for user:dana", decided, false)
	places("luis")
	places("mo")
	if err := users.SetDisabled("luis", false); err != nil {
		t.Fatal(err)
	}
	counts("user:luis", decided, false)
	counts("user:luis", decided.Add(time.Hour), true)
	places("luis", "dana")
	if err := d.End("dana", noted); err != nil {
		t.Fatal(err)
	}
	places("luis")
	one("user:dana", "user:luis", began.Add(-time.Minute), true)
	now = now.Add(8 * 24 * time.Hour)
	one("user:dana", "user:luis", now, false)
	places("mo") // by itself
	if err := d.End("luis", noted); !errors.Is(err, console.ErrNoDeputy) {
		t.Errorf("ending what has ended: %v", err)
	}
}

func testAddresses(t *testing.T, users *console.Users, d *console.Deputies) {
	t.Helper()
	if err := users.SetAddress("dana", "no address"); !errors.Is(err, console.ErrAddress) {
		t.Errorf("an address that is none: %v", err)
	}
	for name, a := range map[string]string{"dana": "Dana@clinic.example", "luis": "luis@clinic.example"} {
		if err := users.SetAddress(name, a); err != nil {
			t.Fatal(err)
		}
	}
	dana := dlp.Address{Local: "dana", Domain: "CLINIC.example"}
	for actor, want := range map[string]bool{"user:dana": true, "user:luis": true, "user:mo": false, "user:mo for user:luis": false, "user:mo for user:dana": true, "uid:0": false} {
		if own, err := d.Sent(actor, dana); err != nil || own != want {
			t.Errorf("mail of dana's is %s's own: %v, %v", actor, own, err)
		}
	}
	to, err := d.WithDeputies([]dlp.Address{dana})
	if err != nil || len(to) != 2 || to[1].String() != "luis@clinic.example" {
		t.Errorf("told beside dana: %v, %v", to, err)
	}
	if to, err := d.WithDeputies([]dlp.Address{{Local: "chief", Domain: "clinic.example"}}); err != nil || len(to) != 1 {
		t.Errorf("told beside another: %v, %v", to, err)
	}
}

// TestDeputyDecides: a deputy has in hand what the other claimed, every act says in
// whose place, and with the last day it is over.
func TestDeputyDecides(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	for _, name := range []string{"dana", "luis", "mo"} {
		s.add(t, name, console.Officer, false)
	}
	dana, luis, mo := s.signedIn(t, "dana"), s.signedIn(t, "luis"), s.signedIn(t, "mo")
	id, other, last := string(s.desk.held[0].ID), string(s.desk.held[1].ID), string(s.desk.held[2].ID)
	dana.do(http.MethodPost, "/items/"+id+"/claim", nil)
	reject := url.Values{"do": {"reject"}, "code": {"other"}}
	if code, _, _ := luis.do(http.MethodPost, "/items/"+id+"/decide", reject); code != http.StatusConflict {
		t.Errorf("what dana claimed, before luis is her deputy: %d", code)
	}
	for _, day := range []string{"", "2026-11-20", "2027-11-20"} {
		if code, _, _ := dana.do(http.MethodPost, "/deputy/name", url.Values{"name": {"luis"}, "last": {day}}); code < 400 || code >= 500 {
			t.Errorf("a deputy until %q: %d", day, code)
		}
	}
	if code, _, to := dana.do(http.MethodPost, "/deputy/name", url.Values{"name": {"luis"}, "last": {"2026-11-26"}}); to != "/deputy" {
		t.Fatalf("naming a deputy: %d to %q", code, to)
	}
	if _, body, _ := luis.do(http.MethodGet, "/queue", nil); strings.Count(body, `name="item"`) != 3 {
		t.Error("luis cannot select what dana claimed")
	}
	if _, body, _ := luis.do(http.MethodGet, "/items/"+id, nil); !strings.Contains(body, "You act for dana here") {
		t.Error("the item does not say that luis acts for dana")
	}
	luis.do(http.MethodPost, "/items/"+id+"/reveal", url.Values{"reason": {"to_decide"}, "part": {"1"}})
	if code, _, to := luis.do(http.MethodPost, "/items/"+id+"/decide", reject); to != "/queue" {
		t.Errorf("deciding in dana's place: %d to %q", code, to)
	}
	inDanas := url.Values{"do": {"reject"}, "code": {"other"}, "for": {"dana"}}
	if code, _, _ := mo.do(http.MethodPost, "/items/"+other+"/decide", inDanas); code != http.StatusForbidden {
		t.Errorf("mo for dana: %d, want 403", code)
	}
	luis.do(http.MethodPost, "/items/"+other+"/claim", inDanas)
	luis.do(http.MethodPost, "/queue/decide", url.Values{"do": {"reject"}, "code": {"other"}, "item": {other}, "count": {"1"}})
	luis.do(http.MethodPost, "/items/"+last+"/decide", reject)
	want := []string{"show user:luis for user:dana", "read reveal:to_decide user:luis for user:dana", "show user:luis for user:dana",
		"reject other  user:luis for user:dana", "reject other  user:luis for user:dana", "reject other  user:luis"}
	if got := s.desk.log(); !slices.Equal(got, want) {
		t.Errorf("the desk was asked\n%q, want\n%q", got, want)
	}
	s.desk.mu.Lock()
	named := slices.ContainsFunc(s.desk.events, func(e audit.Event) bool {
		return e.Kind == audit.Account && e.Actor == "user:dana" && e.For == "user:dana" && e.Reason == "deputy:luis" && e.Until.Equal(time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC))
	})
	s.desk.mu.Unlock()
	if !named {
		t.Error("the log does not say who is dana's deputy until when")
	}
	s.desk.held[0].Proposed = &gateway.Proposed{By: "user:luis for user:dana", At: time.Now().Add(-time.Hour)}
	if err := s.users.SetDisabled("luis", true); err != nil {
		t.Fatal(err)
	}
	if _, body, _ := mo.do(http.MethodGet, "/items/"+id, nil); !strings.Contains(body, "luis for dana") || !strings.Contains(body, "counts no longer") {
		t.Error("the item does not say that who decided first may decide no more")
	}
	if err := s.users.SetDisabled("luis", false); err != nil {
		t.Fatal(err)
	}
	s.pass(15 * time.Hour)
	luis, dana = s.signedIn(t, "luis"), s.signedIn(t, "dana")
	dana.do(http.MethodPost, "/items/"+id+"/claim", nil)
	if code, _, _ := luis.do(http.MethodPost, "/items/"+id+"/decide", reject); code != http.StatusConflict {
		t.Errorf("when the last day is over: %d", code)
	}
}
