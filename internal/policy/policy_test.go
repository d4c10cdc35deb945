package policy_test

import (
	"slices"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/policy"
)

// engine reads policies as an administrator writes them.
func engine(t *testing.T, text string) *policy.Engine {
	t.Helper()
	cfg := policy.Default()
	if _, err := toml.Decode(text, &cfg); err != nil {
		t.Fatal(err)
	}
	e, err := policy.New(cfg, []string{"clinic.example", "*.branch.example"})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var (
	inside  = dlp.Address{Local: "nurse", Domain: "clinic.example"}
	outside = dlp.Address{Local: "Dr.Lee", Domain: "partner.example"}
	other   = dlp.Address{Local: "x", Domain: "elsewhere.test"}
)

func mail(rcpts ...dlp.Address) *dlp.Document {
	return &dlp.Document{Channel: dlp.Mail, Sender: dlp.Address{Local: "desk", Domain: "clinic.example"}, Rcpts: rcpts}
}

func file(name string) *dlp.Document {
	return &dlp.Document{Channel: dlp.File, Root: "/srv/share", Name: name}
}

// The findings below stand apart from each other; value tells values apart.
func found(typ dlp.Type, value byte, tags ...dlp.Tag) dlp.Finding {
	return dlp.Finding{Rule: "r-" + dlp.RuleID(typ), Type: typ, Tags: tags, Confidence: dlp.Medium,
		ValueKey: dlp.ValueKey{value}, Start: int64(value) * 100, End: int64(value)*100 + 10}
}

func ssn(value byte) dlp.Finding { return found("SSN", value, dlp.TagIdentifier) }
func mrn(value byte) dlp.Finding { return found("MRN", value, dlp.TagIdentifier) }
func mbi(value byte) dlp.Finding { return found("MBI", value, dlp.TagIdentifier) }
func account(value byte) dlp.Finding {
	return found("ACCOUNT", value, dlp.TagIdentifier)
}
func dob(value byte) dlp.Finding { return found("DOB", value, dlp.TagIdentifier) }
func patient(value byte) dlp.Finding {
	return found("PATIENT", value, dlp.TagIdentifier)
}
func icd(value byte) dlp.Finding { return found("ICD10", value, dlp.TagHealth) }

// named is what tells of care by a word: a condition, a drug or a laboratory test.
func named(typ dlp.Type, value byte) dlp.Finding { return found(typ, value, dlp.TagHealth) }

// in moves f into a part and a row.
func in(f dlp.Finding, path string, group uint32) dlp.Finding {
	f.Path, f.Group = path, group
	return f
}

func at(f dlp.Finding, start, end int64) dlp.Finding {
	f.Start, f.End = start, end
	return f
}

func sure(f dlp.Finding, c dlp.Confidence) dlp.Finding {
	f.Confidence = c
	return f
}

func gap(c dlp.Cause) dlp.Gap { return dlp.Gap{Path: "1", Cause: c, Size: 1000} }

const (
	hold    = dlp.Hold
	allow   = dlp.Allow
	tag     = dlp.AddTag
	encrypt = dlp.Encrypt
	reject  = dlp.Reject
)

// one is a policy with the given lines after id and conditions on SSN.
func one(lines string) string {
	return "[[policies]]\nid = 'p'\nall = [{ type = 'SSN' }]\n" + lines + "\n"
}

// two are policies p and q, both on SSN.
func two(p, q string) string {
	return one(p) + "[[policies]]\nid = 'q'\nall = [{ type = 'SSN' }]\n" + q + "\n"
}

// TestDecide has a case for each sentence of docs/policy.md, How it decides.
func TestDecide(t *testing.T) { // long: a table
	type fs = []dlp.Finding
	type gs = []dlp.Gap
	tests := []struct {
		name   string
		toml   string
		doc    *dlp.Document
		fs     fs
		gaps   gs
		action dlp.Action
		policy string
	}{
		{"nothing found is allowed", one("action = 'reject'"), mail(outside), nil, nil, allow, ""},
		{"nothing found in a file is allowed", one("action = 'quarantine'"), file("a"), nil, nil, allow, ""},
		{"a policy that matches decides", one("action = 'reject'"), mail(outside), fs{ssn(1)}, nil, reject, "p"},

		{"the strictest wins: tag over allow", two("action='allow'", "action='tag'"), mail(outside), fs{ssn(1)}, nil, tag, "q"},
		{"the strictest wins: encrypt over tag", two("action='encrypt'", "action='tag'"), mail(outside), fs{ssn(1)}, nil, encrypt, "p"},
		{"the strictest wins: quarantine over encrypt", two("action='encrypt'", "action='quarantine'"), mail(outside), fs{ssn(1)}, nil, hold, "q"},
		{"the strictest wins: reject over quarantine", two("action='reject'", "action='quarantine'"), mail(outside), fs{ssn(1)}, nil, reject, "p"},
		{"files: encrypt over report", two("action='report'", "action='encrypt'"), file("a"), fs{ssn(1)}, nil, encrypt, "q"},
		{"files: quarantine over encrypt", two("action='quarantine'", "action='encrypt'"), file("a"), fs{ssn(1)}, nil, hold, "p"},
		{"on a tie the first is named", two("action='quarantine'", "action='quarantine'"), mail(outside), fs{ssn(1)}, nil, hold, "p"},
		{"files: reject means quarantine, so ties with it", two("action='quarantine'", "action='reject'"), file("a"), fs{ssn(1)}, nil, hold, "p"},
		{"allow exempts nothing", two("action='allow'", "action='quarantine'"), mail(outside), fs{ssn(1)}, nil, hold, "q"},
		{"allow alone is named", one("action = 'allow'"), mail(outside), fs{ssn(1)}, nil, allow, "p"},

		{"external by internal_domains", one("where={recipients='external'}\naction='reject'"), mail(outside), fs{ssn(1)}, nil, reject, "p"},
		{"internal by internal_domains", one("where={recipients='external'}\naction='reject'"), mail(inside), fs{ssn(1)}, nil, allow, ""},
		{"internal whatever the case", one("where={recipients='external'}\naction='reject'"), mail(dlp.Address{Local: "A", Domain: "CLINIC.example"}), fs{ssn(1)}, nil, allow, ""},
		{"a subdomain is external", one("where={recipients='external'}\naction='reject'"), mail(dlp.Address{Local: "a", Domain: "evil.clinic.example"}), fs{ssn(1)}, nil, reject, "p"},
		{"a longer domain is external", one("where={recipients='external'}\naction='reject'"), mail(dlp.Address{Local: "a", Domain: "notclinic.example"}), fs{ssn(1)}, nil, reject, "p"},
		{"a subdomain by pattern is internal", one("where={recipients='external'}\naction='reject'"), mail(dlp.Address{Local: "a", Domain: "east.branch.example"}), fs{ssn(1)}, nil, allow, ""},
		{"the pattern's own domain is external", one("where={recipients='external'}\naction='reject'"), mail(dlp.Address{Local: "a", Domain: "branch.example"}), fs{ssn(1)}, nil, reject, "p"},
		{"no domain is external", one("where={recipients='external'}\naction='reject'"), mail(dlp.Address{Local: "postmaster"}), fs{ssn(1)}, nil, reject, "p"},
		{"recipients internal", one("where={recipients='internal'}\naction='tag'"), mail(inside), fs{ssn(1)}, nil, tag, "p"},
		{"recipients internal spares others", one("where={recipients='internal'}\naction='tag'"), mail(outside), fs{ssn(1)}, nil, allow, ""},
		{"recipients any", one("where={recipients='any'}\naction='tag'"), mail(inside), fs{ssn(1)}, nil, tag, "p"},
		{"recipients by pattern", one("where={recipients=['*@partner.example']}\naction='tag'"), mail(outside), fs{ssn(1)}, nil, tag, "p"},
		{"recipients by one pattern", one("where={recipients='DR.*@partner.example'}\naction='tag'"), mail(outside), fs{ssn(1)}, nil, tag, "p"},
		{"recipients by domain", one("where={recipients=['partner.example']}\naction='tag'"), mail(outside), fs{ssn(1)}, nil, tag, "p"},
		{"recipients by another pattern", one("where={recipients=['*@*.partner.example']}\naction='tag'"), mail(outside), fs{ssn(1)}, nil, allow, ""},
		{"a pattern's star does not reach over the @", one("where={recipients=['dr*@*.test']}\naction='tag'"), mail(dlp.Address{Local: "drx@y", Domain: "partner.example"}), fs{ssn(1)}, nil, allow, ""},
		{"recipients by word and pattern", one("where={recipients=['internal','*@partner.example']}\naction='tag'"), mail(outside), fs{ssn(1)}, nil, tag, "p"},
		{"recipients is ignored for files", one("where={recipients='internal'}\naction='quarantine'"), file("a"), fs{ssn(1)}, nil, hold, "p"},

		{"channels", one("where={channels=['mail']}\naction='quarantine'"), file("a"), fs{ssn(1)}, nil, allow, ""},
		{"senders", one("where={senders=['desk@*']}\naction='tag'"), mail(outside), fs{ssn(1)}, nil, tag, "p"},
		{"other senders", one("where={senders=['<>','lab@*']}\naction='tag'"), mail(outside), fs{ssn(1)}, nil, allow, ""},
		{"null sender", one("where={senders=['<>']}\naction='tag'"), &dlp.Document{Channel: dlp.Mail, Rcpts: []dlp.Address{outside}}, fs{ssn(1)}, nil, tag, "p"},
		{"null sender is nobody", one("where={senders=['*@*']}\naction='tag'"), &dlp.Document{Channel: dlp.Mail, Rcpts: []dlp.Address{outside}}, fs{ssn(1)}, nil, allow, ""},
		{"folders", one("where={folders=['/srv/share/out']}\naction='quarantine'"), file("out/a/b.csv"), fs{ssn(1)}, nil, hold, "p"},
		{"other folders", one("where={folders=['/srv/share/out']}\naction='quarantine'"), file("outer/b.csv"), fs{ssn(1)}, nil, allow, ""},
		{"folders are ignored for mail", one("where={folders=['/srv/share/out']}\naction='quarantine'"), mail(outside), fs{ssn(1)}, nil, hold, "p"},

		{"except recipients", one("except={recipients=['*@partner.example']}\naction='quarantine'"), mail(outside), fs{ssn(1)}, nil, allow, ""},
		{"except other recipients", one("except={recipients=['*@partner.example']}\naction='quarantine'"), mail(other), fs{ssn(1)}, nil, hold, "p"},
		{"all keys of except must hold", one("except={recipients=['*@partner.example'],senders=['lab@*']}\naction='quarantine'"), mail(outside), fs{ssn(1)}, nil, hold, "p"},
		{"except recipients excepts no file", one("except={recipients='any'}\naction='quarantine'"), file("a"), fs{ssn(1)}, nil, hold, "p"},
		{"except channels", one("except={channels=['file']}\naction='quarantine'"), file("a"), fs{ssn(1)}, nil, allow, ""},
		{"except folders", one("except={folders=['/srv/share/lab']}\naction='quarantine'"), file("lab/a"), fs{ssn(1)}, nil, allow, ""},
		{"except folders excepts no mail", one("except={folders=['/srv/share/lab']}\naction='quarantine'"), mail(outside), fs{ssn(1)}, nil, hold, "p"},
		{"an empty except excepts nothing", one("except={}\naction='quarantine'"), mail(outside), fs{ssn(1)}, nil, hold, "p"},
		{"an exception is that policy's only", two("except={recipients='any'}\naction='reject'", "action='tag'"), mail(outside), fs{ssn(1)}, nil, tag, "q"},

		{"files: reject means quarantine", one("action='reject'"), file("a"), fs{ssn(1)}, nil, hold, "p"},
		{"files: tag means report", one("action='tag'"), file("a"), fs{ssn(1)}, nil, allow, "p"},

		{"monitor is as if absent", one("mode='monitor'\naction='reject'"), mail(outside), fs{ssn(1)}, nil, allow, ""},
		{"monitor beside enforce", two("mode='monitor'\naction='reject'", "action='tag'"), mail(outside), fs{ssn(1)}, nil, tag, "q"},

		{"on_gap decides by default", one("action='tag'"), mail(outside), nil, gs{gap(dlp.Encrypted)}, hold, ""},
		{"on_gap for files", one("action='tag'"), file("a"), nil, gs{gap(dlp.Crashed)}, hold, ""},
		{"on_gap is for external recipients", one("action='tag'"), mail(inside), nil, gs{gap(dlp.Crashed)}, allow, ""},
		{"on_gap allow", one("action='tag'") + "[defaults]\non_gap='allow'", mail(outside), nil, gs{gap(dlp.Crashed)}, allow, ""},
		{"on_gap reject", one("action='tag'") + "[defaults]\non_gap='reject'", mail(outside), nil, gs{gap(dlp.Crashed)}, reject, ""},
		{"on_gap reject of a file is quarantine", one("action='tag'") + "[defaults]\non_gap='reject'", file("a"), nil, gs{gap(dlp.Crashed)}, hold, ""},
		{"on_gap in monitor mode", one("action='tag'") + "[defaults]\nmode='monitor'", mail(outside), nil, gs{gap(dlp.Crashed)}, allow, ""},
		{"a stricter on_gap wins", one("action='tag'"), mail(outside), fs{ssn(1)}, gs{gap(dlp.Crashed)}, hold, ""},
		{"a policy as strict as on_gap is named", one("action='quarantine'"), mail(outside), fs{ssn(1)}, gs{gap(dlp.Crashed)}, hold, "p"},

		{"an inline picture passes", one("action='tag'"), mail(outside), nil, gs{{Cause: dlp.Image, Inline: true, Size: 64 << 10}}, allow, ""},
		{"a large inline picture does not", one("action='tag'"), mail(outside), nil, gs{{Cause: dlp.Image, Inline: true, Size: 64<<10 + 1}}, hold, ""},
		{"an inline picture of no known size does not", one("action='tag'"), mail(outside), nil, gs{{Cause: dlp.Image, Inline: true}}, hold, ""},
		{"an attached picture does not", one("action='tag'"), mail(outside), nil, gs{{Cause: dlp.Image, Size: 10}}, hold, ""},
		{"inline is for pictures only", one("action='tag'"), mail(outside), nil, gs{{Cause: dlp.Encrypted, Inline: true, Size: 10}}, hold, ""},
		{"on_image allow", one("action='tag'") + "[defaults]\non_image='allow'", mail(outside), nil, gs{{Cause: dlp.Image, Size: 1 << 20}}, allow, ""},
		{"on_image gap", one("action='tag'") + "[defaults]\non_image='gap'", mail(outside), nil, gs{{Cause: dlp.Image, Inline: true, Size: 10}}, hold, ""},

		{"scan_timeout holds whatever on_gap says", one("action='tag'") + "[defaults]\non_gap='allow'\nmode='monitor'", mail(inside), nil, gs{{Cause: dlp.Timeout, Detail: policy.ScanTimeout}}, hold, ""},
		{"another timeout does not", one("action='tag'") + "[defaults]\non_gap='allow'", mail(outside), nil, gs{{Cause: dlp.Timeout}}, allow, ""},
		{"scan_timeout does not soften a reject", one("action='reject'"), mail(outside), fs{ssn(1)}, gs{{Cause: dlp.Timeout, Detail: policy.ScanTimeout}}, reject, "p"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := engine(t, tt.toml).Decide(tt.doc, tt.fs, tt.gaps)
			if len(v.Rcpts) != 1 {
				t.Fatalf("got %d verdicts, want 1", len(v.Rcpts))
			}
			if got := v.Rcpts[0]; got.Action != tt.action || got.Policy != tt.policy {
				t.Errorf("got %v by %q, want %v by %q", got.Action, got.Policy, tt.action, tt.policy)
			}
		})
	}
}

