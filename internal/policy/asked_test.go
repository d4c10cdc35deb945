package policy_test

import (
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestAsked: what a sender asks for is never less than what the policies say,
// and concerns external recipients of mail alone.
func TestAsked(t *testing.T) {
	for _, tt := range []struct {
		name   string
		action string
		found  []dlp.Finding
		asked  bool
		want   []dlp.Action // outside, inside
		reason string
	}{
		{"clean", "quarantine", nil, true, []dlp.Action{encrypt, allow}, dlp.ReasonAsked},
		{"clean, not asked", "quarantine", nil, false, []dlp.Action{allow, allow}, ""},
		{"held all the same", "quarantine", []dlp.Finding{ssn(1)}, true, []dlp.Action{hold, hold}, ""},
		{"rejected all the same", "reject", []dlp.Finding{ssn(1)}, true, []dlp.Action{dlp.Reject, dlp.Reject}, ""},
		{"tag becomes encrypt", "tag", []dlp.Finding{ssn(1)}, true, []dlp.Action{encrypt, dlp.AddTag}, dlp.ReasonAsked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := mail(outside, inside)
			doc.Asked = tt.asked
			v := engine(t, one("action='"+tt.action+"'")).Decide(doc, tt.found, nil)
			if got := []dlp.Action{v.Rcpts[0].Action, v.Rcpts[1].Action}; !slices.Equal(got, tt.want) || v.Rcpts[0].Reason != tt.reason {
				t.Errorf("got %v, %q, want %v, %q", got, v.Rcpts[0].Reason, tt.want, tt.reason)
			}
		})
	}
	file := &dlp.Document{ID: dlp.NewID(), Channel: dlp.File, Asked: true}
	v := engine(t, one("action='quarantine'")).Decide(file, nil, nil)
	if got := v.Rcpts[0].Action; got != allow {
		t.Errorf("file: got %v, want allow", got)
	}
}

// TestUnread: what passes unread passes for all but those for whom its sender
// asked for encryption, whatever the policies would say of what stands in it.
func TestUnread(t *testing.T) {
	file := &dlp.Document{ID: dlp.NewID(), Channel: dlp.File, Asked: true}
	unknown := &dlp.Document{ID: dlp.NewID(), Asked: true, Rcpts: mail(outside).Rcpts}
	asked := func(rcpts ...dlp.Address) *dlp.Document {
		doc := mail(rcpts...)
		doc.Asked = true
		return doc
	}
	for _, tt := range []struct {
		name string
		doc  *dlp.Document
		want []dlp.RcptVerdict // action and reason
	}{
		{"not asked", mail(outside, inside), []dlp.RcptVerdict{{Action: allow, Reason: dlp.ReasonBypass}, {Action: allow, Reason: dlp.ReasonBypass}}},
		{"asked", asked(inside, outside), []dlp.RcptVerdict{{Action: allow, Reason: dlp.ReasonBypass}, {Action: encrypt, Reason: dlp.ReasonAsked}}},
		{"asked, to those inside alone", asked(inside), []dlp.RcptVerdict{{Action: allow, Reason: dlp.ReasonBypass}}},
		{"a file", file, []dlp.RcptVerdict{{Action: allow, Reason: dlp.ReasonBypass}}},
		{"nobody", asked(), []dlp.RcptVerdict{{Action: hold}}},
		{"no known channel", unknown, []dlp.RcptVerdict{{Action: hold}}},
	} {
		for _, action := range []string{"allow", "tag", "encrypt", "quarantine", "reject"} {
			v := engine(t, one("action='"+action+"'")).Unread(tt.doc, dlp.ReasonBypass)
			got := v.Rcpts
			if len(got) == 0 {
				got = []dlp.RcptVerdict{v.Strictest()}
			}
			same := func(a, b dlp.RcptVerdict) bool { return a.Action == b.Action && a.Reason == b.Reason }
			if !slices.EqualFunc(got, tt.want, same) {
				t.Errorf("%s, policy says %s: got %+v, want %+v", tt.name, action, got, tt.want)
			}
		}
	}
}

// TestSenderMayEncrypt: only where all that holds the message allows it.
func TestSenderMayEncrypt(t *testing.T) {
	const may, mayNot = "action='quarantine'\nsender_may_encrypt=true", "action='quarantine'"
	for _, tt := range []struct {
		name     string
		policies string
		gaps     []dlp.Gap
		want     bool
	}{
		{"one policy", one(may), nil, true},
		{"one that says nothing", one(mayNot), nil, false},
		{"and another", two(may, mayNot), nil, false},
		{"and a milder one", two(may, "action='tag'"), nil, true},
		{"and what could not be read", one(may), []dlp.Gap{{Path: "2", Cause: dlp.Encrypted}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := engine(t, tt.policies).Decide(mail(outside), []dlp.Finding{ssn(1)}, tt.gaps)
			if got := v.Rcpts[0]; got.Action != hold || got.MayEncrypt != tt.want {
				t.Errorf("got %v, may encrypt %v; want held, %v", got.Action, got.MayEncrypt, tt.want)
			}
		})
	}
}
