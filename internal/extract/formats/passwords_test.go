package formats_test

import (
	"bytes"
	"encoding/base64"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// withPasswords is serve with a job that carries candidates.
func withPasswords(t testing.TB, mail bool, doc []byte, perFile, all int, pw ...string) *answer {
	t.Helper()
	return serveJob(t, &wire.Job{Mail: mail, Limits: limits, Passwords: pw, Tries: perFile, TriesAll: all}, doc)
}

// lockedArchives are the ways in which programs encrypt, by name: the arguments
// of 7z before the archive's name.
func lockedArchives() map[string][]string {
	return map[string][]string{
		"zip ZipCrypto":         {"-tzip", "-mem=ZipCrypto"},
		"zip ZipCrypto, stored": {"-tzip", "-mem=ZipCrypto", "-mx=0"},
		"zip AES-128":           {"-tzip", "-mem=AES128"},
		"zip AES-192":           {"-tzip", "-mem=AES192"},
		"zip AES-256, bzip2":    {"-tzip", "-mem=AES256", "-mm=bzip2"},
		"7z":                    {"-t7z"},
		"7z, header too":        {"-t7z", "-mhe=on"},
		"7z, not solid":         {"-t7z", "-ms=off"},
		"7z, stored":            {"-t7z", "-mx=0"},
		"7z, PPMd":              {"-t7z", "-m0=ppmd"},
	}
}

func lockedArchive(t *testing.T, pw string, args []string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "x")
	run(t, folder(t), nil, "7z", append(append([]string{"a", "-p" + pw}, args...), out+".z", ".")...)
	return file(t, out+".z")
}

// TestPasswords holds that what a candidate opens is read and marked, and that
// what none opens is encrypted, without a word of its content.
func TestPasswords(t *testing.T) {
	const pw = "Vogel-7-Haus"
	var wrong []string
	for i := range 300 {
		wrong = append(wrong, "wrong"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+strings.Repeat("y", i/26))
	}
	for name, args := range lockedArchives() {
		t.Run(name, func(t *testing.T) {
			b := lockedArchive(t, pw, args)
			a := withPasswords(t, false, b, 50, 200, "nothing", pw)
			reads(t, a, strings.TrimSpace(secret), "last 078-05-1120", "deep 219-09-9999")
			if !slices.ContainsFunc(a.paths, func(p string) bool { return a.parts[p].Opened }) {
				t.Error("no part is marked as opened")
			}
			tries := 20
			if strings.Contains(name, "ZipCrypto") {
				tries = 300 // one in 256 passes the first check
			}
			a = withPasswords(t, false, b, tries, 3*tries, wrong...)
			if len(a.gaps) == 0 || strings.Contains(a.all(), "078-05-1120") {
				t.Errorf("with wrong ones: gaps %q", a.told())
			}
			for _, g := range a.gaps {
				if g.Cause != dlp.Encrypted {
					t.Errorf("with wrong ones: gap %v %q", g.Cause, g.Detail)
				}
			}
			for _, p := range a.paths {
				if p != "" && a.texts[p] != "" || a.parts[p].Opened {
					t.Errorf("with wrong ones: part %q gave %q", p, a.texts[p])
				}
			}
		})
	}
}

// TestPasswordTries holds the bounds.
func TestPasswordTries(t *testing.T) {
	b := lockedArchive(t, "third", []string{"-tzip", "-mem=AES256"})
	for _, c := range []struct {
		perFile, all int
		want         bool
	}{{3, 200, true}, {2, 200, false}, {50, 3, true}, {50, 2, false}, {0, 200, false}} {
		a := withPasswords(t, false, b, c.perFile, c.all, "first", "second", "third")
		if got := len(a.gaps) == 0; got != c.want {
			t.Errorf("%d tries for a file, %d wrong ones for all: opened %v, want %v", c.perFile, c.all, got, c.want)
		}
	}
}

// TestPasswordInMail holds that a mail's own text opens what it carries, however
// it says so.
func TestPasswordInMail(t *testing.T) {
	const pw = "Vogel7Haus"
	b := base64.StdEncoding.EncodeToString(lockedArchive(t, pw, []string{"-tzip", "-mem=AES256"}))
	for name, text := range map[string]string{
		"colon":         "The report is attached.\nPassword: Vogel7Haus\n",
		"sentence":      "The password for the file is Vogel7Haus. Regards\n",
		"quotes":        "Please use \"Vogel7Haus\" as the passcode\n",
		"typographic":   "Das Kennwort lautet „Vogel7Haus“.\n",
		"line below":    "PIN:\n\n  Vogel7Haus\n\nRegards\n",
		"before":        "Vogel7Haus is the code\n",
		"bold in HTML":  "<html><p>Pass<b>word</b>:</p><p><b>Vogel7</b>Haus</p></html>",
		"mot de passe":  "Le mot de passe : Vogel7Haus\n",
		"in the middle": "Your pw=Vogel7Haus; keep it\n",
	} {
		t.Run(name, func(t *testing.T) {
			media := "text/plain"
			if strings.HasPrefix(text, "<html>") {
				media = "text/html"
			}
			doc := crlf("Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: application/zip", "Content-Transfer-Encoding: base64", "", b,
				"--o", "Content-Type: "+media+"; charset=utf-8", "", text, "--o--")
			a := withPasswords(t, true, []byte(doc), 50, 200)
			reads(t, a, "536-22-8145")
			if strings.Contains(name, "colon") && !a.parts["1/1"].Opened && !a.parts["1/2"].Opened {
				t.Errorf("no part is marked as opened: %v", a.paths)
			}
		})
	}
	doc := crlf("Subject: the code is Vogel7Haus", "Content-Type: application/zip", "Content-Transfer-Encoding: base64", "", b)
	reads(t, withPasswords(t, true, []byte(doc), 50, 200), "536-22-8145")
	doc = crlf("Content-Type: multipart/mixed; boundary=o", "", "--o", "", "The word comes by telephone.", "--o", "Content-Type: application/zip",
		"Content-Transfer-Encoding: base64", "", b, "--o--")
	if a := withPasswords(t, true, []byte(doc), 50, 200); len(a.gaps) == 0 || bytes.Contains([]byte(a.all()), []byte("536-22-8145")) {
		t.Errorf("without a password: gaps %q", a.told())
	}
}
