package age_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

func identity(t testing.TB) *filippo.X25519Identity {
	t.Helper()
	id, err := filippo.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func seal(t testing.TB, s *age.Sealer, kind string, id dlp.ID, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := s.Seal(&out, kind, id)
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatalf("Write: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	return out.Bytes()
}

func open(s *age.Sealer, kind string, id dlp.ID, sealed []byte) ([]byte, error) {
	r, err := s.Open(bytes.NewReader(sealed), kind, id)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestSealedContentsComeBack(t *testing.T) {
	s, id := age.NewSealer(identity(t)), dlp.NewID()
	for _, n := range []int{0, 1, 65000, 64 << 10, 1 << 20} {
		plain := bytes.Repeat([]byte("p"), n)
		got, err := open(s, "vault", id, seal(t, s, "vault", id, plain))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: got %d, %v", n, len(got), err)
		}
	}
}

func TestSealedContentsOpenOnlyAsWhatTheyAre(t *testing.T) {
	s, id := age.NewSealer(identity(t)), dlp.NewID()
	sealed := seal(t, s, "vault", id, bytes.Repeat([]byte("p"), 200<<10))
	flipped := func(at int) []byte {
		b := bytes.Clone(sealed)
		b[at] ^= 1
		return b
	}
	for _, c := range []struct {
		name string
		with *age.Sealer
		kind string
		id   dlp.ID
		b    []byte
		want error
	}{
		{"another id", s, "vault", dlp.NewID(), sealed, age.ErrTampered},
		{"another kind", s, "case", id, sealed, age.ErrTampered},
		{"another key", age.NewSealer(identity(t)), "vault", id, sealed, age.ErrWrongKey},
		{"cut inside a chunk", s, "vault", id, sealed[:len(sealed)-1], age.ErrTampered},
		{"cut at a chunk", s, "vault", id, sealed[:len(sealed)-(200<<10+67)%(64<<10+16)], age.ErrTampered},
		{"cut inside the header", s, "vault", id, sealed[:50], age.ErrTampered},
		{"nothing", s, "vault", id, nil, age.ErrTampered},
		{"something after it", s, "vault", id, append(bytes.Clone(sealed), 0), age.ErrTampered},
		{"a byte of the header", s, "vault", id, flipped(130), age.ErrTampered},
		{"a byte of the first chunk", s, "vault", id, flipped(300), age.ErrTampered},
		{"a byte of the last chunk", s, "vault", id, flipped(len(sealed) - 1), age.ErrTampered},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := open(c.with, c.kind, c.id, c.b); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestEncryptedFiles(t *testing.T) {
	a, b := identity(t), identity(t)
	plain := bytes.Repeat([]byte("line\r\n"), 30_000)
	var sealed bytes.Buffer
	if err := age.EncryptFile(&sealed, bytes.NewReader(plain), []string{a.Recipient().String(), b.Recipient().String()}); err != nil {
		t.Fatalf("EncryptFile: %v", err)
	}
	for _, c := range []struct {
		name string
		ids  []filippo.Identity
		b    []byte
		want error
	}{
		{"the first recipient", []filippo.Identity{a}, sealed.Bytes(), nil},
		{"the second, among others", []filippo.Identity{identity(t), b}, sealed.Bytes(), nil},
		{"a stranger", []filippo.Identity{identity(t)}, sealed.Bytes(), age.ErrWrongKey},
		{"nobody", nil, sealed.Bytes(), age.ErrWrongKey},
		{"cut short", []filippo.Identity{a}, sealed.Bytes()[:sealed.Len()-9], age.ErrTampered},
		{"not encrypted", []filippo.Identity{a}, plain, age.ErrNotAge},
		{"empty", []filippo.Identity{a}, nil, age.ErrNotAge},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got bytes.Buffer
			err := age.Decrypt(&got, iotest.OneByteReader(bytes.NewReader(c.b)), c.ids)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err == nil && !bytes.Equal(got.Bytes(), plain) {
				t.Errorf("got %d bytes, want %d", got.Len(), len(plain))
			}
		})
	}
	broken := errors.New("broken")
	if err := age.EncryptFile(io.Discard, iotest.ErrReader(broken), []string{a.Recipient().String()}); !errors.Is(err, broken) {
		t.Errorf("a source that breaks: got %v", err)
	}
}

func TestParseRecipients(t *testing.T) {
	good := identity(t)
	hybrid, err := filippo.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		in   []string
		want string // part of the error, "" for none
	}{
		{"one", []string{good.Recipient().String()}, ""},
		{"post-quantum", []string{hybrid.Recipient().String()}, ""},
		{"none", nil, "at least one"},
		{"a secret key", []string{good.String()}, "secret key"},
		{"a typing error in the second", []string{good.Recipient().String(), good.Recipient().String()[:40]}, "recipient 2: want a public key"},
		{"ssh", []string{"ssh-ed25519 AAAA"}, "ssh keys are not read"},
		{"something else", []string{"hello"}, "begins with age1"},
		{"too many", make([]string, 101), "at most 100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := age.ParseRecipients(c.in)
			if c.want == "" {
				if err != nil || len(got) != len(c.in) {
					t.Errorf("got %d, %v; want %d", len(got), err, len(c.in))
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), good.String()) {
				t.Error("the error quotes the secret key")
			}
		})
	}
}

