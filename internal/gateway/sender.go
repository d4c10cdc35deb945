package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/drill"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/internal/web"
)

// SenderConfig is the [sender] table.
type SenderConfig struct {
	// Listen is the host:port of the pages on which senders say what becomes of a held message of theirs, and take back one that waits at the pickup pages. Empty: notices have no link.
	Listen string `toml:"listen"`
	// URL is where senders reach these pages, such as `https://held.clinic.example`: the beginning of every link. Behind a proxy it is the proxy's. Plain http is taken for a loopback address alone.
	URL string `toml:"url"`
	// TLSCert is the certificate of the pages, PEM, its chain after it. Without it they speak plain HTTP, which is for a proxy in front.
	TLSCert string `toml:"tls_cert"`
	// TLSKey is its private key, PEM; only its owner may read the file.
	TLSKey string `toml:"tls_key"`
	// Proxies are the networks from which `X-Forwarded-For` is believed, for the limits by address.
	Proxies []string `toml:"proxies"`
	// Site is whose gateway it is, as the pages name it: `Harbor Vale Clinic`.
	Site string `toml:"site"`
	// Contact is where a sender can turn to, in a few words. It stands on every page.
	Contact string `toml:"contact"`
	// Expiry is how long a link about held mail is good.
	Expiry dlp.Duration `toml:"expiry"`
}

// DefaultSender has no pages, and links that are good for three days.
func DefaultSender() SenderConfig { return SenderConfig{Expiry: dlp.Duration(3 * 24 * time.Hour)} }

// On reports whether senders are offered anything.
func (c *SenderConfig) On() bool { return c.Listen != "" }

// Validate reports what no link can be made of, and what a page cannot show.
func (c *SenderConfig) Validate() error {
	bad := func(key, want string) error { return &dlp.KeyError{Key: "sender." + key, Want: want} }
	_, proxies := web.Networks(c.Proxies)
	_, _, listen := net.SplitHostPort(c.Listen)
	switch {
	case c.Expiry < dlp.Duration(time.Minute) || c.Expiry > dlp.Duration(30*24*time.Hour):
		return bad("expiry", `a duration from "1m" to "30d"`)
	case !web.IsLine(c.Site):
		return bad("site", "one line of at most 100 bytes")
	case !web.IsLine(c.Contact):
		return bad("contact", "one line of at most 100 bytes")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return bad("tls_key", "tls_cert and tls_key together")
	case proxies != nil:
		return bad("proxies", `networks such as "10.0.0.0/8"`)
	case c.Listen == "":
		return nil
	case listen != nil:
		return bad("listen", "host:port")
	case !web.IsURL(c.URL):
		return bad("url", "the https:// address by which senders reach the pages, without query")
	case c.Site == "" || c.Contact == "":
		return bad("contact", "site and contact too: the pages say whose they are and whom to ask")
	}
	return nil
}

// choice is what a link says: which message, until when, and what may be done.
// It needs no row of its own: it is good while the message is held, nobody has
// asked by it, and its time is not over.
type choice struct {
	id      dlp.ID
	until   time.Time
	encrypt bool
}

// linkKind is what the links of choices are for.
const linkKind = "sender's choice"

// token is c as it stands in a link.
func (g *Gateway) token(c choice) string {
	may := "-"
	if c.encrypt {
		may = "e"
	}
	return g.signLink(linkKind, c.id, c.until, may)
}

// ErrChosen says that a choice was made by the link before, or that somebody
// decided meanwhile.
var ErrChosen = errors.New("gateway: there is nothing left to choose")

// choiceOf reads a token. ErrNoChoice.
func (g *Gateway) choiceOf(token string) (choice, error) {
	id, until, may, err := g.openLink(linkKind, token)
	return choice{id: id, until: until, encrypt: may == "e"}, err
}

// choices is what the sender of m is offered in the notice of its hold, until then
// at the latest; the zero time is no bound.
func (m *mail) choices(ctx context.Context, until time.Time) *notify.Choices {
	if !m.cfg.Sender.On() {
		return nil
	}
	c := choice{id: m.doc.ID, until: m.Now().Add(m.cfg.Sender.Expiry.D()).Truncate(time.Second), encrypt: m.mayEncrypt(ctx)}
	if !until.IsZero() && until.Before(c.until) {
		c.until = until
	}
	return &notify.Choices{Link: m.cfg.Sender.link("held", m.token(c)), Until: c.until, Encrypt: c.encrypt}
}

