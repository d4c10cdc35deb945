// Package loop marks mail that leaves, and knows the marks again when the same
// mail comes back to the same recipients.
//
// It promises that a mark says nothing to who has not the site's key, whatever
// it stands on, and that only a mark of this site counts, on the very message
// and for the very recipients it was made for: nobody outside can make one that
// has a message refused, and no mark lets anything pass. docs/adr/0012 says
// why it is made as it is.
package loop

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Config is the section [loop].
type Config struct {
	// MaxPasses is how often one message may pass on its way to the same recipient; when it comes once more it is refused with 554 5.4.6. Two leave room for mail that your own routing leads through the gateway twice.
	MaxPasses int `toml:"max_passes"`
}

// Default returns the defaults.
func Default() Config { return Config{MaxPasses: 2} }

// Validate reports the first bad value as a *dlp.KeyError.
func (c *Config) Validate() error {
	if c.MaxPasses < 1 || c.MaxPasses > maxAll {
		return &dlp.KeyError{Key: "loop.max_passes", Want: "a number from 1 to 10"}
	}
	return nil
}

// Name is the header field that a mark is.
const Name = "X-Stanch-Loop"

const (
	// maxAll is how often a message may pass in all, to whomever.
	maxAll = 10
	// kept is how long a mark counts: who sends an old message on, with all that
	// stands above it, starts anew.
	kept = 30 * 24 * time.Hour
	// maxMarks is how many marks are looked at; those in front are the latest.
	maxMarks = 100
	// slots is how many recipients a mark tells apart. With more it counts for
	// maxAll only.
	slots = 24
	many  = 0xff
	// form stands before what is sealed, so that another form can follow.
	form = "v1"
	// width is where the sealed part is folded: RFC 5322 2.1.1, with room to
	// spare.
	width = 68
)

// Size of what is sealed: count of recipients, time, recipients. It is the same
// whoever the recipients are.
const sealedSize = 1 + 8 + slots*4

// Keys seals under the index key. ad binds the bytes to their place. It is
// satisfied by crypt.Ring.
type Keys interface {
	Seal(ad string, b []byte) ([]byte, error)
	Open(ad string, b []byte) ([]byte, error)
}

// Guard makes marks and counts them. It is safe for use by many goroutines.
type Guard struct {
	keys Keys
	max  int
	now  func() time.Time
}

// New returns a Guard. now is the clock by which marks grow old.
func New(c Config, keys Keys, now func() time.Time) *Guard {
	return &Guard{keys: keys, max: c.MaxPasses, now: now}
}

// bound ties a mark to its message. Relays that rewrite anything else keep the
// Message-ID (RFC 5322 3.6.4).
func bound(messageID string) string { return "loop " + strings.TrimSpace(messageID) }

// Mark returns the header field, with its line end, for the message that leaves
// with that Message-ID for rcpts.
func (g *Guard) Mark(messageID string, rcpts []dlp.Address) ([]byte, error) {
	b := make([]byte, sealedSize)
	b[0] = many
	if len(rcpts) <= slots {
		b[0] = byte(len(rcpts))
		for i, r := range rcpts {
			h := short(r)
			copy(b[9+4*i:], h[:])
		}
	}
	binary.BigEndian.PutUint64(b[1:], uint64(g.now().Unix()))
	sealed, err := g.keys.Seal(bound(messageID), b)
	if err != nil {
		return nil, err
	}
	room := base64.StdEncoding.EncodedLen(len(sealed))
	text := base64.StdEncoding.AppendEncode(make([]byte, 0, room), sealed)
	line := append(make([]byte, 0, len(Name)+room+room/width*len("\r\n\t")+16), Name+": "+form+";"...)
	for len(text) > 0 {
		n := min(width, len(text))
		line = append(append(line, "\r\n\t"...), text[:n]...)
		text = text[n:]
	}
	return append(line, "\r\n"...), nil
}

// short tells recipients apart. It stands in a mark sealed: it need not hide
// anything itself.
func short(a dlp.Address) [4]byte {
	h := sha256.Sum256([]byte(strings.ToLower(a.String())))
	return [4]byte(h[:])
}

// mark is what a mark of ours says: its recipients; none where they were many.
type mark [][4]byte

// Loops reports whether the message with these marks, on its way to rcpts, has
// been here as often as it may: for every one of rcpts MaxPasses times, or
// maxAll times in all. Values are those of the Name fields, folded or not.
func (g *Guard) Loops(messageID string, rcpts []dlp.Address, values []string) bool {
	if len(values) == 0 || len(rcpts) == 0 {
		return false
	}
	var ours []mark
	for _, v := range values[:min(len(values), maxMarks)] {
		if m, ok := g.read(messageID, v); ok {
			ours = append(ours, m)
		}
	}
	if len(ours) >= maxAll {
		return true
	}
	if len(ours) < g.max {
		return false
	}
	return !slices.ContainsFunc(rcpts, func(r dlp.Address) bool { return passes(ours, short(r)) < g.max })
}

func passes(ours []mark, rcpt [4]byte) (n int) {
	for _, m := range ours {
		if slices.Contains(m, rcpt) {
			n++
		}
	}
	return n
}

// read opens one mark. What does not open is not ours, or of another message.
func (g *Guard) read(messageID, value string) (mark, bool) {
	head, text, ok := strings.Cut(value, ";")
	if !ok || strings.TrimSpace(head) != form || len(text) > 1024 { // five times what a mark has
		return nil, false
	}
	sealed, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, false
	}
	b, err := g.keys.Open(bound(messageID), sealed)
	if err != nil || len(b) != sealedSize {
		return nil, false
	}
	if g.now().Sub(time.Unix(int64(binary.BigEndian.Uint64(b[1:])), 0)) > kept {
		return nil, false
	}
	var m mark
	if b[0] <= slots {
		for i := range int(b[0]) {
			m = append(m, [4]byte(b[9+4*i:]))
		}
	}
	return m, true
}
