package gateway_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

// taker writes down what it is handed.
type taker struct {
	bytes.Buffer
	parts   []string
	windows int
}

func (x *taker) Part(p dlp.PartInfo) error { x.parts = append(x.parts, p.Path); return nil }
func (x *taker) Gap(dlp.Gap) error         { return nil }
func (x *taker) Text(w dlp.Window) error {
	if w.Offset != int64(x.Len()) || len(w.Text) > dlp.MaxWindow {
		return fmt.Errorf("a window of %d bytes at %d, after %d", len(w.Text), w.Offset, x.Len())
	}
	x.windows++
	x.Write(w.Text)
	return nil
}

// readEnvelope reads with rules that know no number by its form.
func readEnvelope(doc *dlp.Document, sink dlp.Sink) error {
	return gateway.ReadEnvelope(doc, &gateway.Rules{}, sink)
}

// What a client writes beside the addresses leaves with the message, and is
// read as the message is.
func TestEnvelopeIsRead(t *testing.T) {
	doc := mail(in, out)
	for _, tc := range []struct {
		name   string
		mail   dlp.MailParams
		rcpt   []dlp.RcptParams
		want   string
		nobody bool
	}{
		{"nothing", dlp.MailParams{Ret: "HDRS"}, nil, "", true},
		{"the recipients themselves", dlp.MailParams{}, []dlp.RcptParams{{ORcpt: "rfc822;" + in.String()}, {ORcpt: "rfc822;" + strings.ToUpper(out.String())}}, "", true},
		{"an id", dlp.MailParams{EnvID: "SSN 536-22-8145"}, nil, "SSN 536-22-8145\n", false},
		{"a quoted one, with and without", dlp.MailParams{}, []dlp.RcptParams{{}, {ORcpt: `rfc822;"SSN 53\6-22-81\45 \"x"@here`}},
			`"SSN 53\6-22-81\45 \"x" here` + "\n" + `SSN 536-22-8145 "x here` + "\n", false},
		{"a type of address that is none", dlp.MailParams{}, []dlp.RcptParams{{}, {ORcpt: "536-22-8145;" + out.String()}}, "536-22-8145\n", false},
		{"another recipient", dlp.MailParams{}, []dlp.RcptParams{{}, {ORcpt: "x-chart;SSN 536-22-8145@here"}}, "x-chart\nSSN 536-22-8145 here\n", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc.Params, doc.RcptParams = tc.mail, tc.rcpt
			var got taker
			if err := readEnvelope(doc, &got); err != nil {
				t.Fatal(err)
			}
			if got.String() != tc.want || (len(got.parts) == 0) != tc.nobody {
				t.Errorf("got %q in %q, want %q", got.String(), got.parts, tc.want)
			}
		})
	}
	t.Run("local parts that are text", func(t *testing.T) {
		said := func(s string) dlp.Address { return dlp.Address{Local: s, Domain: "x.test"} }
		doc := mail(said("John Smith MRN 12345678"), said("plain.mrn-12345678"), said("DOB (1/2/1960) @home"))
		doc.Sender = said("SSN 536-22-8145")
		var got taker
		if err := readEnvelope(doc, &got); err != nil {
			t.Fatal(err)
		}
		if want := "SSN 536-22-8145\nJohn Smith MRN 12345678\nplain mrn-12345678\nDOB (1/2/1960)  home\n"; got.String() != want {
			t.Errorf("got %q, want %q", got.String(), want)
		}
	})
	t.Run("many recipients", func(t *testing.T) {
		doc.Params, doc.Rcpts, doc.RcptParams = dlp.MailParams{}, nil, nil
		for range 2000 {
			doc.Rcpts = append(doc.Rcpts, out)
			doc.RcptParams = append(doc.RcptParams, dlp.RcptParams{ORcpt: "rfc822;" + strings.Repeat("é", 200)})
		}
		var got taker
		if err := readEnvelope(doc, &got); err != nil || got.Len() != 2000*401 || got.windows != 4 || len(got.parts) != 1 {
			t.Errorf("%v; %d bytes in %d windows of %q", err, got.Len(), got.windows, got.parts)
		}
	})
	t.Run("a message", func(t *testing.T) {
		b := newBench(t)
		doc := mail(in, out)
		doc.Params.EnvID = "q 7"
		if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Passed || b.parts.Load() != 2 {
			t.Errorf("outcome %v after %d parts, want the message's and its envelope's", got.Kind, b.parts.Load())
		}
	})
}

// TestLocalPartsThatAreText: with many digits a local part may say more than who
// somebody is.
func TestLocalPartsThatAreText(t *testing.T) {
	for local, want := range map[string]string{
		"ssn536-22-8145": "ssn 536-22-8145\n", "536-22-8145": "536-22-8145\n", "zed.mrn=12345678": "zed mrn 12345678\n",
		"ann.smith1960": "", "15550100123": "", "+1.555.0100.123": "", "": "",
	} {
		var got taker
		if err := readEnvelope(mail(dlp.Address{Local: local, Domain: "x.test"}), &got); err != nil || got.String() != want {
			t.Errorf("%q: got %q, %v; want %q", local, got.String(), err, want)
		}
	}
}

