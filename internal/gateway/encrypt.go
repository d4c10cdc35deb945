package gateway

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	netmail "net/mail"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
)

// maxAlone is how many recipients that the message does not name may get one of
// their own on one way; those beyond have it held.
const maxAlone = 50

// cipher is the message as those recipients get it to whom it is encrypted.
type cipher struct {
	way     dlp.Way
	rcpts   []dlp.Address
	content *buffer.Buffer // nil with dlp.VerifiedTLS: as the message came; by way of the portal: the notice

	parcel pickup.Parcel  // way of the portal: what waits there
	packed *buffer.Buffer // its content, sealed; nil on other ways
}

// close gives back what c takes.
func (c cipher) close() {
	if c.content != nil {
		_ = c.content.Close() // memory, and files that have no name
	}
	if c.packed != nil {
		_ = c.packed.Close()
	}
}

// way is the way of rules on which doc goes to rcpt.
func (r *Rules) way(ctx context.Context, doc *dlp.Document, rcpt dlp.Address) (dlp.Way, bool) {
	if doc.Channel == dlp.File {
		return "", r.Encrypts != nil && !severalNames(doc) && r.Encrypts(doc.Root, doc.Size)
	}
	if r.Ways == nil {
		return "", false
	}
	var except []dlp.Way
	if doc.Unproved {
		except = append(except, dlp.VerifiedTLS)
	}
	way := r.Ways.Way(ctx, doc.Sender, rcpt, except...)
	return way, way != ""
}

// waysWithin is how long the servers of all recipients of a message together are
// looked for: its client waits, and DNS may answer for none of a hundred domains.
const waysWithin = 30 * time.Second

// withWays is v with the way of rules for each recipient that is to have doc
// encrypted. Whose server is not known in time goes another way, or has it held.
func (r *Rules) withWays(ctx context.Context, doc *dlp.Document, v dlp.Verdict) dlp.Verdict {
	ctx, cancel := context.WithTimeout(ctx, waysWithin)
	defer cancel()
	return policy.WithWays(v, func(rcpt dlp.Address) (dlp.Way, bool) {
		if r == nil {
			return "", false
		}
		return r.way(ctx, doc, rcpt)
	})
}

// severalNames reports a file that would stay in the clear under another name.
func severalNames(doc *dlp.Document) bool { return doc.File != nil && doc.File.Links > 1 }

// waysOf are the ways of v, each once.
func waysOf(v dlp.Verdict) (out []string) {
	for _, r := range v.Rcpts {
		if r.Action == dlp.Encrypt && r.Way != "" && !slices.Contains(out, string(r.Way)) {
			out = append(out, string(r.Way))
		}
	}
	slices.Sort(out)
	return out
}

// encrypt makes the encrypted messages that the verdict asks for, before
// anything is decided upon or done. Where one cannot be made, the verdict for
// its recipients becomes Hold, reason no_way: nothing falls back to the clear.
// An error says that it may work later; then there are none.
func (m *mail) encrypt(ctx context.Context) (err error) {
	m.forgetCiphers()
	defer func() {
		if err != nil {
			m.forgetCiphers()
		}
	}()
	var ways []dlp.Way
	on := map[dlp.Way][]dlp.Address{}
	for _, r := range m.j.verdict.Rcpts {
		if r.Action != dlp.Encrypt || r.Way == "" {
			continue
		}
		if !slices.Contains(ways, r.Way) {
			ways = append(ways, r.Way)
		}
		on[r.Way] = append(on[r.Way], r.Rcpt)
	}
	if len(ways) == 0 {
		return nil
	}
	m.OnStep("encrypt")
	for _, way := range ways {
		if way == dlp.VerifiedTLS {
			m.ciphers = append(m.ciphers, m.provedTo(m.doc.Sender, on[way])...)
			continue
		}
		classes, rest, err := m.classes(way, on[way])
		if err != nil {
			return err
		}
		m.withhold(rest)
		for _, rcpts := range classes {
			c, err := m.encryptTo(ctx, way, rcpts)
			if later(ctx, err) {
				return err
			}
			if err != nil {
				m.warn(ctx, "message not encrypted; it is held", m.doc.ID, err)
				m.withhold(rcpts)
				continue
			}
			m.ciphers = append(m.ciphers, c)
		}
	}
	m.OnStep("encrypted")
	return nil
}

// later reports whether err may be gone at the next try.
func later(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, errNotKept) || errors.Is(err, store.ErrNoRoom) || errors.Is(err, errNotRead)
}

// errNotKept says that there is no room for an encrypted message now, or that the
// disk does not take it.
var errNotKept = errors.New("gateway: no room to encrypt a message")

