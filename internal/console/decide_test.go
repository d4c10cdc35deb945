package console_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

// TestDecisions says what each form of a decision asks of the gateway.
func TestDecisions(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.desk.held[0].Recipients = []string{"a@partner.example", "b@partner.example"}
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	id := string(s.desk.held[0].ID)
	for _, c := range []struct {
		name string
		form url.Values
		fail error
		code int
		want []string
		say  string
	}{
		{"release", url.Values{"do": {"release"}}, nil, 303, []string{"release payment user:dana"}, "Released."},
		{"encrypted", url.Values{"do": {"encrypt"}}, nil, 303, []string{"release payment encrypted user:dana"}, "encrypted to everybody"},
		{"to one", url.Values{"do": {"release"}, "some": {"1"}, "to": {"b@partner.example"}}, nil, 303, []string{"release payment only b@partner.example user:dana"}, "Released."},
		{"to one, the rest rejected", url.Values{"do": {"encrypt"}, "some": {"1"}, "to": {"b@partner.example"}, "rest": {"reject"}}, nil, 303,
			[]string{"release payment encrypted only b@partner.example user:dana", "reject payment  user:dana"}, "Rejected for all others"},
		{"marked, but not for them only", url.Values{"do": {"release"}, "to": {"b@partner.example"}}, nil, 400, nil, "recipients are marked"},
		{"only the others are chosen for", url.Values{"do": {"release"}, "rest": {"reject"}}, nil, 400, nil, "for the others"},
		{"rejected for some", url.Values{"do": {"reject"}, "some": {"1"}, "to": {"b@partner.example"}}, nil, 400, nil, "for everybody"},
		{"to nobody", url.Values{"do": {"release"}, "some": {"1"}}, nil, 400, nil, "to nobody"},
		{"no such act", url.Values{"do": {"leak"}}, nil, 400, nil, "choose"},
		{"no way", url.Values{"do": {"encrypt"}}, gateway.ErrNoWay, 409, nil, "stays held"},
		{"the first of two", url.Values{"do": {"release"}, "some": {"1"}, "to": {"b@partner.example"}, "rest": {"reject"}}, gateway.ErrSecond, 303, nil, "first of two"},
		{"twice the same person", url.Values{"do": {"release"}}, gateway.ErrSame, 409, nil, "Somebody else"},
	} {
		before := len(s.desk.log())
		s.desk.fails = c.fail
		c.form.Set("code", "payment")
		code, body, to := v.do(http.MethodPost, "/items/"+id+"/decide", c.form)
		if code == 303 {
			_, body, _ = v.do(http.MethodGet, to, nil)
		}
		if got := s.desk.log()[before:]; code != c.code || !slices.Equal(got, c.want) || !strings.Contains(body, c.say) {
			t.Errorf("%s: %d, asked for %q, want %d and %q, and %q said", c.name, code, got, c.code, c.want, c.say)
		}
	}
	s.desk.fails = gateway.ErrSecond
	_, _, to := v.do(http.MethodPost, "/queue/decide", url.Values{"do": {"encrypt"}, "code": {"payment"}, "item": {id}, "count": {"1"}})
	if _, body, _ := v.do(http.MethodGet, to, nil); !strings.Contains(body, "1 noted as the first of two") {
		t.Error("several at once: what waits for a second decision is not told")
	}
}

func TestProposedAndLate(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	soon := s.now().Add(4 * time.Hour)
	h := &s.desk.held[0]
	h.Ends, h.Proposed = &soon, &gateway.Proposed{By: "user:ann", Code: "payment", Words: hostile, At: s.now(), Encrypted: true}
	s.add(t, "dana", console.Officer, false)
	s.add(t, "vera", console.Viewer, false)
	_, queue, _ := s.signedIn(t, "dana").do(http.MethodGet, "/queue", nil)
	if strings.Count(queue, "ends in 4 h 00") != 1 || strings.Count(queue, "age-late") != 1 || strings.Count(queue, "Second yes") != 1 {
		t.Error("the queue does not say what ends soon, or waits for a second decision")
	}
	for name, words := range map[string]bool{"dana": true, "vera": false} {
		_, item, _ := s.signedIn(t, name).do(http.MethodGet, "/items/"+string(h.ID), nil)
		if !strings.Contains(item, "ann decided: release encrypted") || strings.Contains(item, "onerror=alert(1)&gt;{{.User}}”") != words || strings.Contains(item, "<img src=x") {
			t.Errorf("%s: the first decision is shown wrongly", name)
		}
	}
}
