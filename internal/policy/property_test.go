package policy_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/policy"
)

// pickOne returns one of list.
func pickOne[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// somePolicies makes a configuration that Validate passes. Without overrides
// no condition is about a gap.
func somePolicies(r *rand.Rand, overrides bool) policy.Config {
	c := policy.Default()
	c.Defaults.OnGap = pickOne(r, "allow", "encrypt", "quarantine", "reject")
	c.Defaults.OnImage = pickOne(r, "allow-inline", "allow", "gap")
	c.Defaults.Mode = pickOne(r, "enforce", "monitor")
	for i := range 1 + r.IntN(5) {
		p := policy.Policy{
			ID:     fmt.Sprintf("p%d", i),
			Mode:   pickOne(r, "enforce", "enforce", "monitor"),
			Scope:  pickOne(r, "document", "part", "row"),
			Action: pickOne(r, "allow", "tag", "encrypt", "quarantine", "reject"),
		}
		p.Where.Recipients = pickOne(r, nil, policy.Recipients{"external"}, policy.Recipients{"internal"})
		p.Except.Recipients = pickOne(r, nil, nil, policy.Recipients{"*@partner.example"})
		var conds []policy.Condition
		for range 1 + r.IntN(3) {
			cond := policy.Condition{MinCount: r.IntN(4), MinPatients: r.IntN(4), Confidence: pickOne(r, "", "low", "high")}
			switch r.IntN(3) {
			case 0:
				cond.Type = pickOne[dlp.Type](r, "SSN", "MRN", "DOB")
			case 1:
				cond.Tag = pickOne(r, dlp.TagIdentifier, dlp.TagHealth)
			case 2:
				cond.Rule = "r-ICD10"
			}
			if overrides && r.IntN(3) == 0 {
				cond = policy.Condition{Gap: pickOne(r, dlp.Causes()...).String()}
			}
			conds = append(conds, cond)
		}
		if r.IntN(2) == 0 {
			p.All = conds
		} else {
			p.Any = conds
		}
		c.Policies = append(c.Policies, p)
	}
	return c
}

// someFinding makes a finding whose value no other has.
func someFinding(r *rand.Rand, serial byte) dlp.Finding {
	f := pickOne(r, ssn, mrn, mbi, account, dob, icd)(serial)
	f.Confidence = pickOne(r, dlp.Low, dlp.Medium, dlp.High)
	f.Path = pickOne(r, "", "1", "2", "2~2")
	f.Group = uint32(r.IntN(4))
	f.Start = int64(r.IntN(200))
	f.End = f.Start + 1 + int64(r.IntN(20))
	return f
}

func someGap(r *rand.Rand) dlp.Gap {
	return dlp.Gap{Path: pickOne(r, "", "1", "2"), Cause: pickOne(r, dlp.Causes()...), Inline: r.IntN(2) == 0, Size: int64(r.IntN(1 << 17)),
		Detail: pickOne(r, "", "", policy.ScanTimeout)}
}

func someDocument(r *rand.Rand) *dlp.Document {
	return pickOne(r, mail(outside, inside, other), mail(inside), file("a"))
}

// TestMoreIsNeverLess holds that one more finding, or one more gap, never
// makes a verdict milder. Two things are apart. A { gap = … } condition is
// there to say less than on_gap, so that no such condition stands in these
// policies. And a finding that shows two values or two rows to be the same
// lowers a count rightly, so that each finding added has a value of its own.
func TestMoreIsNeverLess(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		e, err := policy.New(somePolicies(r, false), []string{"clinic.example"})
		if err != nil {
			t.Fatal(err)
		}
		doc := someDocument(r)
		var fs []dlp.Finding
		var gaps []dlp.Gap
		before := e.Decide(doc, fs, gaps)
		for i := range byte(15) {
			if r.IntN(5) == 0 {
				gaps = append(gaps, someGap(r))
			} else {
				fs = append(fs, someFinding(r, i))
			}
			after := e.Decide(doc, fs, gaps)
			for j := range after.Rcpts {
				if a, b := after.Rcpts[j].Action, before.Rcpts[j].Action; a.Strictness() < b.Strictness() {
					t.Fatalf("seed %d: got %v after %v with one more of %+v and %+v", seed, a, b, fs, gaps)
				}
			}
			before = after
		}
	}
}

// TestOrderDoesNotMatter holds that a verdict does not depend on the order in
// which findings and gaps come.
func TestOrderDoesNotMatter(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 2))
		e, err := policy.New(somePolicies(r, true), []string{"clinic.example"})
		if err != nil {
			t.Fatal(err)
		}
		doc := someDocument(r)
		var fs []dlp.Finding
		var gaps []dlp.Gap
		for range 12 {
			fs = append(fs, someFinding(r, byte(r.IntN(6))))
		}
		for range r.IntN(4) {
			gaps = append(gaps, someGap(r))
		}
		want := e.Decide(doc, fs, gaps)
		kept := slices.Clone(fs)
		if got := e.Decide(doc, fs, gaps); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(fs, kept) {
			t.Fatalf("seed %d: got %+v the second time, want %+v", seed, got, want)
		}
		r.Shuffle(len(fs), func(i, j int) { fs[i], fs[j] = fs[j], fs[i] })
		r.Shuffle(len(gaps), func(i, j int) { gaps[i], gaps[j] = gaps[j], gaps[i] })
		if got := e.Decide(doc, fs, gaps); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: got %+v in another order, want %+v", seed, got, want)
		}
	}
}

// FuzzPattern holds that an address matches the pattern that is the address
// itself, and that nothing makes reading or matching a pattern panic.
func FuzzPattern(f *testing.F) {
	f.Add("*@partner.example", "dr.lee", "partner.example")
	f.Add("*.partner.example", "a", "b.c.partner.example")
	f.Add("a*b*c@*x*", "aXbYc", "lax.example")
	f.Add("<>", "", "")
	f.Fuzz(func(t *testing.T, pattern, local, domain string) {
		cfg := policy.Default()
		cfg.Policies = []policy.Policy{{ID: "p", Action: "reject", Where: policy.Match{Recipients: policy.Recipients{pattern}},
			All: []policy.Condition{{Type: "SSN"}}}}
		e, err := policy.New(cfg, nil)
		if err != nil {
			return
		}
		rcpt := dlp.Address{Local: local, Domain: domain}
		got := e.Decide(mail(rcpt), []dlp.Finding{ssn(1)}, nil).Rcpts[0].Action
		if pattern == local+"@"+domain && domain != "" && got != reject {
			t.Errorf("got %v for an address that is the pattern, want reject", got)
		}
	})
}