// TestConditions decides about a mail by one policy that rejects.
func TestConditions(t *testing.T) { // long: a table
	type fs = []dlp.Finding
	tests := []struct {
		name string
		toml string
		fs   fs
		gaps []dlp.Gap
		want bool
	}{
		{"type", "all=[{type='SSN'}]", fs{ssn(1)}, nil, true},
		{"another type", "all=[{type='SSN'}]", fs{mrn(1)}, nil, false},
		{"tag", "all=[{tag='identifier'}]", fs{mrn(1)}, nil, true},
		{"rule", "all=[{rule='r-MRN'}]", fs{mrn(1)}, nil, true},
		{"another rule", "all=[{rule='r-SSN'}]", fs{mrn(1)}, nil, false},
		{"gap", "all=[{gap='encrypted'}]", nil, []dlp.Gap{gap(dlp.Encrypted)}, true},
		{"another gap", "all=[{gap='too_deep'}]", nil, []dlp.Gap{gap(dlp.Encrypted)}, false},
		{"corrupt, the zero cause", "all=[{gap='corrupt'}]", nil, []dlp.Gap{{}}, true},
		{"a picture that passes is no gap", "all=[{gap='image'}]", nil, []dlp.Gap{{Cause: dlp.Image, Inline: true, Size: 9}}, false},

		{"all must hold", "all=[{tag='identifier'},{tag='health'}]", fs{ssn(1)}, nil, false},
		{"all hold", "all=[{tag='identifier'},{tag='health'}]", fs{ssn(1), icd(2)}, nil, true},
		{"one of any", "any=[{type='MBI'},{type='SSN'}]", fs{ssn(1)}, nil, true},
		{"none of any", "any=[{type='MBI'},{type='SSN'}]", fs{mrn(1)}, nil, false},
		{"finding and gap", "all=[{tag='identifier'},{gap='encrypted'}]", fs{ssn(1)}, []dlp.Gap{gap(dlp.Encrypted)}, true},

		{"confidence is medium when omitted", "all=[{type='SSN'}]", fs{sure(ssn(1), dlp.Low)}, nil, false},
		{"confidence low", "all=[{type='SSN',confidence='low'}]", fs{sure(ssn(1), dlp.Low)}, nil, true},
		{"confidence is a minimum", "all=[{type='SSN',confidence='medium'}]", fs{sure(ssn(1), dlp.High)}, nil, true},
		{"confidence high", "all=[{type='SSN',confidence='high'}]", fs{ssn(1)}, nil, false},

		{"min_count counts distinct values", "all=[{type='SSN',min_count=2}]", fs{ssn(1), at(ssn(1), 500, 510)}, nil, false},
		{"min_count reached", "all=[{type='SSN',min_count=2}]", fs{ssn(1), ssn(2)}, nil, true},
		{"two rules over one place count once", "all=[{tag='identifier',min_count=2}]", fs{at(ssn(1), 0, 9), at(mrn(2), 0, 9)}, nil, false},
		{"and once at every place", "all=[{tag='identifier',min_count=2}]", fs{at(ssn(1), 0, 9), at(mrn(2), 0, 9), at(ssn(1), 50, 59), at(mrn(2), 50, 59)}, nil, false},
		{"the same offsets of two parts are two places", "all=[{tag='identifier',min_count=2}]", fs{in(at(ssn(1), 0, 9), "1", 0), in(at(mrn(2), 0, 9), "2", 0)}, nil, true},
		{"min_count of gaps", "all=[{gap='encrypted',min_count=2}]", nil, []dlp.Gap{gap(dlp.Encrypted)}, false},
		{"min_count of gaps reached", "all=[{gap='encrypted',min_count=2}]", nil, []dlp.Gap{gap(dlp.Encrypted), gap(dlp.Encrypted)}, true},
		{"min_count does not add up over conditions", "all=[{type='SSN',min_count=2},{type='MRN'}]", fs{ssn(1), mrn(2)}, nil, false},

		{"scope document joins parts", "all=[{tag='identifier'},{tag='health'}]", fs{in(ssn(1), "1", 0), in(icd(2), "2", 0)}, nil, true},
		{"scope part keeps them apart", "scope='part'\nall=[{tag='identifier'},{tag='health'}]", fs{in(ssn(1), "1", 0), in(icd(2), "2", 0)}, nil, false},
		{"scope part joins what is in one", "scope='part'\nall=[{tag='identifier'},{tag='health'}]", fs{in(ssn(1), "1", 3), in(icd(2), "1", 4)}, nil, true},
		{"a further reading is the same part", "scope='part'\nall=[{tag='identifier'},{tag='health'}]", fs{in(ssn(1), "2", 0), in(icd(2), "2~2", 0)}, nil, true},
		{"a member is another part", "scope='part'\nall=[{tag='identifier'},{tag='health'}]", fs{in(ssn(1), "2", 0), in(icd(2), "2/1", 0)}, nil, false},
		{"scope part and min_count", "scope='part'\nall=[{type='SSN',min_count=2}]", fs{in(ssn(1), "1", 0), in(ssn(2), "2", 0)}, nil, false},
		{"scope row keeps rows apart", "scope='row'\nall=[{tag='identifier'},{tag='health'}]", fs{in(ssn(1), "1", 1), in(icd(2), "1", 2)}, nil, false},
		{"scope row joins what is in one", "scope='row'\nall=[{tag='identifier'},{tag='health'}]", fs{in(ssn(1), "1", 7), in(icd(2), "1", 7)}, nil, true},
		{"rows of two parts are two", "scope='row'\nall=[{tag='identifier'},{tag='health'}]", fs{in(ssn(1), "1", 7), in(icd(2), "2", 7)}, nil, false},
		{"running text is one row", "scope='row'\nall=[{tag='identifier'},{tag='health'}]", fs{in(ssn(1), "1", 0), in(icd(2), "1", 0)}, nil, true},
		{"scope row and any", "scope='row'\nany=[{type='SSN',min_count=2},{tag='health'}]", fs{in(ssn(1), "1", 1), in(ssn(2), "1", 2)}, nil, false},
		{"a gap of the same part", "scope='part'\nall=[{tag='identifier'},{gap='encrypted'}]", fs{in(ssn(1), "1", 0)}, []dlp.Gap{gap(dlp.Encrypted)}, true},
		{"a gap of another part", "scope='part'\nall=[{tag='identifier'},{gap='encrypted'}]", fs{in(ssn(1), "2", 0)}, []dlp.Gap{gap(dlp.Encrypted)}, false},

		{"each identifier is a patient", "all=[{tag='identifier',min_patients=2}]", fs{ssn(1), mrn(2)}, nil, true},
		{"one value is one patient", "all=[{tag='identifier',min_patients=2}]", fs{ssn(1), at(ssn(1), 900, 910)}, nil, false},
		{"identifiers of one row are one patient", "all=[{tag='identifier',min_patients=2}]", fs{in(ssn(1), "1", 1), in(mrn(2), "1", 1)}, nil, false},
		{"what tells of care adds no patient", "all=[{tag='identifier',min_patients=2}]", fs{mrn(1), named("CONDITION", 2), named("DRUG", 3), named("LAB", 4)}, nil, false},
		{"what tells of care in a row of its own adds no patient", "all=[{tag='identifier',min_patients=2}]", fs{in(mrn(1), "1", 1), in(named("CONDITION", 2), "1", 2)}, nil, false},
		{"what tells of care is no further value of an identifier", "all=[{tag='identifier',min_count=2}]", fs{mrn(1), named("DRUG", 2)}, nil, false},
		{"two rows are two", "all=[{tag='identifier',min_patients=2}]", fs{in(ssn(1), "1", 1), in(ssn(2), "1", 2)}, nil, true},
		{"the same group of two parts is two rows", "all=[{tag='identifier',min_patients=2}]", fs{in(ssn(1), "1", 1), in(ssn(2), "2", 1)}, nil, true},
		{"one patient in two rows is one", "all=[{tag='identifier',min_patients=2}]", fs{in(ssn(1), "1", 1), in(at(ssn(1), 500, 510), "1", 2)}, nil, false},
		{"a column equal in all rows makes them no one patient", "all=[{tag='identifier',min_patients=2}]",
			fs{in(ssn(1), "1", 1), in(mrn(9), "1", 1), in(ssn(2), "1", 2), in(at(mrn(9), 950, 960), "1", 2)}, nil, true},
		{"a date of birth beside a number is no second patient", "all=[{tag='identifier',min_patients=2}]", fs{ssn(1), dob(2)}, nil, false},
		{"a date of birth that is asked for is one", "all=[{type='DOB',min_patients=2}]", fs{dob(1), dob(2)}, nil, true},
		{"equal dates of birth in two rows are two patients", "all=[{type='DOB',min_patients=2}]", fs{in(dob(1), "1", 1), in(at(dob(1), 500, 510), "1", 2)}, nil, true},
		{"numbers of one known patient are one patient", "all=[{tag='identifier',min_patients=2}]",
			fs{at(ssn(1), 0, 9), at(patient(7), 0, 9), at(mrn(2), 50, 59), at(patient(7), 50, 59)}, nil, false},
		{"and two values", "all=[{tag='identifier',min_count=2}]",
			fs{at(ssn(1), 0, 9), at(patient(7), 0, 9), at(mrn(2), 50, 59), at(patient(7), 50, 59)}, nil, true},
		{"one value of a known patient is one", "all=[{tag='identifier',min_count=2}]",
			fs{at(ssn(1), 0, 9), at(patient(7), 0, 9), at(ssn(1), 50, 59), at(patient(7), 50, 59)}, nil, false},
		{"two known patients are two", "all=[{tag='identifier',min_patients=2}]", fs{at(patient(7), 0, 9), at(patient(8), 50, 59)}, nil, true},
		{"a known patient and a number of nobody's are two", "all=[{tag='identifier',min_patients=2}]",
			fs{at(ssn(1), 0, 9), at(patient(7), 0, 9), at(mrn(2), 50, 59)}, nil, true},
		{"a known patient of another part is her", "all=[{tag='identifier',min_patients=2}]",
			fs{in(at(ssn(1), 0, 9), "1", 0), in(at(patient(7), 0, 9), "1", 0), in(at(ssn(1), 0, 9), "2", 0), in(at(patient(7), 0, 9), "2", 0)}, nil, false},
		{"a known patient in rows with other numbers is one", "all=[{tag='identifier',min_patients=2}]",
			fs{in(at(patient(7), 0, 9), "1", 1), in(at(mrn(2), 10, 19), "1", 1), in(at(patient(7), 50, 59), "1", 2), in(at(mrn(3), 60, 69), "1", 2)}, nil, false},
		{"visits of one record number are one patient", "all=[{tag='identifier',min_patients=2}]",
			fs{in(mrn(1), "1", 1), in(account(2), "1", 1), in(at(mrn(1), 500, 510), "1", 2), in(account(3), "1", 2), in(at(mrn(1), 800, 810), "2", 1), in(account(4), "2", 1)}, nil, false},
		{"and by its type", "all=[{type='MRN',min_patients=2}]",
			fs{in(mrn(1), "1", 1), in(account(2), "1", 1), in(at(mrn(1), 500, 510), "1", 2), in(account(3), "1", 2)}, nil, false},
		{"and by the type of visits", "all=[{type='ACCOUNT',min_patients=2}]",
			fs{in(mrn(1), "1", 1), in(account(2), "1", 1), in(at(mrn(1), 500, 510), "1", 2), in(account(3), "1", 2)}, nil, false},
		{"an account of two record numbers is two patients, by its type as well", "all=[{type='ACCOUNT',min_patients=2}]",
			fs{in(mrn(1), "1", 1), in(account(3), "1", 1), in(mrn(2), "1", 2), in(at(account(3), 500, 510), "1", 2)}, nil, true},
		{"accounts in rows without a record number are patients", "all=[{tag='identifier',min_patients=2}]", fs{in(account(1), "1", 1), in(account(2), "1", 2)}, nil, true},
		{"claims of one Medicare number are one patient", "all=[{tag='identifier',min_patients=2}]",
			fs{in(mbi(1), "1", 1), in(account(2), "1", 1), in(at(mbi(1), 500, 510), "1", 2), in(account(3), "1", 2)}, nil, false},
		{"a row with either number of a patient is hers", "all=[{tag='identifier',min_patients=2}]",
			fs{in(mrn(1), "1", 1), in(ssn(2), "1", 1), in(at(mrn(1), 500, 510), "1", 2), in(at(ssn(2), 600, 610), "1", 3)}, nil, false},
		{"a later row may join two", "all=[{tag='identifier',min_patients=2}]",
			fs{in(mrn(1), "1", 1), in(ssn(2), "1", 2), in(at(mrn(1), 500, 510), "1", 3), in(at(ssn(2), 600, 610), "1", 3)}, nil, false},
		{"a shared number makes no one patient of two record numbers", "all=[{tag='identifier',min_patients=3}]",
			fs{in(mrn(1), "1", 1), in(ssn(9), "1", 1), in(mrn(2), "1", 2), in(at(ssn(9), 500, 510), "1", 2), in(mrn(3), "1", 3), in(at(ssn(9), 600, 610), "1", 3)}, nil, true},
		{"nor does a record number in all rows", "all=[{tag='identifier',min_patients=2}]",
			fs{in(mrn(1), "1", 1), in(mrn(9), "1", 1), in(mrn(2), "1", 2), in(at(mrn(9), 500, 510), "1", 2)}, nil, true},
		{"by its type one number in two rows is one", "all=[{type='SSN',min_patients=2}]",
			fs{in(mrn(1), "1", 1), in(ssn(9), "1", 1), in(mrn(2), "1", 2), in(at(ssn(9), 500, 510), "1", 2)}, nil, false},
		{"two record numbers of one row, twice, are one patient", "all=[{type='MRN',min_patients=2}]",
			fs{in(mrn(1), "1", 1), in(mrn(2), "1", 1), in(at(mrn(1), 500, 510), "1", 2), in(at(mrn(2), 600, 610), "1", 2)}, nil, false},
		{"a number of a row is no further patient in running text", "all=[{tag='identifier',min_patients=2}]",
			fs{in(mrn(1), "1", 1), in(account(2), "1", 1), in(at(mrn(1), 500, 510), "2", 0), in(at(account(2), 600, 610), "2", 0)}, nil, false},
		{"care in rows counts the rows' patients", "all=[{tag='health',min_patients=2}]",
			fs{in(icd(1), "1", 1), in(ssn(2), "1", 1), in(icd(3), "1", 2), in(at(ssn(2), 700, 710), "1", 2)}, nil, false},
		{"care in rows without identifiers counts rows", "all=[{tag='health',min_patients=2}]", fs{in(icd(1), "1", 1), in(icd(1), "1", 2)}, nil, true},
		{"care in running text points at one", "all=[{tag='health',min_patients=2}]", fs{icd(1), icd(2)}, nil, false},
		{"anything points at one patient", "all=[{tag='health',min_patients=1}]", fs{icd(1)}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := engine(t, "[[policies]]\nid='p'\naction='reject'\n"+tt.toml+"\n[defaults]\non_gap='allow'")
			v := e.Decide(mail(outside), tt.fs, tt.gaps)
			if got := v.Rcpts[0].Action == reject; got != tt.want {
				t.Errorf("got match %v, want %v", got, tt.want)
			}
		})
	}
}

