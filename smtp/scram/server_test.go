package scram_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/smtp/scram"
)

func pencil(t testing.TB) scram.Keys {
	t.Helper()
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	k, err := scram.Derive("pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestServerVector is the server's side of RFC 7677 3.
func TestServerVector(t *testing.T) {
	k := pencil(t)
	s := scram.NewServer()
	s.SetNonce("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
	first, user, err := s.First([]byte("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), func(string) (scram.Keys, bool) { return k, true })
	if want := "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"; err != nil || user != "user" || string(first) != want {
		t.Fatalf("got %q, %q, %v, want %q", first, user, err, want)
	}
	final, err := s.Final([]byte("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
	if want := "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="; err != nil || string(final) != want {
		t.Errorf("got %q, %v, want %q", final, err, want)
	}
}

func TestServerRefuses(t *testing.T) {
	k := pencil(t)
	for _, tc := range []struct {
		name, user, password string
		known                bool
		want                 error
	}{
		{"right", "us,e=r", "pencil", true, nil},
		{"wrong password", "us,e=r", "pen", true, scram.ErrProof},
		{"unknown user who knows the password", "us,e=r", "pencil", false, scram.ErrProof},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, s := scram.NewClient(tc.user, tc.password), scram.NewServer()
			first, user, err := s.First(c.First(), func(string) (scram.Keys, bool) { return k, tc.known })
			if err != nil || user != tc.user {
				t.Fatal(user, err)
			}
			final, err := c.Final(first)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Final(final)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if err == nil && c.Verify(got) != nil {
				t.Error("the client does not believe the server")
			}
		})
	}
	for _, first := range []string{"", "n", "n,,", "p=tls-unique,,n=user,r=abc", "n,a=other,n=user,r=abc", "n,b,n=user,r=abc", "n,,n=us=er,r=abc", "n,,n=,r=abc",
		"n,,n=user,r=", "n,,m=x,n=user,r=abc", "n,,n=us\x00er,r=abc", "n,,n=user,r=a\nb", "n,,n=user,r=" + strings.Repeat("a", 3000)} {
		if _, _, err := scram.NewServer().First([]byte(first), func(string) (scram.Keys, bool) { return k, true }); !errors.Is(err, scram.ErrMessage) {
			t.Errorf("first message %.40q: got %v, want %v", first, err, scram.ErrMessage)
		}
	}
	for _, final := range []string{"", "c=biws,r=abcXYZ", "c=eSws,r=abcXYZ,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"c=biws,r=abcXYZ,p=AAAA", "c=biws,r=abcXYZ,p=!", "c=biws,r=abcXYZ,p="} {
		s := scram.NewServer()
		s.SetNonce("XYZ")
		if _, _, err := s.First([]byte("n,,n=user,r=abc"), func(string) (scram.Keys, bool) { return k, true }); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Final([]byte(final)); !errors.Is(err, scram.ErrMessage) {
			t.Errorf("final message %q: got %v, want %v", final, err, scram.ErrMessage)
		}
	}
	if !k.Knows("pencil") || k.Knows("Pencil") || k.Knows("") {
		t.Error("a password is not told from another")
	}
}

func FuzzServer(f *testing.F) {
	k := pencil(f)
	f.Add("n,,n=user,r=abc", "c=biws,r=abcXYZ,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
	f.Add("y,a=us=2Cer,n=us=2Cer,r=abc", "c=eSxhPXVzPTJDZXIs,r=abcXYZ,x=y,p=AAAA")
	f.Fuzz(func(t *testing.T, first, final string) {
		s := scram.NewServer()
		s.SetNonce("XYZ")
		if _, _, err := s.First([]byte(first), func(string) (scram.Keys, bool) { return k, true }); err != nil {
			return
		}
		if _, err := s.Final([]byte(final)); err == nil {
			t.Fatalf("%q then %q proves a password", first, final)
		}
	})
}