// keeping writes to a buffer, whose errors are errNotKept.
type keeping struct{ *buffer.Buffer }

// Write writes p.
func (k keeping) Write(p []byte) (int, error) {
	n, err := k.Buffer.Write(p)
	if err != nil {
		err = fmt.Errorf("%w: %w", errNotKept, err)
	}
	return n, err
}

// withhold turns the verdict for rcpts into Hold, reason no_way.
func (m *mail) withhold(rcpts []dlp.Address) {
	m.j.verdict.Rcpts = slices.Clone(m.j.verdict.Rcpts)
	for i := range m.j.verdict.Rcpts {
		if r := &m.j.verdict.Rcpts[i]; slices.Contains(rcpts, r.Rcpt) {
			r.Action, r.Way, r.Reason = dlp.Hold, "", dlp.ReasonNoWay
		}
	}
}

// classes sorts rcpts into those who share a message: who the message names may
// know of each other, anybody else gets one alone, since what is encrypted says
// to how many and to whom. rest are those beyond maxAlone.
func (m *mail) classes(way dlp.Way, rcpts []dlp.Address) (classes [][]dlp.Address, rest []dlp.Address, err error) {
	r, err := m.doc.Open()
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	head, err := message.ReadHeader(r, maxHeader)
	if err != nil && !errors.Is(err, message.ErrTooLarge) {
		return nil, nil, err
	}
	named := map[string]bool{}
	for _, f := range head {
		if !f.Is("To") && !f.Is("Cc") {
			continue
		}
		list, err := mailAddresses(f.Value())
		if err != nil {
			continue // whom it means is not known: nobody
		}
		for _, a := range list {
			named[dlp.FoldAddress(a)] = true
		}
	}
	var together []dlp.Address
	for _, a := range rcpts {
		switch {
		case named[dlp.FoldAddress(a.Local+"@"+a.Domain)]:
			together = append(together, a)
		case len(classes) < maxAlone:
			classes = append(classes, []dlp.Address{a})
		default:
			rest = append(rest, a)
		}
	}
	if len(together) > 0 {
		classes = append(m.j.ways.Classes(way, together), classes...)
	}
	return classes, rest, nil
}

func mailAddresses(value string) (out []string, err error) {
	list, err := netmail.ParseAddressList(value)
	for _, a := range list {
		out = append(out, a.Address)
	}
	return out, err
}

// errTelltale says that what would stand outside of what is encrypted tells what
// is to be kept.
var errTelltale = errors.New("gateway: address or header outside says what is to be encrypted")

// encryptTo makes one encrypted message. It must end in forgetCiphers.
func (m *mail) encryptTo(ctx context.Context, way dlp.Way, rcpts []dlp.Address) (c cipher, err error) {
	if m.Buffers == nil {
		return cipher{}, errNotKept
	}
	if m.says(ctx, &dlp.Document{Sender: m.doc.Sender, Rcpts: rcpts}) {
		return cipher{}, errTelltale
	}
	c = cipher{way: way, rcpts: rcpts, content: m.Buffers.New()}
	defer func() {
		if err != nil {
			c.close() // what is in it is of no use
		}
	}()
	if way == dlp.Portal {
		if err := m.pack(&c); err != nil {
			return c, err
		}
		return c, m.keepsSilent(ctx, c)
	}
	if err := m.j.ways.Encrypt(keeping{c.content}, m.untagged, way, rcpts); err != nil {
		return c, fmt.Errorf("gateway: encrypt %s: %w", m.doc.ID, err)
	}
	if err := c.content.Done(); err != nil {
		return c, fmt.Errorf("gateway: encrypt %s: %w: %w", m.doc.ID, errNotKept, err)
	}
	return c, m.keepsSilent(ctx, c)
}

// keepsSilent reads what stands outside of an encrypted message as if it were a
// message, by the rules that judged it: one that speaks for its encryption must
// find nothing there, nor where it is percent-encoded, as in the links of lists.
// Reading that fails is errNotRead.
func (m *mail) keepsSilent(ctx context.Context, c cipher) error {
	var rules []dlp.RuleID
	for _, r := range m.j.verdict.Rcpts {
		if slices.Contains(c.rcpts, r.Rcpt) {
			rules = append(rules, r.Rules...)
		}
	}
	if len(rules) == 0 || m.j.rules == nil {
		return nil
	}
	head, err := outside(c.content)
	if err != nil {
		return err
	}
	doc := &dlp.Document{ID: m.doc.ID, Channel: dlp.Mail, Sender: m.doc.Sender, Rcpts: c.rcpts, Received: m.doc.Received, Size: int64(len(head)),
		Open: dlp.OpenBytes(head)}
	d := m.j.rules.Detect()
	if err := m.Extract.Extract(ctx, doc, d); err != nil {
		return fmt.Errorf("%w: outer header of %s", errNotRead, m.doc.ID)
	}
	found, _ := d.Finish()
	if slices.ContainsFunc(found, func(f dlp.Finding) bool { return slices.Contains(rules, f.Rule) }) {
		return errTelltale
	}
	return nil
}