// TestGapOverride: { gap = CAUSE } decides instead of on_gap for that cause.
func TestGapOverride(t *testing.T) {
	const encryptedTo = "[[policies]]\nid='p'\nwhere={recipients=['*@partner.example']}\nall=[{gap='encrypted'}]\n"
	tests := []struct {
		name   string
		toml   string
		rcpt   dlp.Address
		fs     []dlp.Finding
		gaps   []dlp.Gap
		action dlp.Action
		policy string
	}{
		{"allow", encryptedTo + "action='allow'", outside, nil, []dlp.Gap{gap(dlp.Encrypted)}, allow, "p"},
		{"reject", encryptedTo + "action='reject'", outside, nil, []dlp.Gap{gap(dlp.Encrypted)}, reject, "p"},
		{"not where the policy does not speak", encryptedTo + "action='allow'", other, nil, []dlp.Gap{gap(dlp.Encrypted)}, hold, ""},
		{"not for another cause", encryptedTo + "action='allow'", outside, nil, []dlp.Gap{gap(dlp.Encrypted), gap(dlp.Corrupt)}, hold, ""},
		{"not in monitor mode", encryptedTo + "mode='monitor'\naction='allow'", outside, nil, []dlp.Gap{gap(dlp.Encrypted)}, hold, ""},
		{"not where its other conditions fail", "[[policies]]\nid='p'\nall=[{gap='encrypted'},{tag='health'}]\naction='allow'", outside, nil, []dlp.Gap{gap(dlp.Encrypted)}, hold, ""},
		{"not for gaps of parts it does not speak of", "[[policies]]\nid='p'\nscope='part'\nall=[{gap='encrypted'},{tag='health'}]\naction='allow'",
			outside, []dlp.Finding{in(icd(1), "1", 0)}, []dlp.Gap{gap(dlp.Encrypted), {Path: "2", Cause: dlp.Encrypted}}, hold, ""},
		{"not of findings", encryptedTo + "action='allow'\n[[policies]]\nid='q'\nall=[{type='SSN'}]\naction='quarantine'",
			outside, []dlp.Finding{ssn(1)}, []dlp.Gap{gap(dlp.Encrypted)}, hold, "q"},
		{"not of a scan_timeout", "[[policies]]\nid='p'\nall=[{gap='timeout'}]\naction='allow'", outside, nil, []dlp.Gap{{Cause: dlp.Timeout, Detail: policy.ScanTimeout}}, hold, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := engine(t, tt.toml).Decide(mail(tt.rcpt), tt.fs, tt.gaps)
			if got := v.Rcpts[0]; got.Action != tt.action || got.Policy != tt.policy {
				t.Errorf("got %v by %q, want %v by %q", got.Action, got.Policy, tt.action, tt.policy)
			}
		})
	}
}

