package ways_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stanch-dlp/stanch/internal/crypt/ways"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestTLS: the way by a proved connection is for named domains alone, whose
// server proves to be theirs.
func TestTLS(t *testing.T) {
	set := func(c *ways.Config) {
		c.OpenPGPDir = ""
		c.Order = []string{"tls"}
		c.TLS = ways.TLS{Domains: []string{"*", "hotmail.com"}, Except: []string{"*.city.example"}}
	}
	proves := func(by string, err error) ways.Prover {
		return func(context.Context, dlp.Address, dlp.Address) (string, error) { return by, err }
	}
	for _, tc := range []struct {
		name, to string
		change   func(*ways.Config)
		prove    ways.Prover
		want     ways.Reason
	}{
		{"proved", "bob@Partner.example", nil, proves("dane", nil), ""},
		{"nobody to ask", "bob@partner.example", nil, nil, ways.NotProved},
		{"not proved", "bob@partner.example", nil, proves("", dlp.ErrNotProved), ways.NotProved},
		{"DNS fails", "bob@partner.example", nil, proves("", errors.New("no answer")), ways.NotReached},
		{"proved by nothing", "bob@partner.example", nil, proves("", nil), ways.NotReached},
		{"left out", "bob@x.city.example", nil, proves("dane", nil), ways.NotNamed},
		{"consumers", "bob@GMail.com", nil, proves("dane", nil), ways.Consumer},
		{"below consumers", "bob@nyc.rr.com", nil, proves("dane", nil), ways.Consumer},
		{"consumers in another country", "bob@yahoo.com.mx", nil, proves("dane", nil), ways.Consumer},
		{"below consumers in another country", "bob@mail.hotmail.it", nil, proves("dane", nil), ways.Consumer},
		{"a name that has one of theirs in it", "bob@yahoo.partner.example", nil, proves("dane", nil), ""},
		{"consumers that are named", "bob@hotmail.com", nil, proves("dane", nil), ""},
		{"nobody is named", "bob@partner.example", func(c *ways.Config) { c.TLS = ways.TLS{} }, proves("dane", nil), ways.NotNamed},
		{"below a pattern", "bob@a.b.example", func(c *ways.Config) { c.TLS.Domains = []string{"*.b.example"} }, proves("dane", nil), ""},
		{"not below it", "bob@b.example", func(c *ways.Config) { c.TLS.Domains = []string{"*.b.example"} }, proves("dane", nil), ways.NotNamed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := open(t, "", func(c *ways.Config) {
				set(c)
				if tc.change != nil {
					tc.change(c)
				}
			}).Proving(tc.prove)
			got := w.Choices(t.Context(), dlp.Address{}, addr(tc.to))[0]
			if got.Way != dlp.VerifiedTLS || got.Unfit != tc.want || (got.By != "") != (tc.want == "") {
				t.Errorf("got %+v, want %q", got, tc.want)
			}
			if way := w.Way(t.Context(), dlp.Address{}, addr(tc.to)); (way == dlp.VerifiedTLS) != (tc.want == "") {
				t.Errorf("goes by %q", way)
			}
			if way := w.Way(t.Context(), dlp.Address{}, addr(tc.to), dlp.VerifiedTLS); way != "" {
				t.Errorf("goes by %q, which is not wanted", way)
			}
		})
	}
	for _, bad := range []string{"", "bob@partner.example", "*.", "a*.example", "*.*", "a b"} {
		c := ways.Default()
		c.TLS.Domains = []string{bad}
		if err := c.Validate(); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
