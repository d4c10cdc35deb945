package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
)

func (d *desk) EvidenceOf(seq int64) (audit.Evidence, error) {
	e := audit.Evidence{Checkpoint: "stanch-audit\n42\n", PublicKey: "stanch-audit+key", Size: 42}
	switch seq {
	case 41:
		e.Events = []audit.Proof{{Seq: 41, Line: `{"seq":41}`, Path: tlog.RecordProof{{1}, {2}}}}
		return e, nil
	case 40:
		return e, &audit.BrokenError{What: "it is not what was signed", Line: 40}
	}
	return e, audit.ErrNotYet
}

func (d *desk) Checkpoint() ([]byte, error) { return []byte("stanch-audit\n42\n"), nil }

func (d *desk) VerifyNow(context.Context) (audit.Report, error) {
	d.did("verify")
	if d.cut && !d.late {
		return audit.Report{}, audit.ErrBroken
	}
	if d.late {
		return audit.Report{}, context.DeadlineExceeded
	}
	return audit.Report{Events: 41, Anchored: 41}, nil
}

// TestProofPage: an event is proved, or it is said that it is not, and the whole log is
// verified; both are looks on record.
func TestProofPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "otto", console.Auditor, false)
	v := s.signedIn(t, "otto")
	for event, want := range map[string]struct {
		code int
		text string
	}{"41": {http.StatusOK, "proved"}, "40": {http.StatusConflict, "not as it was signed"}, "7": {http.StatusNotFound, "no such event"},
		"<script>": {http.StatusNotFound, "no such event"}, "": {http.StatusOK, "stanch-audit"}} {
		code, body, _ := v.do(http.MethodGet, "/audit/proof?event="+url.QueryEscape(event), nil)
		if code != want.code || !strings.Contains(body, want.text) || strings.Contains(body, `value="<script>"`) {
			t.Errorf("event %q: %d, want %d and %q", event, code, want.code, want.text)
		}
	}
	if code, body, _ := v.do(http.MethodPost, "/audit/verify", nil); code != http.StatusOK || !strings.Contains(body, "The whole log verifies") {
		t.Errorf("verifying: %d", code)
	}
	s.desk.cut = true
	if code, body, _ := v.do(http.MethodPost, "/audit/verify", nil); code != http.StatusConflict || strings.Contains(body, "The whole log verifies") {
		t.Errorf("verifying a log that was changed: %d", code)
	}
	s.desk.late = true
	if code, body, _ := v.do(http.MethodPost, "/audit/verify", nil); code != http.StatusServiceUnavailable || strings.Contains(body, "The whole log verifies") {
		t.Errorf("verifying takes too long: %d", code)
	}
	proofs, verified := 0, []string{}
	s.desk.mu.Lock()
	for _, e := range s.desk.events {
		if e.Reason == audit.ReasonProof {
			proofs++
		}
		if e.Kind == audit.Verified {
			verified = append(verified, e.Actor+" "+e.Result)
		}
	}
	s.desk.mu.Unlock()
	if want := []string{"user:otto ", "user:otto verified", "user:otto ", "user:otto broken", "user:otto ", "user:otto failed"}; proofs != 5 || !slices.Equal(verified, want) {
		t.Errorf("on record: %d proofs, %q, want %q", proofs, verified, want)
	}
}

// TestProofIsTaken: the proof of an event is handed out as a file, which is on record
// first; nothing is handed out of what is not proved.
func TestProofIsTaken(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "otto", console.Auditor, false)
	v := s.signedIn(t, "otto")
	for event, want := range map[string]int{"41": http.StatusOK, "40": http.StatusConflict, "7": http.StatusNotFound, "x": http.StatusBadRequest} {
		code, body, _ := v.do(http.MethodPost, "/audit/proof", url.Values{"event": {event}})
		var e audit.Evidence
		if is := json.Unmarshal([]byte(body), &e) == nil; code != want || is != (want == http.StatusOK) {
			t.Errorf("event %s: %d, want %d; JSON %v", event, code, want, is)
		} else if is && (len(e.Events) != 1 || e.Events[0].Seq != 41 || e.Checkpoint == "") {
			t.Errorf("handed out %+v", e)
		}
	}
	s.desk.mu.Lock()
	s.desk.broken = errors.New("no room")
	s.desk.mu.Unlock()
	if code, body, _ := v.do(http.MethodPost, "/audit/proof", url.Values{"event": {"41"}}); code == http.StatusOK || strings.Contains(body, "checkpoint") {
		t.Errorf("handed out without a record: %d", code)
	}
}

// TestLegalHoldOnItem: the item's page shows a legal hold, places one and lifts it, for
// who may.
func TestLegalHoldOnItem(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	s.add(t, "dana", console.Officer, false)
	s.add(t, "root", console.Admin, false)
	s.add(t, "vera", console.Viewer, false)
	dana, root := s.signedIn(t, "dana"), s.signedIn(t, "root")
	id := string(s.desk.held[0].ID)
	if _, body, _ := dana.do(http.MethodGet, "/items/"+id, nil); strings.Contains(body, "legal hold") {
		t.Error("an officer is offered to place a legal hold")
	}
	if _, body, _ := root.do(http.MethodGet, "/items/"+id, nil); !strings.Contains(body, "Place a legal hold") {
		t.Error("an admin is not offered to place a legal hold")
	}
	if code, _, to := root.do(http.MethodPost, "/legal", url.Values{"doc": {id}, "at": {"item"}, "do": {"place"}, "why": {"subpoena"}}); to != "/items/"+id {
		t.Errorf("placed: %d to %q", code, to)
	}
	s.desk.onHold = s.desk.held[0].ID
	if _, body, _ := dana.do(http.MethodGet, "/items/"+id, nil); !strings.Contains(body, "A legal hold keeps this") || !strings.Contains(body, "Case of Secret &lt;script&gt;") || strings.Contains(body, "Lift the legal hold") {
		t.Error("an officer does not see the legal hold, or may lift it")
	}
	if _, body, _ := s.signedIn(t, "vera").do(http.MethodGet, "/items/"+id, nil); !strings.Contains(body, "A legal hold keeps this") || strings.Contains(body, "Case of Secret") {
		t.Error("a viewer does not see the legal hold, or sees why it is")
	}
	if _, body, _ := dana.do(http.MethodGet, "/items/"+string(s.desk.held[1].ID), nil); strings.Contains(body, "legal hold") {
		t.Error("another item is under it")
	}
	if _, body, _ := root.do(http.MethodGet, "/items/"+id, nil); !strings.Contains(body, "Lift the legal hold") || strings.Contains(body, "Place a legal hold") {
		t.Error("an admin cannot lift it")
	}
	if code, _, to := root.do(http.MethodPost, "/legal", url.Values{"doc": {id}, "at": {"item"}, "do": {"lift"}, "why": {"settled"}}); to != "/items/"+id {
		t.Errorf("lifted: %d to %q", code, to)
	}
	if code, _, _ := root.do(http.MethodPost, "/legal", url.Values{"doc": {id}, "at": {"item"}, "do": {"lift"}}); code != http.StatusBadRequest {
		t.Errorf("lifted without a reason: %d", code)
	}
}