func TestVerdictTells(t *testing.T) {
	const text = `
		[[policies]]
		id = "seen"
		mode = "monitor"
		all = [{ tag = "health" }]
		action = "reject"
		[[policies]]
		id = "first"
		where = { recipients = "external" }
		all = [{ type = "SSN" }]
		action = "quarantine"
		notify = ["sender"]
		[[policies]]
		id = "mild"
		all = [{ type = "MRN" }]
		action = "tag"
		[[policies]]
		id = "second"
		where = { recipients = "external" }
		any = [{ type = "DOB" }, { gap = "encrypted" }]
		action = "quarantine"`
	e := engine(t, text)
	fs := []dlp.Finding{ssn(1), mrn(2), icd(3), dob(4), at(ssn(5), 600, 610)}
	v := e.Decide(mail(outside, inside), fs, []dlp.Gap{gap(dlp.Encrypted), gap(dlp.Corrupt)})
	if len(v.Rcpts) != 2 || v.Policy != e.Digest() {
		t.Fatalf("got %d verdicts by %q, want 2 by %q", len(v.Rcpts), v.Policy, e.Digest())
	}
	out, in := v.Rcpts[0], v.Rcpts[1]
	if out.Rcpt != outside || in.Rcpt != inside {
		t.Errorf("got recipients %v and %v, want them in order", out.Rcpt, in.Rcpt)
	}
	if out.Action != hold || out.Policy != "first" {
		t.Errorf("got %v by %q, want quarantine by first", out.Action, out.Policy)
	}
	if want := []string{"first", "mild", "second"}; !slices.Equal(out.Policies, want) {
		t.Errorf("got policies %v, want %v", out.Policies, want)
	}
	if want := []dlp.RuleID{"r-DOB", "r-SSN"}; !slices.Equal(out.Rules, want) {
		t.Errorf("got rules %v, want those of all as strict: %v", out.Rules, want)
	}
	if want := []dlp.Cause{dlp.Corrupt, dlp.Encrypted}; !slices.Equal(out.Causes, want) {
		t.Errorf("got causes %v, want %v", out.Causes, want)
	}
	if want := []string{"sender"}; !slices.Equal(out.Notify, want) {
		t.Errorf("got notify %v, want the deciding policy's %v", out.Notify, want)
	}
	if out.Monitored != reject || out.MonitoredPolicy != "seen" || len(out.MonitoredRules) == 0 {
		t.Errorf("got monitored %v by %q for %v, want reject by seen", out.Monitored, out.MonitoredPolicy, out.MonitoredRules)
	}
	unwatched := in
	unwatched.MonitoredPolicy = ""
	if m := (&dlp.Verdict{Rcpts: []dlp.RcptVerdict{unwatched, out}}).Monitors(); m.Rcpt != outside || m.Monitored != reject {
		t.Errorf("of all recipients: monitored %v for %v, want that of the outside one", m.Monitored, m.Rcpt)
	}
	if in.Action != tag || in.Policy != "mild" || len(in.Causes) != 0 || in.Notify != nil {
		t.Errorf("got %+v for the internal recipient, want tag by mild alone", in)
	}
}