// mayEncrypt reports whether policy lets the sender have m go encrypted instead,
// and a way leads to everybody it is held for. A server that proves itself is no
// such way: the mail is to be encrypted.
func (m *mail) mayEncrypt(ctx context.Context) bool {
	rules := m.j.rules
	if rules == nil {
		return false
	}
	doc := *m.doc
	doc.Unproved = true
	ctx, cancel := context.WithTimeout(ctx, waysWithin)
	defer cancel()
	for _, r := range m.j.verdict.Rcpts {
		if r.Action != dlp.Hold {
			continue
		}
		if !r.MayEncrypt {
			return false
		}
		if _, ok := rules.way(ctx, &doc, r.Rcpt); !ok {
			return false
		}
	}
	return true
}

// HeldMail is what the sender of a held message is shown of it by the link: what
// it was held for and to which domains it was to go, and nothing of its content.
type HeldMail struct {
	Received time.Time
	Rules    []dlp.RuleID
	Causes   []dlp.Cause
	Rcpts    int
	Domains  []string // of the recipients, sorted
	Until    time.Time
	Encrypt  bool // to have it go encrypted may be chosen
	Coaching []dlp.Coaching
	// What was chosen or decided, and when; ChosenNothing: a choice is open.
	Chosen Chosen
	At     time.Time
	// Drill says that there was no such message. It is not told before something is
	// chosen, or the drill is over.
	Drill bool
}

// Chosen is what became of a held message.
type Chosen string

// What may have become of it.
const (
	ChosenNothing   Chosen = ""
	ChosenAsk       Chosen = "asked"
	ChosenCancel    Chosen = "cancelled"
	ChosenEncrypted Chosen = "encrypted"
	ChosenReleased  Chosen = "released" // by a reviewer
	ChosenRejected  Chosen = "rejected" // by a reviewer
	ChosenExpired   Chosen = "expired"
)

// bySender is the actor of what a sender does by a link.
const bySender = "sender"

// SendersMail returns what a link is about. It changes nothing: programs that
// look at links in mail open them. ErrNoChoice.
func (g *Gateway) SendersMail(ctx context.Context, token string) (HeldMail, error) {
	c, err := g.choiceOf(token)
	if err != nil {
		return HeldMail{}, err
	}
	return g.sendersMail(ctx, c)
}

func (g *Gateway) sendersMail(ctx context.Context, c choice) (HeldMail, error) {
	if g.isDrill(c.id) {
		return g.drillMail(c)
	}
	e, err := g.Vault.Get(ctx, c.id)
	if errors.Is(err, vault.ErrNotFound) {
		return HeldMail{}, ErrNoChoice
	}
	if err != nil {
		return HeldMail{}, fmt.Errorf("gateway: choice about %s: %w", c.id, err)
	}
	m := HeldMail{Received: e.Received, Rules: e.Rules, Causes: e.Causes, Rcpts: len(e.Envelope.Rcpts), Until: c.until, At: e.Decided, Chosen: chosenOf(e),
		Coaching: g.rules.Load().coaching(e.Rules)}
	for _, r := range e.Envelope.Rcpts {
		m.Domains = append(m.Domains, strings.ToLower(r.Domain))
	}
	slices.Sort(m.Domains)
	m.Domains = slices.Compact(m.Domains)
	if m.Chosen != ChosenNothing {
		return m, nil
	}
	asked, yes, err := g.Vault.AskOf(ctx, c.id)
	if err != nil && !yes {
		return HeldMail{}, fmt.Errorf("gateway: choice about %s: %w", c.id, err)
	}
	if yes {
		m.Chosen, m.At = ChosenAsk, asked.At
		return m, nil
	}
	m.Encrypt = c.encrypt && g.rules.Load() != nil && g.unlocked(ctx, c.id, vault.Opened{}) == nil && !g.takesTwo(ctx, c.id)
	return m, nil
}

func chosenOf(e vault.Entry) Chosen {
	own := e.DecidedBy == bySender
	switch e.State {
	case vault.Held:
		return ChosenNothing
	case vault.Rejected:
		switch {
		case own:
			return ChosenCancel
		case e.DecidedBy == "": // by time
			return ChosenExpired
		}
		return ChosenRejected
	case vault.Released:
		if own {
			return ChosenEncrypted
		}
		return ChosenReleased
	}
	return ChosenExpired
}

