package smtp

import (
	"context"
	"sync"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Extensions are what a next hop offers beyond what every server has to take.
type Extensions struct {
	UTF8     bool // SMTPUTF8, RFC 6531
	Chunking bool // CHUNKING, RFC 3030
	Binary   bool // BINARYMIME, RFC 3030; of use with Chunking only
	DSN      bool // RFC 3461
}

// And returns what both offer.
func (e Extensions) And(o Extensions) Extensions {
	return Extensions{UTF8: e.UTF8 && o.UTF8, Chunking: e.Chunking && o.Chunking, Binary: e.Binary && o.Binary, DSN: e.DSN && o.DSN}
}

// Offerer is a NextHop that knows what it can honour. The door offers no client
// more; a NextHop that is none is taken to offer nothing.
type Offerer interface {
	// Offers returns what the next hop offered last, at once; nothing while
	// that is not known.
	Offers() Extensions
}

// offersOf is what hop is known to offer.
func offersOf(hop NextHop) Extensions {
	if o, ok := hop.(Offerer); ok {
		return o.Offers()
	}
	return Extensions{}
}

// DSNPasser is a Transaction that knows whether its next hop will report on
// deliveries. Who does not say passes what was asked for.
type DSNPasser interface {
	PassesDSN() bool
}

// learned is what was last seen of a next hop's offers.
type learned struct {
	mu      sync.Mutex // guards all below
	ext     Extensions
	at      time.Time // zero: never
	closed  bool
	probing bool
	probes  sync.WaitGroup
	cancel  context.CancelFunc // of the probe under way
}

// learnAgain is how old what was seen may get before it is looked for anew.
const learnAgain = 5 * time.Minute

// note keeps what a connection found.
func (l *learned) note(ext Extensions) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ext, l.at = ext, time.Now()
}

// Offers returns what the next hop offered on the connection opened last. When
// that is long ago, or there was none, a connection is opened beside to find
// out, for who asks next.
func (c *Client) Offers() Extensions {
	l := &c.learned
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) > learnAgain && !l.probing && !l.closed {
		l.probing = true
		ctx, cancel := context.WithTimeout(context.Background(), c.cfg.ConnectTimeout)
		l.cancel = cancel
		l.probes.Go(func() {
			defer cancel()
			if h, err := c.connect(ctx); err == nil {
				c.pool.put(h)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.probing = false
		})
	}
	return l.ext
}

// close ends the probe under way and allows no other.
func (l *learned) close() {
	l.mu.Lock()
	l.closed = true
	if l.cancel != nil {
		l.cancel()
	}
	l.mu.Unlock()
	l.probes.Wait()
}

// learnExtension takes one word of an EHLO reply in.
func (e *Extensions) learnExtension(word string) {
	switch word {
	case "SMTPUTF8":
		e.UTF8 = true
	case "CHUNKING":
		e.Chunking = true
	case "BINARYMIME":
		e.Binary = true
	case "DSN":
		e.DSN = true
	}
}

// unable returns the refusal of a message whose MAIL asks for what e lacks. The
// zero Reply means that there is nothing.
func (e Extensions) unable(from dlp.Address, opt MailOptions) dlp.Reply {
	switch {
	case !e.UTF8 && (opt.UTF8 || !from.IsASCII()):
		return replyNoUTF8
	case opt.Body == string(gosmtp.BodyBinaryMIME) && !(e.Binary && e.Chunking):
		return replyNoBinary
	}
	return dlp.Reply{}
}