func TestReasons(t *testing.T) {
	timeout := dlp.Gap{Cause: dlp.Timeout, Detail: policy.ScanTimeout}
	tests := []struct {
		name   string
		toml   string
		fs     []dlp.Finding
		gaps   []dlp.Gap
		reason string
		mon    dlp.Action
		monBy  string
	}{
		{"findings", one("action='quarantine'"), []dlp.Finding{ssn(1)}, nil, "", allow, ""},
		{"on_gap", one("action='quarantine'"), nil, []dlp.Gap{gap(dlp.Image)}, dlp.ReasonGap, allow, ""},
		{"a policy's gap", "[[policies]]\nid='p'\nall=[{gap='image'}]\naction='reject'", nil, []dlp.Gap{gap(dlp.Image)}, dlp.ReasonGap, allow, ""},
		{"time-out", one("action='quarantine'"), nil, []dlp.Gap{timeout}, dlp.ReasonTimeout, allow, ""},
		{"time-out and a policy as strict", one("action='quarantine'"), []dlp.Finding{ssn(1)}, []dlp.Gap{timeout}, dlp.ReasonTimeout, allow, ""},
		{"on_gap monitored", one("action='quarantine'") + "[defaults]\nmode='monitor'", nil, []dlp.Gap{gap(dlp.Image)}, "", hold, policy.OnGapPolicy},
		{"on_gap monitored, overridden by a monitored policy", "[[policies]]\nid='p'\nmode='monitor'\nall=[{gap='image'}]\naction='tag'\n[defaults]\nmode='monitor'",
			nil, []dlp.Gap{gap(dlp.Image)}, "", tag, "p"},
		{"the strictest monitored", two("mode='monitor'\naction='tag'", "mode='monitor'\naction='quarantine'"), []dlp.Finding{ssn(1)}, nil, "", hold, "q"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := engine(t, tt.toml).Decide(mail(outside), tt.fs, tt.gaps).Rcpts[0]
			if got.Reason != tt.reason || got.Monitored != tt.mon || got.MonitoredPolicy != tt.monBy {
				t.Errorf("got reason %q, monitored %v by %q, want %q, %v by %q",
					got.Reason, got.Monitored, got.MonitoredPolicy, tt.reason, tt.mon, tt.monBy)
			}
		})
	}
}

