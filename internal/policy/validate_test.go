package policy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/policy"
)

// keys returns the keys that a joined error names.
func keys(t *testing.T, err error) []string {
	t.Helper()
	var all []string
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("got %v, want joined errors", err)
	}
	for _, e := range joined.Unwrap() {
		k, ok := errors.AsType[*dlp.KeyError](e)
		if !ok {
			t.Fatalf("got %v, want a KeyError", e)
		}
		all = append(all, k.Key)
	}
	return all
}

func TestValidate(t *testing.T) {
	const ok = "action='tag'\n"
	tests := []struct {
		name string
		toml string
		key  string // "" for none
		want string // in the error
	}{
		{"sound", one(ok), "", ""},
		{"no action", one(""), "policies[0].action", `"quarantine"`},
		{"unknown action", one("action='hold'"), "policies[0].action", `"quarantine"`},
		{"report of mail", one("where={channels=['mail']}\naction='report'"), "policies[0].action", "action of mail"},
		{"report of mail and files", one("where={channels=['mail','file']}\naction='report'"), "policies[0].action", "action of mail"},
		{"allow of files", one("where={channels=['file']}\naction='allow'"), "policies[0].action", "action of files"},
		{"report of files", one("where={channels=['file']}\naction='report'"), "", ""},
		{"tag of files", one("where={channels=['file']}\naction='tag'"), "", ""},
		{"reject of files", one("where={channels=['file']}\naction='reject'"), "", ""},
		{"allow where no channel is named", one("action='allow'"), "", ""},
		{"unknown channel", one(ok + "where={channels=['mail','ftp']}"), "policies[0].where.channels[1]", `"mail" or "file"`},
		{"bad recipient", one(ok + "where={recipients='a b'}"), "policies[0].where.recipients", "pattern"},
		{"bad recipient in a list", one(ok + "except={recipients=['any','@x.example']}"), "policies[0].except.recipients[1]", "pattern"},
		{"domain not in ASCII", one(ok + "where={recipients=['klinik.österreich.example']}"), "policies[0].where.recipients", "xn--"},
		{"bad sender", one(ok + "where={senders=['']}"), "policies[0].where.senders[0]", "pattern"},
		{"relative folder", one(ok + "where={folders=['srv']}"), "policies[0].where.folders[0]", "absolute"},
		{"no id", "[[policies]]\nall=[{tag='x'}]\n" + ok, "policies[0].id", "letters"},
		{"id with a space", "[[policies]]\nid='a b'\nall=[{tag='x'}]\n" + ok, "policies[0].id", "letters"},
		{"reserved id", "[[policies]]\nid='on_gap'\nall=[{tag='x'}]\n" + ok, "policies[0].id", "defaults.on_gap"},
		{"id twice", one(ok) + one(ok), "policies[1].id", "no policy before"},
		{"unknown mode", one(ok + "mode='off'"), "policies[0].mode", `"enforce", "monitor" or "rollout"`},
		{"unknown scope", one(ok + "scope='page'"), "policies[0].scope", `"document", "part" or "row"`},
		{"unknown notify", one(ok + "notify=['boss']"), "policies[0].notify[0]", `"sender"`},
		{"no conditions", "[[policies]]\nid='p'\n" + ok, "policies[0]", "all or in any"},
		{"all and any", one(ok + "any=[{tag='x'}]"), "policies[0]", "all or in any"},
		{"empty condition", one(ok) + "[[policies]]\nid='q'\nany=[{tag='x'},{min_count=2}]\n" + ok, "policies[1].any[1]", "exactly one"},
		{"two selectors", "[[policies]]\nid='p'\nall=[{tag='x',type='SSN'}]\n" + ok, "policies[0].all[0]", "exactly one"},
		{"unknown type", "[[policies]]\nid='p'\nall=[{type='ssn'}]\n" + ok, "policies[0].all[0].type", `did you mean "SSN"?`},
		{"unknown cause", "[[policies]]\nid='p'\nall=[{gap='locked'}]\n" + ok, "policies[0].all[0].gap", `"encrypted"`},
		{"unknown confidence", "[[policies]]\nid='p'\nall=[{tag='x',confidence='sure'}]\n" + ok, "policies[0].all[0].confidence", `"low", "medium" or "high"`},
		{"gap with confidence", "[[policies]]\nid='p'\nall=[{gap='image',confidence='low'}]\n" + ok, "policies[0].all[0].confidence", "no confidence"},
		{"gap with patients", "[[policies]]\nid='p'\nall=[{gap='image',min_patients=2}]\n" + ok, "policies[0].all[0].min_patients", "no patient"},
		{"negative count", "[[policies]]\nid='p'\nall=[{tag='x',min_count=-1}]\n" + ok, "policies[0].all[0].min_count", "from 1"},
		{"negative patients", "[[policies]]\nid='p'\nall=[{tag='x',min_patients=-1}]\n" + ok, "policies[0].all[0].min_patients", "from 1"},
		{"unknown on_gap", "[defaults]\non_gap='hold'", "defaults.on_gap", `"quarantine"`},
		{"on_gap cannot tag", "[defaults]\non_gap='tag'", "defaults.on_gap", `"quarantine"`},
		{"unknown on_image", "[defaults]\non_image='inline'", "defaults.on_image", `"allow-inline"`},
		{"unknown default mode", "[defaults]\nmode='x'", "defaults.mode", `"enforce"`},
		{"a choice of what is not held", one("action='reject'\nsender_may_encrypt=true"), "policies[0].sender_may_encrypt", `action = "quarantine"`},
		{"unknown default notify", "[defaults]\nnotify=['x']", "defaults.notify[0]", `"sender"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := policy.Default()
			if _, err := toml.Decode(tt.toml, &cfg); err != nil {
				t.Fatal(err)
			}
			err := cfg.Validate()
			if tt.key == "" {
				if err != nil {
					t.Fatalf("got %v, want none", err)
				}
				return
			}
			if err == nil {
				t.Fatalf("got none, want an error at %s", tt.key)
			}
			if got := keys(t, err); len(got) != 1 || got[0] != tt.key {
				t.Errorf("got errors at %v, want one at %s", got, tt.key)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
			if _, err := policy.New(cfg, nil); err == nil {
				t.Error("New: got none, want the same error")
			}
		})
	}
}

func TestUnmarshalRecipients(t *testing.T) {
	for _, bad := range []string{"3", "[1]", "{x=1}", "['a', 2]"} {
		var m policy.Match
		if _, err := toml.Decode("recipients = "+bad, &m); err == nil {
			t.Errorf("got none for %s, want an error", bad)
		}
	}
}

func TestCheckRules(t *testing.T) {
	cfg := policy.Default()
	text := "[[policies]]\nid='p'\nall=[{rule='us-ssn'},{tag='x'}]\naction='tag'\n" +
		"[[policies]]\nid='q'\nany=[{tag='x'},{rule='us-snn'}]\naction='tag'\n"
	if _, err := toml.Decode(text, &cfg); err != nil {
		t.Fatal(err)
	}
	known := func(id dlp.RuleID) bool { return id == "us-ssn" }
	if got := keys(t, cfg.CheckRules(known)); len(got) != 1 || got[0] != "policies[1].any[1].rule" {
		t.Errorf("got errors at %v, want policies[1].any[1].rule", got)
	}
	if err := cfg.CheckRules(func(dlp.RuleID) bool { return true }); err != nil {
		t.Errorf("got %v, want none", err)
	}
}

func TestInternalDomains(t *testing.T) {
	for _, bad := range []string{"", "a@clinic.example", "clinic example", "klinik.\u00f6sterreich.example"} {
		_, err := policy.New(policy.Starter(), []string{"clinic.example", bad})
		if k, ok := errors.AsType[*dlp.KeyError](err); !ok || k.Key != "smtp.internal_domains[1]" {
			t.Errorf("got %v for %q, want an error at smtp.internal_domains[1]", err, bad)
		} else if !strings.Contains(k.Want, "A-label (xn--") {
			t.Errorf("%q: %q does not say how such a domain is written", bad, k.Want)
		}
	}
}

// TestNeverMet: a condition by a tag or a type that no rule has is told, by its key.
func TestNeverMet(t *testing.T) {
	cfg := policy.Config{Policies: []policy.Policy{
		{ID: "a", All: []policy.Condition{{Tag: "health"}, {Tag: "healht"}, {Type: "SSN"}}},
		{ID: "b", Any: []policy.Condition{{Type: "PHOTO"}, {Rule: "us-ssn"}, {Gap: "encrypted"}}},
	}}
	var got []string
	for _, e := range cfg.NeverMet(func(tag dlp.Tag, typ dlp.Type) bool { return tag == "health" || typ == "SSN" }) {
		got = append(got, e.Key)
	}
	if want := []string{"policies[0].all[1].tag", "policies[1].any[0].type"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
