package formats

import (
	"time"

	"github.com/stanch-dlp/stanch/internal/wire"
)

// unlockTime is how long the tries of one file may take; the clock of a part
// runs longer.
const unlockTime = 3 * time.Second

// passwords are the candidates that encrypted parts are tried with.
type passwords struct {
	given    []string // with the job, the likeliest first
	messages [][]byte // that are being read, the outermost first
	found    []string // in messages
	searched bool     // found is of messages as they are
	worked   []string // opened something of this document
	tell     bool     // the parent wants to hear what the document names
	named    []string // that it does

	perFile, left int // tries
}

// enter puts a message under those in which candidates are looked for, leave
// takes it away; whole: it was read to its end by this child.
func (p *passwords) enter(raw []byte) { p.messages = append(p.messages, raw) }

func (p *passwords) leave(whole bool) {
	if len(p.messages) == 1 && p.tell && whole {
		p.search()
		p.named = p.found[:min(len(p.found), wire.MaxNamed)]
	}
	p.messages = p.messages[:len(p.messages)-1]
	if len(p.messages) == 0 {
		p.found, p.searched = nil, false
	}
}

// wipe forgets all candidates.
func (p *passwords) wipe() {
	clear(p.given)
	clear(p.found)
	clear(p.worked)
	clear(p.named)
	*p = passwords{}
}

// search looks for candidates in the outermost message, once.
func (p *passwords) search() {
	if !p.searched && len(p.messages) > 0 {
		p.found, p.searched = passwordsIn(p.messages[0]), true
	}
}

// candidates returns what to try, the likeliest first: what opened something
// before, then what the message says and what came with the job in turns, so that
// a long text leaves tries for a list.
func (p *passwords) candidates() []string {
	p.search()
	all := make([]string, 0, len(p.worked)+len(p.found)+len(p.given))
	seen := map[string]bool{"": true}
	add := func(pw string) {
		if !seen[pw] {
			seen[pw] = true
			all = append(all, pw)
		}
	}
	for _, pw := range p.worked {
		add(pw)
	}
	for i := range max(len(p.found), len(p.given)) {
		if i < len(p.found) {
			add(p.found[i])
		}
		if i < len(p.given) {
			add(p.given[i])
		}
	}
	return all
}

// unlock tries candidates until one fits, and returns it.
func (j *job) unlock(fits func(pw string) bool) (string, bool) {
	p := &j.pw
	start := time.Now()
	for i, pw := range p.candidates() {
		known := i < len(p.worked) // is tried again even where all tries are spent
		if i >= p.perFile || !known && p.left <= 0 || time.Since(start) > unlockTime || j.out.err != nil {
			break
		}
		if fits(pw) {
			p.worked = append([]string{pw}, without(p.worked, pw)...)
			return pw, true
		}
		if !known {
			p.left--
		}
	}
	return "", false
}

func without(all []string, pw string) []string {
	kept := all[:0]
	for _, s := range all {
		if s != pw {
			kept = append(kept, s)
		}
	}
	return kept
}