func TestNobodyToSendTo(t *testing.T) {
	e := engine(t, one("action='allow'"))
	for name, doc := range map[string]*dlp.Document{"mail without recipients": mail(), "no channel": {Rcpts: []dlp.Address{inside}}} {
		t.Run(name, func(t *testing.T) {
			v := e.Decide(doc, nil, nil)
			if got := v.Strictest().Action; got != hold {
				t.Errorf("got %v, want quarantine", got)
			}
		})
	}
}

func TestStarter(t *testing.T) {
	e, err := policy.New(policy.Starter(), []string{"clinic.example"})
	if err != nil {
		t.Fatal(err)
	}
	none, err := policy.New(policy.Default(), []string{"clinic.example"})
	if err != nil {
		t.Fatal(err)
	}
	if none.Digest() != e.Digest() {
		t.Errorf("got digest %s without policies, want the starter's %s", none.Digest(), e.Digest())
	}
	mbi := found("MBI", 1, dlp.TagIdentifier)
	tests := []struct {
		name string
		doc  *dlp.Document
		fs   []dlp.Finding
		want dlp.Action
	}{
		{"MBI alone", mail(outside), []dlp.Finding{mbi}, hold},
		{"SSN alone", mail(outside), []dlp.Finding{ssn(1)}, hold},
		{"SSN in a file", file("a"), []dlp.Finding{ssn(1)}, hold},
		{"another identifier alone", mail(outside), []dlp.Finding{mrn(1)}, allow},
		{"an identifier and a condition by its name", mail(outside), []dlp.Finding{mrn(1), named("CONDITION", 2)}, hold},
		{"a condition, a drug and a test by their names alone", mail(outside), []dlp.Finding{named("CONDITION", 1), named("DRUG", 2), named("LAB", 3)}, allow},
		{"an identifier and an unsure condition", mail(outside), []dlp.Finding{mrn(1), sure(named("CONDITION", 2), dlp.Low)}, allow},
		{"health information alone", mail(outside), []dlp.Finding{icd(1)}, allow},
		{"another identifier and health information", mail(outside), []dlp.Finding{mrn(1), icd(2)}, hold},
		{"both in a file", file("a"), []dlp.Finding{mrn(1), icd(2)}, hold},
		{"both to a colleague", mail(inside), []dlp.Finding{mrn(1), icd(2)}, allow},
		{"SSN to a colleague", mail(inside), []dlp.Finding{ssn(1)}, allow},
		{"SSN of low confidence", mail(outside), []dlp.Finding{sure(ssn(1), dlp.Low)}, allow},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := e.Decide(tt.doc, tt.fs, nil).Rcpts[0]
			if got.Action != tt.want {
				t.Errorf("got %v, want %v", got.Action, tt.want)
			}
			if tt.want == hold && !slices.Equal(got.Notify, []string{"sender"}) {
				t.Errorf("got notify %v, want the sender", got.Notify)
			}
		})
	}
}

