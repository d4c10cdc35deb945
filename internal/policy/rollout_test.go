package policy_test

import (
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/policy"
)

// TestRollout: what is being brought in is watched until somebody enforces it, and
// the digest of the policies tells the two apart.
func TestRollout(t *testing.T) {
	t.Parallel()
	cfg := policy.Default()
	cfg.Defaults.Mode = "rollout"
	cfg.Policies = []policy.Policy{{ID: "new", Mode: "rollout", Any: []policy.Condition{{Type: "SSN"}}, Action: "quarantine"},
		{ID: "trial", Mode: "monitor", Any: []policy.Condition{{Type: "SSN"}}, Action: "tag"}}
	if all := cfg.Rollouts(); len(all) != 2 || all[0].ID != "new" || all[1].ID != policy.OnGapPolicy {
		t.Fatalf("roll-outs: %+v", all)
	}
	doc := &dlp.Document{Channel: dlp.Mail, Rcpts: []dlp.Address{{Local: "sam", Domain: "partner.example"}}}
	ssn := []dlp.Finding{{Rule: "us-ssn", Type: "SSN", Confidence: dlp.High}}
	gap := []dlp.Gap{{Cause: dlp.Encrypted}}
	digests := map[string]bool{}
	for _, c := range []struct {
		enforced          string
		found, unread     dlp.Action
		monitored         dlp.Action // of what was found
		monitoredByPolicy string
	}{
		{"", dlp.Allow, dlp.Allow, dlp.Hold, "new"},
		{"new", dlp.Hold, dlp.Allow, dlp.AddTag, "trial"},
		{policy.OnGapPolicy, dlp.Allow, dlp.Hold, dlp.Hold, "new"},
		{"trial", dlp.Allow, dlp.Allow, dlp.Hold, "new"}, // monitor is not for the console to change
	} {
		e, err := policy.New(cfg.RolledOut(func(id string) bool { return id == c.enforced }), nil)
		if err != nil {
			t.Fatal(err)
		}
		digests[e.Digest()] = true
		v := e.Decide(doc, ssn, nil).Rcpts[0]
		if v.Action != c.found || v.Monitored != c.monitored || v.MonitoredPolicy != c.monitoredByPolicy {
			t.Errorf("enforced %q: %v, would have %v by %q; want %v, %v, %q", c.enforced, v.Action, v.Monitored, v.MonitoredPolicy, c.found, c.monitored, c.monitoredByPolicy)
		}
		if v := e.Decide(doc, nil, gap).Rcpts[0]; v.Action != c.unread {
			t.Errorf("enforced %q, unread: %v, want %v", c.enforced, v.Action, c.unread)
		}
	}
	if len(digests) != 3 {
		t.Errorf("%d digests, want one for each state", len(digests))
	}
	if cfg.Policies[0].Mode != "rollout" {
		t.Error("the configuration itself was changed")
	}
}