// TestLocalPartsTheRulesKnow: a local part that has what the rules know by its form
// alone is text however few its digits are, and is not taken apart where that stands.
func TestLocalPartsTheRulesKnow(t *testing.T) {
	form := regexp.MustCompile(`\bE\d{7,8}\b|\b\d\.\d{3}\b`)
	rules := &gateway.Rules{Knows: func(s string) bool { return form.MatchString(s) }}
	for local, want := range map[string]string{
		"E1234567": "E1234567\n", "sam+E1234567": "sam E1234567\n", "sam_E1234567": "sam E1234567\n", "4.829": "4.829\n",
		"E12345678": "E12345678\nE 12345678\n", "E123456": "", "ann.smith1960": "", "ann": "", "": "",
	} {
		to := dlp.Address{Local: local, Domain: "x.test"}
		var got taker
		if err := gateway.ReadEnvelope(mail(to), rules, &got); err != nil || got.String() != want {
			t.Errorf("%q: got %q, %v; want %q", local, got.String(), err, want)
		}
		b := newBench(t)
		b.verdict[to.String()] = dlp.RcptVerdict{Action: dlp.Hold}
		b.SetRules(&gateway.Rules{Detect: func() gateway.Detection { return &detection{parts: &b.parts} }, Policy: b, Knows: rules.Knows})
		if got := b.Withholds(t.Context(), mail(to)); got != (want != "") {
			t.Errorf("%q: withheld %v", local, got)
		}
	}
}

// TestDomainsTheRulesKnow: a domain with a label that the rules know by its form
// alone is text, in whatever case it is written; any other of few digits is none.
func TestDomainsTheRulesKnow(t *testing.T) {
	form := regexp.MustCompile(`\bE\d{7,8}\b`)
	rules := &gateway.Rules{Knows: func(s string) bool { return form.MatchString(s) }}
	for domain, want := range map[string]string{
		"E1234567.example": "E1234567\n", "e1234567.clinic.example": "E1234567\n", "a.e1234567.example": "E1234567\n", "e1234567": "E1234567\n",
		"e12345678.example": "E12345678\ne 12345678 example\n", "E1234567.E7654321.example": "E1234567 E7654321\nE 1234567 E7654321 example\n",
		"e123456.example": "", "e123.4567.example": "", "clinic24.example": "", "clinic.example": "", "[E1234567]": "", "": "",
	} {
		to := dlp.Address{Local: "ann", Domain: domain}
		var got taker
		if err := gateway.ReadEnvelope(mail(to), rules, &got); err != nil || got.String() != want {
			t.Errorf("%q: got %q, %v; want %q", domain, got.String(), err, want)
		}
		b := newBench(t)
		b.verdict[to.String()] = dlp.RcptVerdict{Action: dlp.Hold}
		b.SetRules(&gateway.Rules{Detect: func() gateway.Detection { return &detection{parts: &b.parts} }, Policy: b, Knows: rules.Knows})
		if got := b.Withholds(t.Context(), mail(to)); got != (want != "") {
			t.Errorf("%q: withheld %v", domain, got)
		}
	}
}

// TestEnvelopeIsWithheld: text that is not clean does not leave with RCPT.
func TestEnvelopeIsWithheld(t *testing.T) {
	found := []dlp.Finding{{Rule: "us-ssn"}}
	digits := dlp.Address{Local: "ssn536-22-8145", Domain: "x.test"}
	hold := dlp.RcptVerdict{Action: dlp.Hold}
	for _, tc := range []struct {
		name  string
		set   func(*bench, *dlp.Document)
		reads int64
		want  bool
	}{
		{"no text is not read", func(b *bench, _ *dlp.Document) { b.verdict[out.String()] = hold }, 0, false},
		{"clean text", func(_ *bench, d *dlp.Document) { d.Params.EnvID = "q" }, 1, false},
		{"text with a finding", func(b *bench, d *dlp.Document) { d.Params.EnvID, b.found = "q", found }, 1, true},
		{"text that is held", func(b *bench, d *dlp.Document) { d.Params.EnvID, b.verdict[out.String()] = "q", hold }, 1, true},
		{"a number with a finding, allowed", func(b *bench, d *dlp.Document) { d.Sender, b.found = digits, found }, 1, false},
		{"a number that is held", func(b *bench, d *dlp.Document) { d.Sender, b.verdict[out.String()] = digits, hold }, 1, true},
		{"while mail passes unread", func(b *bench, d *dlp.Document) {
			d.Params.EnvID, b.found = "q", found
			if _, err := b.BeginBypass(t.Context(), time.Minute, "a test", "uid:0"); err != nil {
				t.Fatal(err)
			}
		}, 0, false},
		{"without rules", func(b *bench, d *dlp.Document) { d.Params.EnvID = "q"; b.SetRules(nil) }, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, doc := newBench(t), mail(out)
			tc.set(b, doc)
			if got := b.Withholds(t.Context(), doc); got != tc.want || b.parts.Load() != tc.reads {
				t.Errorf("got %v after %d parts, want %v after %d", got, b.parts.Load(), tc.want, tc.reads)
			}
		})
	}
}

// TestDomainsThatAreText: with many digits a domain may say more than where
// mail goes. It is not read for each of its recipients in a row.
func TestDomainsThatAreText(t *testing.T) {
	for domain, want := range map[string]string{
		"536-22-8145.example.com": "536-22-8145 example com\n", "ssn536-22-8145.example": "ssn 536-22-8145 example\n",
		"a.mrn12345678.example": "a mrn 12345678 example\n", "clinic24.example": "", "": "", "[192.168.100.200]": "", "[IPv6:2001:db8:1234:5678::1]": "",
	} {
		to := dlp.Address{Local: "ann", Domain: domain}
		doc := mail(to, dlp.Address{Local: "bob", Domain: domain})
		var got taker
		if err := readEnvelope(doc, &got); err != nil || got.String() != want {
			t.Errorf("%q: got %q, %v; want %q", domain, got.String(), err, want)
		}
		doc = mail(out)
		doc.Sender, got = to, taker{}
		if err := readEnvelope(doc, &got); err != nil || got.String() != want {
			t.Errorf("from %q: got %q, %v; want %q", domain, got.String(), err, want)
		}
	}
}
