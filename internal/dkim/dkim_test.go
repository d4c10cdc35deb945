package dkim_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"github.com/stanch-dlp/stanch/internal/dkim"
)

const text = "From: <postmaster@gw.clinic.example>\r\nTo: <ada@clinic.example>\r\nSubject: x\r\nDate: Wed, 25 Nov 2026 03:00:00 +0000\r\n" +
	"Message-ID: <a@gw.clinic.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n" +
	"\r\nYour message is held.  \r\n.\r\n\r\n\r\n"

func opener(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

// signer makes a key of that kind and a Signer with it.
func signer(t *testing.T, kind string) (s *dkim.Signer, record string) {
	t.Helper()
	c := dkim.Config{Domain: "clinic.example", Selector: "stanch1", Key: filepath.Join(t.TempDir(), "key.pem")}
	key, err := dkim.Make(kind, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	if record, err = dkim.Record(key); err != nil {
		t.Fatal(err)
	}
	if s, err = dkim.New(c); err != nil {
		t.Fatal(err)
	}
	return s, record
}

func verify(t *testing.T, m, record string) error {
	t.Helper()
	vs, err := msgauth.VerifyWithOptions(strings.NewReader(m), &msgauth.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if name != "stanch1._domainkey.clinic.example" {
			t.Errorf("looked up %s", name)
		}
		return []string{record}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(vs) != 1 {
		t.Fatalf("%d signatures, want 1", len(vs))
	}
	return vs[0].Err
}

// dkimpy verifies m by a program that nobody here wrote, where it is installed.
func dkimpy(t *testing.T, m, record string) (ok, there bool) {
	t.Helper()
	const python = "/usr/bin/python3" // Debian's own, for which python3-dkim is
	if exec.Command(python, "-c", "import dkim, nacl").Run() != nil {
		return false, false
	}
	cmd := exec.Command(python, "-c", `
import dkim, sys
record = sys.argv[1].encode()
print(dkim.verify(sys.stdin.buffer.read(), dnsfunc=lambda name, timeout=5: record))`, record)
	cmd.Stdin = strings.NewReader(m)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("dkimpy: %v", err)
	}
	return strings.TrimSpace(string(out)) == "True", true
}

func TestSignaturesVerify(t *testing.T) {
	for _, kind := range []string{dkim.RSA, dkim.Ed25519} {
		t.Run(kind, func(t *testing.T) {
			s, record := signer(t, kind)
			field, err := s.Field(opener(text))
			if err != nil {
				t.Fatal(err)
			}
			good := "X-Stanch-Loop: v1;\r\n\tabc\r\n" + string(field) + text
			bad := map[string]string{
				"another From":    string(field) + "From: <chief@clinic.example>\r\n" + text,
				"another Subject": string(field) + "Subject: y\r\n" + text,
				"another Cc":      string(field) + "Cc: <x@evil.example>\r\n" + text,
				"another body":    string(field) + text + "more\r\n",
			}
			if err := verify(t, good, record); err != nil {
				t.Errorf("go-msgauth: %v", err)
			}
			for name, m := range bad {
				if verify(t, m, record) == nil {
					t.Errorf("%s verifies", name)
				}
			}
			ok, there := dkimpy(t, good, record)
			if !there {
				t.Skip("python3-dkim is not installed")
			}
			if !ok {
				t.Error("dkimpy does not verify it")
			}
			if ok, _ := dkimpy(t, bad["another From"], record); ok {
				t.Error("dkimpy: another From verifies")
			}
		})
	}
}

func TestWanted(t *testing.T) {
	s, _ := signer(t, dkim.Ed25519)
	for _, tc := range []struct {
		name, head string
		want       bool
	}{
		{"ours", "From: Ada <ada@clinic.example>\r\n", true},
		{"below ours", "From: ada@WARD.Clinic.Example\r\n", true},
		{"somebody else's", "From: ada@notclinic.example\r\n", false},
		{"none", "Subject: x\r\n", false},
		{"two", "From: ada@clinic.example\r\nFrom: eve@evil.example\r\n", false},
		{"two in one", "From: ada@clinic.example, eve@evil.example\r\n", false},
		{"unreadable", "From: @@\r\n", false},
		{"signed already", "From: ada@clinic.example\r\nDKIM-Signature: v=1; a=rsa-sha256;\r\n d=Clinic.\r\n example; s=x; b=\r\n", false},
		{"signed by somebody else", "From: ada@clinic.example\r\nDKIM-Signature: v=1; d=partner.example; s=clinic.example\r\n", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := s.Wanted(opener(tc.head + "\r\nbody\r\n"))
			if err != nil || got != tc.want {
				t.Errorf("got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
	boom := errors.New("boom")
	if _, err := s.Field(func() (io.ReadCloser, error) { return nil, boom }); !errors.Is(err, boom) {
		t.Errorf("Field: %v, want boom", err)
	}
}

func TestKeys(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, path string
		want       error
	}{
		{"PKCS #1", write("a", 0o600, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(good)), nil},
		{"read-only", write("b", 0o400, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(good)), nil},
		{"others read it", write("c", 0o640, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(good)), dkim.ErrMode},
		{"too few bits", write("d", 0o600, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small)), dkim.ErrKey},
		{"a certificate", write("e", 0o600, "CERTIFICATE", []byte("x")), dkim.ErrKey},
		{"damaged", write("f", 0o600, "PRIVATE KEY", []byte("x")), dkim.ErrKey},
		{"none", filepath.Join(dir, "none"), os.ErrNotExist},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := dkim.ReadKey(tc.path); !errors.Is(err, tc.want) || err != nil && !strings.HasPrefix(err.Error(), tc.path+": ") {
				t.Errorf("got %v, want %v with its path", err, tc.want)
			}
		})
	}
	if _, err := dkim.Make(dkim.RSA, filepath.Join(dir, "a")); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a key that is there: %v, want ErrExist", err)
	}
	if fi, err := os.Stat(filepath.Join(dir, "a")); err != nil || fi.Size() == 0 {
		t.Errorf("the key that was there: %v", err)
	}
}

func TestZone(t *testing.T) {
	got := dkim.Zone("clinic.example", "s1", "v=DKIM1; p="+strings.Repeat("A", 300))
	want := "s1._domainkey.clinic.example. IN TXT ( \"v=DKIM1; p=" + strings.Repeat("A", 244) + "\"\n\t\"" + strings.Repeat("A", 56) + "\" )"
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestConfig(t *testing.T) {
	for name, tc := range map[string]struct {
		c  dkim.Config
		ok bool
	}{
		"empty":           {dkim.Config{}, true},
		"whole":           {dkim.Config{Domain: "clinic.example", Selector: "a.b", Key: "k"}, true},
		"no selector":     {dkim.Config{Domain: "clinic.example", Key: "k"}, false},
		"no key":          {dkim.Config{Domain: "clinic.example", Selector: "s"}, false},
		"no domain":       {dkim.Config{Selector: "s", Key: "k"}, false},
		"a line end":      {dkim.Config{Domain: "clinic.example\r\nX: y", Selector: "s", Key: "k"}, false},
		"a tag":           {dkim.Config{Domain: "clinic.example", Selector: "s; x=1", Key: "k"}, false},
		"one label":       {dkim.Config{Domain: "example", Selector: "s", Key: "k"}, false},
		"an empty label":  {dkim.Config{Domain: "a..example", Selector: "s", Key: "k"}, false},
		"outside ASCII":   {dkim.Config{Domain: "clínic.example", Selector: "s", Key: "k"}, false},
		"a trailing dot":  {dkim.Config{Domain: "clinic.example.", Selector: "s", Key: "k"}, false},
		"selector of '_'": {dkim.Config{Domain: "clinic.example", Selector: "_x", Key: "k"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.c.Validate(); (err == nil) != tc.ok {
				t.Errorf("got %v, want ok %v", err, tc.ok)
			}
		})
	}
}
