package formats

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// TestAnnounces holds that no line is passed over in which a password is
// announced, however the word is written.
func TestAnnounces(t *testing.T) {
	for _, w := range []string{"password", "passwort", "passcode", "passphrase", "pass", "pw", "pwd", "pin", "kenwort", "kennwort", "losung", "zugangscode", "schlüssel",
		"code", "key", "mot de passe", "contraseña", "contrasena", "clave", "senha", "wachtwoord", "lösenord", "hasło", "heslo", "jelszó", "пароль", "密码", "密碼",
		"パスワード", "암호"} {
		for _, line := range []string{w, strings.ToUpper(w), strings.ToUpper(w[:1]) + w[1:], "is the " + w + ": x", "ſ " + w} {
			if passwordWord().MatchString(line) && !announces(line) {
				t.Errorf("%q is passed over", line)
			}
		}
		if !announces("the " + w) {
			t.Errorf("%q announces nothing", w)
		}
	}
	if announces("The minutes of the meeting, as agreed on Monday; has he seen them? Copies follow.") {
		t.Error("a line without such a word is looked at")
	}
}

// TestAnnouncedAnywhere holds announced, which looks at many bytes at a time, to what
// is said of each place of a text.
func TestAnnouncedAnywhere(t *testing.T) {
	at := func(text string) int {
		for i := range len(text) {
			if begins(text[i:], ^uint32(0)>>(32-len(announcing))) {
				return i
			}
		}
		return -1
	}
	rng := rand.New(rand.NewPCG(9, 9))
	pieces := append([]string{"has ", "pa", "p", "co", "ke", "l\xc3", "\xd0", "es", " "}, announcing[:]...)
	for n := range 200 {
		for range 100 {
			var b strings.Builder
			for b.Len() < n {
				b.WriteString(strings.Repeat("minutes of it ", rng.IntN(8)))
				if p := pieces[rng.IntN(len(pieces))]; rng.IntN(6) == 0 {
					b.WriteString(p)
				} else {
					b.WriteString(strings.ToUpper(p[:rng.IntN(len(p)+1)]))
				}
			}
			text := b.String()[:n]
			if got, want := announced(text), at(text); got != want {
				t.Fatalf("%q: at %d, want %d", text, got, want)
			}
		}
	}
}

// TestWithoutTags holds it to what two expressions say, on texts full of angles.
func TestWithoutTags(t *testing.T) {
	breaks := regexp.MustCompile(`(?i)<(?:br|/?p|/?div|/?tr|/?li|/?h[1-6]|/?td)\b[^>]*>`)
	tags := regexp.MustCompile(`(?s)<!--.*?-->|<[^>]*>`)
	nested := regexp.MustCompile(`<[^>]*<|<!--`)
	rng := rand.New(rand.NewPCG(7, 7))
	pieces := []string{"<", ">", "<b>", "</b>", "<br>", "<BR/>", "</p>", "<p class=a>", "<pre>", "<td_x>", "</Div>", "<!--", "-->", "a", " word ", "\n", "<h2>", "<h7>", "é"}
	for range 20000 {
		var b strings.Builder
		for range rng.IntN(12) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		in := b.String()
		if nested.MatchString(in) && breaks.MatchString(in) {
			continue // the two expressions, one after the other, read a break inside a comment or tag
		}
		if got, want := withoutTags(in), tags.ReplaceAllString(breaks.ReplaceAllString(in, "\n"), ""); got != want {
			t.Fatalf("%q: got %q, want %q", in, got, want)
		}
	}
}

func BenchmarkPasswordsIn(b *testing.B) {
	line := "The minutes of the meeting, as agreed on Monday; has he seen them? Copies follow, please read on.\r\n"
	for name, doc := range map[string]string{
		"small":  "Subject: minutes\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat(line, 5),
		"text":   "Subject: minutes\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat(line, 10000),
		"html":   "Subject: minutes\r\nContent-Type: text/html\r\n\r\n<html>" + strings.Repeat("<p style='a: b'>"+line+"</p>", 1000),
		"base64": "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(strings.Repeat("Abcd", 19)+"\r\n", 100000) + "--o--",
	} {
		raw := []byte(doc)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				passwordsIn(raw)
			}
		})
	}
}

// TestAnnouncedLines holds that no line near a password is passed over: what a text
// gives is what it gives line by line.
func TestAnnouncedLines(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	pieces := []string{"\n", "\n", "\r\n", " \n", "word", " text of it ", "password: ", "code", "PIN", "pw", "Lösenord", "\"s3cret\"", "x9y", " is "}
	for range 5000 {
		var b strings.Builder
		for range rng.IntN(24) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		in := b.String()
		want := 0 // lines in which a password is announced, and those near one
		near := 0
		for line := range strings.Lines(in) {
			switch line = strings.TrimSpace(line); {
			case line == "":
			case passwordWord().MatchString(line):
				near = 2
				want++
			case near > 0:
				near--
				want++
			}
		}
		got := 0
		linesNear(in, func(string, [][]int) { got++ })
		if got != want {
			t.Fatalf("%q: %d lines, want %d", in, got, want)
		}
	}
}
