package dossier_test

import (
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/dossier"
)

// FuzzForm: what a form says of an assessment is read back as it was written.
func FuzzForm(f *testing.F) {
	for _, text := range []string{"", words, "two\nlines \"quoted\"", "\\\"\"\"\n\t\x01'''", "\r\n\u2028 é"} {
		f.Add(text, "2026-01-31", 41)
	}
	f.Fuzz(func(t *testing.T, text, day string, people int) {
		text, day = strings.TrimSpace(strings.ToValidUTF8(text, "?")), strings.ToValidUTF8(day, "?")
		v := dossier.Version{ID: dlp.NewID(), N: 7, Assessment: dossier.Assessment{Title: text, Happened: day, People: people, Conclusion: dossier.Breach, Because: text}}
		for i := range v.Factors {
			v.Factors[i] = dossier.Factor{Words: text, Risk: "low"}
		}
		v.Factors[2].Risk = ""
		src := v.Form()
		if len(src) > dossier.MaxForm {
			t.Skip("longer than a form is")
		}
		base, got, err := dossier.ParseForm(src)
		if err != nil || base != 7 || got != v.Assessment {
			t.Errorf("%v, version %d\ngot  %#v\nwant %#v", err, base, got, v.Assessment)
		}
	})
}

// TestFormFile: the form as people get it, and what is none, which is told by its place
// and not repeated.
func TestFormFile(t *testing.T) {
	t.Parallel()
	v := dossier.Version{ID: "abcdefghijklmnopqrstuvwxya", N: 1, Assessment: filled()}
	whole := string(v.Form())
	for _, f := range dossier.Factors() {
		if want := "[factors." + f.Key + "] # " + f.Name + "\n"; !strings.Contains(whole, want) || !strings.Contains(whole, "# "+f.More+"\nwords = \""+words+"\"") {
			t.Errorf("the form does not ask for %s:\n%s", f.Name, whole)
		}
	}
	for name, c := range map[string]struct{ src, want string }{
		"not TOML":        {whole + "Oakenshield is = what\n", "line "},
		"an unknown key":  {"oakenshield = 1\n" + whole, "no keys but those"},
		"another factor":  {whole + "[factors.oakenshield]\nwords = \"x\"\n", "mitigated"},
		"text for people": {strings.Replace(whole, "people = 41", `people = "Oakenshield"`, 1), "numbers for version and people"},
		"no version":      {strings.Replace(whole, "version = 1", "version = 0", 1), "version"},
		"too long":        {whole + strings.Repeat("#", dossier.MaxForm), "at most"},
	} {
		if _, _, err := dossier.ParseForm([]byte(c.src)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(strings.ToLower(err.Error()), "oakenshield") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