// outside is the header of an encrypted message as a message of its own, whose text is
// what percent-encoding hides in it.
func outside(b *buffer.Buffer) ([]byte, error) {
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	head, err := message.ReadHeader(r, maxHeader)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, f := range head {
		if !strings.HasPrefix(strings.ToLower(f.Name()), "content-") {
			out = append(out, f.Raw...)
		}
	}
	out = append(out, "\r\n"...)
	if plain := percentDecoded(out); !bytes.Equal(plain, out) {
		out = append(out, plain...) // as text
	}
	return out, nil
}

// percentDecoded is b with each "%XX" as the byte that it stands for (RFC 3986
// 2.1).
func percentDecoded(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		var c [1]byte
		if b[i] == '%' && i+2 < len(b) {
			if _, err := hex.Decode(c[:], b[i+1:i+3]); err == nil {
				out = append(out, c[0])
				i += 2
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}

// forgetCiphers gives back what the encrypted messages take.
func (m *mail) forgetCiphers() {
	for _, c := range m.ciphers {
		c.close() // it is in the spool, or of no use
	}
	m.ciphers = nil
}

// groups are the recipients by what happens to them. Who is to have the message
// encrypted has it held where there is none.
func (m *mail) groups() acts {
	a := groupByAct(m.j.verdict)
	a.ciphers = m.ciphers
	for _, c := range m.ciphers {
		a.held = slices.DeleteFunc(a.held, func(r dlp.Address) bool { return slices.Contains(c.rcpts, r) })
	}
	return a
}

// cipherIdentity is what marks of c are bound to, and the trace in front of it: a
// notice of the portal is a message of its own, with neither of the mail's.
func (m *mail) cipherIdentity(c cipher) (messageID string, trace []byte, err error) {
	if c.packed == nil {
		_, err := m.identify()
		return m.messageID, m.doc.Trace, err
	}
	r, err := c.content.Open()
	if err != nil {
		return "", nil, err
	}
	defer r.Close()
	messageID, _, err = identity(r)
	return messageID, nil, err
}

// addCipher seals c into ch.
func (m *mail) addCipher(ctx context.Context, c cipher, ch *store.Change) error {
	e, err := m.sealCipher(ctx, c)
	if err != nil {
		return err
	}
	ch.Out = append(ch.Out, e)
	if c.packed == nil {
		return nil
	}
	m.OnStep("stage parcel")
	r, err := c.packed.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	it, err := m.Pickup.Stage(ctx, c.parcel, r)
	if err == nil {
		ch.Parcels = append(ch.Parcels, it)
	}
	return err
}

// sealCipher seals an encrypted message as one of the gateway's own: signed,
// with the trace fields and a loop mark in front.
func (m *mail) sealCipher(ctx context.Context, c cipher) (spool.Entry, error) {
	m.OnStep("seal encrypted")
	if c.way == dlp.VerifiedTLS {
		if _, err := m.identify(); err != nil {
			return spool.Entry{}, err
		}
		return m.sealProved(ctx, c)
	}
	open := func() (io.ReadCloser, error) { return c.content.Open() }
	messageID, trace, err := m.cipherIdentity(c)
	if err != nil {
		return spool.Entry{}, err
	}
	mark, err := m.mark(messageID, c.rcpts)
	if err != nil {
		return spool.Entry{}, err
	}
	head := slices.Concat(m.signOwned(ctx, open), trace, mark)
	body, err := open()
	if err != nil {
		return spool.Entry{}, err
	}
	defer body.Close()
	out := m.ours(spool.Encrypted, c.rcpts)
	out.Params.Body = "" // what is encrypted is in lines of seven-bit text
	if m.says(ctx, &dlp.Document{Params: dlp.MailParams{EnvID: out.Params.EnvID}}) {
		out.Params.EnvID = ""
	}
	for i := range out.Rcpts {
		p := &out.Rcpts[i].Params
		if m.says(ctx, &dlp.Document{Rcpts: c.rcpts[i : i+1], RcptParams: []dlp.RcptParams{{ORcpt: p.ORcpt}}}) {
			p.ORcpt = ""
		}
	}
	return m.Spool.Seal(ctx, out, io.MultiReader(bytes.NewReader(head), body))
}
