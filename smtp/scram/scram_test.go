package scram_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/smtp/scram"
)

// TestVector is the exchange of RFC 7677 3.
func TestVector(t *testing.T) {
	c := scram.NewClient("user", "pencil")
	c.SetNonce("rOprNGfwEbeRWgbNEkqO")
	if got, want := string(c.First()), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got, err := c.Final([]byte("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"))
	want := "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if err := c.Verify([]byte("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")); err != nil {
		t.Errorf("the server's proof: %v", err)
	}
	if err := c.Verify([]byte("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")); !errors.Is(err, scram.ErrProof) {
		t.Errorf("a wrong proof: got %v, want %v", err, scram.ErrProof)
	}
}

func TestHostileServer(t *testing.T) {
	for _, tc := range []struct{ name, first string }{
		{"nothing", ""},
		{"another nonce", "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"},
		{"our nonce alone", "r=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"},
		{"too few rounds", "r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1"},
		{"too many rounds", "r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2000000000"},
		{"no number", "r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=x"},
		{"no salt", "r=abcd,s=,i=4096"},
		{"salt is no base64", "r=abcd,s=!,i=4096"},
		{"mandatory extension", "m=x,r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"},
		{"long", "r=abcd" + strings.Repeat("x", 4000) + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := scram.NewClient("user", "pencil")
			c.SetNonce("abc")
			c.First()
			if got, err := c.Final([]byte(tc.first)); err == nil {
				t.Errorf("got %q, want an error", got)
			}
		})
	}
	if err := scram.NewClient("user", "pencil").Verify([]byte("v=")); err == nil {
		t.Error("an empty proof before the exchange passes")
	}
}

func TestNameIsEscaped(t *testing.T) {
	c := scram.NewClient("a,b=c", "x")
	c.SetNonce("n")
	if got, want := string(c.First()), "n,,n=a=2Cb=3Dc,r=n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
