package console_test

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
)

var (
	trailLine = regexp.MustCompile(`<li(?: class="looked")?><time[^>]*>[^<]*</time>(.*)</li>`)
	tags      = regexp.MustCompile(`<[^>]*>`)
)

// trailOf is what an item's page tells of its history.
func trailOf(body string) (out []string) {
	for _, m := range trailLine.FindAllStringSubmatch(body, -1) {
		out = append(out, html.UnescapeString(strings.TrimSpace(tags.ReplaceAllString(m[1], ""))))
	}
	return out
}

// TestHistory: an item's page tells those who may decide or read the log who did what
// with it, the first first, and nothing by which they know a drill.
func TestHistory(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	for name, role := range map[string]console.Role{"vera": console.Viewer, "dana": console.Officer, "otto": console.Auditor} {
		s.add(t, name, role, false)
	}
	id := s.desk.held[0].ID
	at := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	for i, l := range []audit.Line{
		{Kind: audit.Decision, Action: "quarantine", Policy: "phi-leaves", Causes: []string{"too_deep"}},
		{Kind: audit.Outcome, Result: audit.ResultHeld},
		{Kind: audit.Drill, Reason: "offer"},
		{Kind: audit.Deliver, Result: audit.ResultDelivered, Reason: "notice", Rcpts: 1},
		{Kind: audit.Deliver, Result: audit.ResultDelivered, Reason: "copy", Rcpts: 2},
		{Kind: audit.Ask, Actor: "sender"},
		{Kind: audit.Claim, Actor: "user:dana", Reason: "taken"},
		{Kind: audit.Look, Actor: "user:dana", Reason: "case"},
		{Kind: audit.Look, Actor: "user:dana", Reason: "case"},
		{Kind: audit.Look, Actor: "user:luis", For: "user:dana", Reason: "reveal:possible_false_hit"},
		{Kind: audit.LegalHold, Actor: "user:ann", Reason: "placed"},
		{Kind: audit.LegalHold, Actor: "user:ann", Reason: "placed", Result: audit.ResultDone},
		{Kind: audit.Look, Actor: "user:dana", Reason: "password"},
		{Kind: audit.Outcome, Result: audit.ResultFailed},
		{Kind: audit.RuleFile, Actor: "user:dana", Reason: "propose:3"},
		{Kind: audit.Propose, Actor: "user:dana", Reason: "release_encrypted"},
		{Kind: audit.Review, Actor: "uid:0", Reason: "not_phi"},
		{Kind: audit.Release, Actor: "uid:0", Reason: audit.ReasonUnencrypted},
		{Kind: audit.Deliver, Result: audit.ResultUndelivered, Reason: "release", Rcpts: 2},
		{Kind: audit.Reject, Reason: "discarded"},
	} {
		l.Seq, l.Time, l.Doc = uint64(40+i), at.Add(time.Duration(i)*time.Minute), id
		s.desk.lines = append([]audit.Line{l}, s.desk.lines...)
	}
	want := []string{
		"Read, and held by the policy phi-leaves; not read: too deep",
		"Delivered to 2 recipients",
		"its sender asks for its release",
		"dana claimed it",
		"dana opened it · 2 times, the last 26 Nov, 08:08:00",
		"luis for dana looked at the real text of a part. Reason: possible false hit",
		"ann placed a legal hold",
		"dana tried a password",
		"That was not done",
		"dana proposed a change of rules: not PHI",
		"dana decided first: release encrypted",
		"user 0 of the server gave the reason: not PHI",
		"user 0 of the server released it in the clear, though it was to be encrypted",
		"Not delivered to all of 2 recipients",
		"Its time was over: ended, and its content deleted",
	}
	_, body, _ := s.signedIn(t, "dana").do(http.MethodGet, "/items/"+string(id), nil)
	if got := trailOf(body); !slices.Equal(got, want) {
		t.Errorf("the history is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(body, "/audit/proof") || strings.Contains(body, "What happened earlier") {
		t.Error("an officer is led to proofs, or to what is not there")
	}
	if _, body, _ = s.signedIn(t, "vera").do(http.MethodGet, "/items/"+string(id), nil); len(trailOf(body)) > 0 || strings.Contains(body, ">History<") {
		t.Error("a viewer sees who did what")
	}
	s.desk.further = 4096
	otto := s.signedIn(t, "otto")
	_, body, _ = otto.do(http.MethodGet, "/items/"+string(id), nil)
	for _, want := range []string{`href="/items/` + string(id) + `?before=4096#history-of"`, `href="/audit/proof?event=40"`} {
		if !strings.Contains(body, want) {
			t.Errorf("an auditor's page lacks %s", want)
		}
	}
	if _, body, _ = otto.do(http.MethodGet, "/items/"+string(id)+"?before=4096", nil); !strings.Contains(body, "What happened last") {
		t.Error("what happened earlier leads to nowhere")
	}
	s.desk.broken = fmt.Errorf("audit: %w", audit.ErrFull)
	if code, body, _ := otto.do(http.MethodGet, "/audit", nil); code != http.StatusServiceUnavailable || !strings.Contains(body, "could not be recorded") {
		t.Errorf("a look for which the log has no room: %d", code)
	}
	s.desk.broken = nil
	if code, _, _ := otto.do(http.MethodGet, "/items/"+string(id)+"?before=x", nil); code != http.StatusBadRequest {
		t.Errorf("before x: %d, want 400", code)
	}
}
