package console_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/rollout"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/tally"
)

func (c counts) By(_ context.Context, what string, first, last int) (out []store.Count, err error) {
	for _, x := range c {
		if x.What == what && x.Day >= first && x.Day <= last {
			out = append(out, x)
		}
	}
	return out, nil
}

// bringing brings one policy in.
type bringing struct {
	state rollout.State
	taken []rollout.Step
	fails bool // what was written is not in force
}

func (b *bringing) Behind(rollout.State) (bool, error) { return b.fails, nil }

func (b *bringing) Policies() ([]policy.Policy, rollout.State, error) {
	return []policy.Policy{{ID: "phi-leaves", Description: "what <leaves>", Mode: "rollout", Action: "quarantine"}}, b.state, nil
}

func (b *bringing) Take(_ context.Context, base int, x rollout.Step) error {
	switch {
	case x.Policy != "phi-leaves":
		return console.ErrNoRollout
	case base != b.state.N():
		return rollout.ErrChanged
	}
	b.taken = append(b.taken, x)
	return nil
}

func TestRolloutPage(t *testing.T) {
	t.Parallel()
	b := &bringing{}
	s := newSiteWith(t, 1, func(s *site, d *console.Deps) {
		day := tally.Day(s.at)
		d.Rollout = b
		d.Figures = counts{{Day: day, What: tally.PolicyWatched, Of: "phi-leaves", N: 1234}, {Day: day - 20, What: tally.PolicyWatched, Of: "phi-leaves", N: 50000}, {Day: day, What: tally.PolicyWatched, Of: "other", N: 77777},
			{Day: day, What: tally.WatchedBy, Of: "phi-leaves us-ssn " + pseudonym, N: 1200}, {Day: day, What: tally.WatchedBy, Of: "phi-leaves us-ssn aa", N: 34}, {Day: day, What: tally.WatchedBy, Of: "other us-mbi aa", N: 66666},
			{Day: day - 40, What: tally.PHI, Of: "us-ssn", N: 9}, {Day: day - 40, What: tally.NotPHI, Of: "us-ssn", N: 3}}
	})
	s.add(t, "ann", console.Admin, false)
	s.add(t, "dana", console.Officer, false)
	ann, dana := s.signedIn(t, "ann"), s.signedIn(t, "dana")
	_, body, _ := ann.do(http.MethodGet, "/rollout", nil)
	text := strings.Join(strings.Fields(body), " ")
	for _, want := range []string{"<strong>1,234</strong>", `<code>us-ssn</code></th><td class="num">1,234</td><td class="num">2</td>`, "75 %", "of 12", "what &lt;leaves&gt;", "Nobody has begun yet", `value="enforce"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, not := range []string{"66,666", "77,777", pseudonym} {
		if strings.Contains(body, not) {
			t.Errorf("the page shows %q", not)
		}
	}
	if _, body, _ := dana.do(http.MethodGet, "/rollout", nil); strings.Contains(body, `value="enforce"`) || !strings.Contains(body, "1,234") {
		t.Error("an officer may enforce, or sees no figures")
	}
	step := func(more ...string) url.Values {
		f := url.Values{"base": {"0"}, "policy": {"phi-leaves"}, "do": {"enforce"}, "confirm": {"phi-leaves"}, "note": {"fine"}}
		for i := 0; i < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return f
	}
	for name, c := range map[string]struct {
		form url.Values
		want int
	}{
		"not confirmed":         {step("confirm", "yes"), 400},
		"another policy":        {step("policy", "x", "confirm", "x"), 404},
		"seen before a step":    {step("base", "7"), 409},
		"from no state":         {step("base", ""), 400},
		"watched, no days said": {step("do", "watch"), 400},
	} {
		if code, _, _ := ann.do(http.MethodPost, "/rollout", c.form); code != c.want || len(b.taken) != 0 {
			t.Errorf("%s: %d, want %d; %d steps", name, code, c.want, len(b.taken))
		}
	}
	ann.do(http.MethodPost, "/rollout", step("do", "watch", "days", "7", "confirm", ""))
	ann.do(http.MethodPost, "/rollout", step())
	if !slices.EqualFunc(b.taken, []string{"watch user:ann 7", "enforce user:ann 0"}, func(x rollout.Step, want string) bool {
		return want == string(x.Do)+" "+x.By+" "+string(rune('0'+x.Days)) && x.At.Equal(s.now())
	}) {
		t.Errorf("steps: %+v", b.taken)
	}
	// What is enforced says so, and takes a confirmation to be only watched again.
	b.state = rollout.State{V: 1, Steps: []rollout.Step{{N: 1, At: s.at.Add(-3 * 24 * time.Hour), Policy: "phi-leaves", Do: rollout.Enforce, By: "user:ann"}}}
	if code, _, _ := ann.do(http.MethodPost, "/rollout", step("base", "1", "do", "watch", "days", "7", "confirm", "")); code != http.StatusBadRequest {
		t.Errorf("loosened without a confirmation: %d", code)
	}
	if _, body, _ := ann.do(http.MethodGet, "/rollout", nil); !strings.Contains(body, "Enforced since 23 Nov 2026") || strings.Contains(body, `value="enforce"`) {
		t.Error("the page does not say that it is enforced")
	}
	for _, fails := range []bool{false, true} {
		b.fails = fails
		if _, body, _ := ann.do(http.MethodGet, "/rollout", nil); strings.Contains(body, "The last step is not in force") != fails {
			t.Errorf("what was written is not in force: %t, and the page does not say so", fails)
		}
	}
}