// choose runs do on the message of a link while a choice is open, and nobody
// else decides about it. ErrNoChoice, ErrChosen, ErrBusy.
func (g *Gateway) choose(ctx context.Context, token string, do func(ctx context.Context, c choice) error) error {
	c, err := g.choiceOf(token)
	if err != nil {
		return err
	}
	done, err := g.alone(c.id)
	if err != nil {
		return err
	}
	defer done()
	m, err := g.sendersMail(ctx, c)
	if err != nil {
		return err
	}
	if m.Chosen != ChosenNothing {
		return ErrChosen
	}
	c.encrypt = m.Encrypt
	err = do(context.WithoutCancel(ctx), c) // who closes the page has chosen
	if errors.Is(err, ErrNotHeld) || errors.Is(err, store.ErrState) {
		return ErrChosen
	}
	return err
}

// SenderCancels ends the hold that a link is about: the message never leaves.
func (g *Gateway) SenderCancels(ctx context.Context, token string) error {
	return g.choose(ctx, token, func(ctx context.Context, c choice) error {
		if g.isDrill(c.id) {
			return g.chooseDrill(ctx, c.id, drill.ChoseCancel)
		}
		e, seq, err := g.open(ctx, c.id, audit.Reject, audit.ReasonCancelled, bySender, nil)
		if err != nil {
			return err
		}
		g.OnStep("choice")
		if err := g.move(ctx, store.Change{}, c.id, vault.Rejected, bySender, ""); err != nil {
			g.notMoved(ctx, store.Change{}, e, seq, err)
			return fmt.Errorf("gateway: cancel %s: %w", c.id, err)
		}
		g.done(ctx, e, seq, audit.ResultRejected)
		return nil
	})
}

// SenderEncrypts sends the message that a link is about encrypted to everybody
// it is held for, or to nobody. ErrNoWay; ErrChosen where it was not offered.
func (g *Gateway) SenderEncrypts(ctx context.Context, token string) error {
	return g.choose(ctx, token, func(ctx context.Context, c choice) error {
		if !c.encrypt {
			return ErrNoWay
		}
		if g.isDrill(c.id) {
			return g.chooseDrill(ctx, c.id, drill.ChoseEncrypt)
		}
		ctx, cancel := context.WithTimeout(ctx, encryptWithin)
		defer cancel()
		held, err := g.Vault.Get(ctx, c.id)
		if err != nil {
			return fmt.Errorf("gateway: encrypt %s: %w", c.id, err)
		}
		m, how, err := g.encryptHeld(ctx, held, vault.Opened{}, held.Envelope.Rcpts, true)
		defer m.forgetCiphers()
		if err != nil {
			return fmt.Errorf("gateway: encrypt %s: %w", c.id, err)
		}
		e, seq, err := g.open(ctx, c.id, audit.Release, how.reason(), bySender, nil)
		if err != nil {
			return err
		}
		m.seq = seq
		var ch store.Change
		err = m.release(ctx, e, vault.Opened{}, e.Envelope.Rcpts, &ch)
		g.OnStep("choice")
		if err == nil {
			err = g.move(ctx, ch, c.id, vault.Released, bySender, "")
		}
		if err != nil {
			g.notMoved(ctx, ch, e, seq, err)
			return fmt.Errorf("gateway: encrypt %s: %w", c.id, err)
		}
		g.done(ctx, e, seq, audit.ResultReleased)
		return nil
	})
}

// encryptWithin bounds what a sender waits for at the page.
const encryptWithin = 5 * time.Minute

// SenderAsks notes that the sender of the message that a link is about asks for
// its release, and why: reviewers see it with the item.
func (g *Gateway) SenderAsks(ctx context.Context, token, words string) error {
	return g.choose(ctx, token, func(ctx context.Context, c choice) error {
		if g.isDrill(c.id) { // what they write is not kept
			return g.chooseDrill(ctx, c.id, drill.ChoseAsk)
		}
		if err := g.Note(ctx, audit.Event{Kind: audit.Ask, Doc: c.id, Channel: dlp.Mail, Actor: bySender}); err != nil {
			return err
		}
		g.OnStep("choice")
		a, err := g.Vault.Ask(c.id, g.Now(), words)
		if err == nil {
			err = g.commit(ctx, store.Change{Ask: []vault.Ask{a}})
		}
		if err != nil {
			return fmt.Errorf("gateway: ask about %s: %w", c.id, err)
		}
		return nil
	})
}