func TestWithWays(t *testing.T) {
	e := engine(t, one("action='encrypt'"))
	v := e.Decide(mail(outside, other), []dlp.Finding{ssn(1)}, nil)
	w := policy.WithWays(v, func(a dlp.Address) (dlp.Way, bool) { return dlp.OpenPGP, a == outside })
	if got := w.Rcpts[0]; got.Action != encrypt || got.Way != dlp.OpenPGP || got.Reason != "" {
		t.Errorf("got %v by %q, %q with a way, want encrypt by openpgp", got.Action, got.Way, got.Reason)
	}
	if got := w.Rcpts[1]; got.Action != hold || got.Way != "" || got.Reason != dlp.ReasonNoWay || got.Policy != "p" {
		t.Errorf("got %v by %q, %q by %q without a way, want quarantine, no_way by p", got.Action, got.Way, got.Reason, got.Policy)
	}
	if got := v.Rcpts[1].Action; got != encrypt {
		t.Errorf("got the given verdict changed to %v, want it as it was", got)
	}
}

func TestDigest(t *testing.T) {
	base := engine(t, one("action='tag'")).Digest()
	if got := engine(t, one("action='tag'")).Digest(); got != base {
		t.Errorf("got %s for the same policies, want %s", got, base)
	}
	if got := engine(t, one("action='allow'")).Digest(); got == base {
		t.Error("got the same digest for another action")
	}
	if got := engine(t, one("action='tag'")+"[defaults]\non_gap='allow'").Digest(); got == base {
		t.Error("got the same digest for another on_gap")
	}
	if len(base) != 64 {
		t.Errorf("got %q, want 64 hex digits", base)
	}
}
