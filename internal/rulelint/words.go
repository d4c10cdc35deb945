package rulelint

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/patterns"
)

// frequent is words so common in English and in offices that one stands beside
// most numbers; those that patterns.Lint names itself are not among them.
const frequent = `about after again all also always am any are as back be because been before being below between both but can could day did do
does done down during each end even every few first get give go good had has have he her here him his how however i if into its just keep last
like line list little long look made make many may me more most much must my need new next not now off old one only open other our out over own page
part people please same say see she should show since so some still such take than thank thanks that their them then there these they thing this those
three through time today tomorrow too total two under until up us use used very want was way we week well were what when where which while who why
will with work would year years yes yesterday yet you your
agenda attached attachment board business client comment company copy customer department details document draft email file folder form info
information item items job letter list manager meeting memo message note notes office page people plan please process project question regards report
request result results review sent service services staff status subject summary system task team text type update user users version website`

// commonShare is the share of a text that stands so near to a word that the word
// says little there.
const commonShare = 0.05

// shortReach is how far, in bytes, a word of one or two letters says something: as
// a label on the same line does.
const shortReach = 100

// common reports keywords of pattern k that say little: they stand in any text.
func (l *linter) common(r *patterns.Rule, k int) {
	w := r.Patterns[k].Supporting
	if w == nil {
		return
	}
	words := strings.Fields(frequent)
	for _, word := range w.Any {
		switch {
		case patterns.TooCommon(word): // patterns.Lint says so
		case slices.Contains(words, word):
			l.say(false, r, k, "supporting.any", "a word that stands beside few other things than %q, which is in most texts; use a longer label such as %q", word, word+" number")
		case tooShort(word) && w.Proximity > shortReach:
			l.say(false, r, k, "supporting.any", "a word of three letters or more, or one with a sign such as %q, instead of %q, which is part of many other things; or count it within %d bytes only", word+"#", word, shortReach)
		case l.opt.Corpus != nil:
			if share := l.opt.Corpus.share(word, w.Proximity); share >= commonShare {
				l.say(false, r, k, "supporting.any", "a rarer word than %q: %.0f %% of the corpus stands within %d bytes of it", word, 100*share, w.Proximity)
			}
		}
	}
}

// tooShort reports a keyword of fewer than three letters and digits and nothing
// else.
func tooShort(word string) bool {
	return len(word) < 3 && !strings.ContainsFunc(word, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

const (
	maxCorpus   = 32 << 20 // bytes of a corpus that are read
	maxFileRead = 4 << 20  // and of one file of it
)

// Corpus is ordinary text of an author's own kind.
type Corpus struct {
	texts []string // in small letters
	bytes int
	Cut   bool // there was more than is read
	known map[string]float64
}

// ReadCorpus reads the files under root as text.
func ReadCorpus(root string) (*Corpus, error) {
	c := &Corpus{known: map[string]float64{}}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		room := min(maxFileRead, maxCorpus-c.bytes)
		if room <= 0 {
			c.Cut = true
			return fs.SkipAll
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close() // read only: nothing to lose
		text, err := io.ReadAll(io.LimitReader(f, int64(room)))
		if err != nil {
			return err
		}
		c.texts = append(c.texts, strings.ToLower(string(text)))
		c.bytes += len(text)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("rulelint: read the corpus: %w", err)
	}
	return c, nil
}

// share returns the share of the corpus that stands within reach bytes of word.
func (c *Corpus) share(word string, reach int) float64 {
	key := fmt.Sprint(reach, " ", word)
	if share, ok := c.known[key]; ok {
		return share
	}
	near := 0
	for _, text := range c.texts {
		end := 0 // up to where the text is counted
		for at := 0; ; {
			i := strings.Index(text[at:], word)
			if i < 0 {
				break
			}
			i += at
			if at = i + len(word); i > 0 && letterOrDigit(text[i-1]) || at < len(text) && letterOrDigit(text[at]) {
				continue
			}
			lo, hi := max(end, i-reach), min(len(text), at+reach)
			near += max(0, hi-lo)
			end = max(end, hi)
		}
	}
	share := float64(near) / float64(max(1, c.bytes))
	c.known[key] = share
	return share
}

func letterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 0x80
}