func TestParseIdentities(t *testing.T) {
	a, b := identity(t), identity(t)
	hybrid, err := filippo.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, in string
		n        int
		want     string
	}{
		{"as age-keygen writes it", "# created: 2026-03-01T00:00:00Z\n# public key: " + a.Recipient().String() + "\n" + a.String() + "\n", 1, ""},
		{"three, with empty lines and CRLF", a.String() + "\r\n\r\n" + b.String() + "\n" + hybrid.String(), 3, ""},
		{"none", "# nothing\n", 0, "no secret key"},
		{"a public key", a.Recipient().String(), 0, "line 1"},
		{"damaged", "#\n" + a.String()[:30], 0, "line 2"},
		{"too long a line", strings.Repeat("A", 10_000), 0, "too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := age.ParseIdentities(strings.NewReader(c.in))
			if len(got) != c.n || (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %d, %v; want %d, %q", len(got), err, c.n, c.want)
			}
		})
	}
}

// TestDebianAge shows that the age program and this package open each other's
// files, and that the program opens a sealed content too.
func TestDebianAge(t *testing.T) {
	program, err := exec.LookPath("age")
	if err != nil {
		t.Skip("the age program is not installed")
	}
	dir, id := t.TempDir(), identity(t)
	key, plainFile, sealedFile := filepath.Join(dir, "key"), filepath.Join(dir, "plain"), filepath.Join(dir, "sealed.age")
	plain := bytes.Repeat([]byte{0, 1, 2, '\r', '\n', 0xff}, 50_000)
	write := func(path string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) []byte {
		t.Helper()
		var stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("age %s: %v: %s", args[0], err, stderr.String())
		}
		return out
	}
	write(key, []byte(id.String()+"\n"))
	write(plainFile, plain)

	var ours bytes.Buffer
	if err := age.EncryptFile(&ours, bytes.NewReader(plain), []string{id.Recipient().String()}); err != nil {
		t.Fatalf("EncryptFile: %v", err)
	}
	write(sealedFile, ours.Bytes())
	if got := run("-d", "-i", key, sealedFile); !bytes.Equal(got, plain) {
		t.Errorf("age opened ours to %d bytes, want %d", len(got), len(plain))
	}

	refused := func(what string, b []byte, key string) {
		t.Helper()
		write(sealedFile, b)
		if out, err := exec.CommandContext(t.Context(), program, "-d", "-i", key, sealedFile).Output(); err == nil || len(out) > 0 {
			t.Errorf("%s: age gives %d bytes, %v", what, len(out), err)
		}
	}
	altered, strangers := bytes.Clone(ours.Bytes()), filepath.Join(dir, "strangers")
	altered[300] ^= 1 // of the first chunk
	write(strangers, []byte(identity(t).String()+"\n"))
	refused("altered", altered, key)
	refused("with a stranger's key", ours.Bytes(), strangers)

	for _, how := range [][]string{{"-e"}, {"-e", "-a"}} {
		theirs := run(append(how, "-r", id.Recipient().String(), plainFile)...)
		var got bytes.Buffer
		err := age.Decrypt(&got, bytes.NewReader(theirs), []filippo.Identity{id})
		if err != nil || !bytes.Equal(got.Bytes(), plain) {
			t.Errorf("age %v: we opened theirs to %d bytes, %v; want %d", how, got.Len(), err, len(plain))
		}
	}

	doc := dlp.NewID()
	write(sealedFile, seal(t, age.NewSealer(id), "vault", doc, plain))
	want := append([]byte("stanch-sealed/1 vault "+string(doc)+"\n"), plain...)
	if got := run("-d", "-i", key, sealedFile); !bytes.Equal(got, want) {
		t.Errorf("age opened a sealed content to %d bytes, want its line and %d", len(got), len(plain))
	}
}

func FuzzDecrypt(f *testing.F) {
	id := identity(f)
	var good bytes.Buffer
	if err := age.EncryptFile(&good, strings.NewReader("text"), []string{id.Recipient().String()}); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add([]byte("age-encryption.org/v1\n-> X25519 \n"))
	f.Add([]byte("-----BEGIN AGE ENCRYPTED FILE-----\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var got bytes.Buffer
		err := age.Decrypt(&got, bytes.NewReader(b), []filippo.Identity{id})
		if err == nil && got.String() != "text" {
			t.Errorf("altered bytes opened to %d bytes", got.Len())
		}
		var sealed, back bytes.Buffer
		if err := age.EncryptFile(&sealed, bytes.NewReader(b), []string{id.Recipient().String()}); err != nil {
			t.Fatal(err)
		}
		if err := age.Decrypt(&back, &sealed, []filippo.Identity{id}); err != nil || !bytes.Equal(back.Bytes(), b) {
			t.Errorf("what was encrypted: got %d bytes, %v; want %d", back.Len(), err, len(b))
		}
	})
}
