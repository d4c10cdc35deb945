package smtp

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Offer is what a server said of itself.
type Offer struct {
	Remote     string   // where the connection went, address and port
	Greeting   int      // code of its greeting
	Name       string   // the name it gives itself there
	Extensions []string // keywords of its answer to EHLO, under TLS once that stands, in upper case
	Size       int64    // the largest message it takes, 0 when it does not say

	TLS      bool      // STARTTLS is offered, and worked
	TLSError error     // it is offered, and did not work
	Version  uint16    // of TLS
	Proof    error     // why its certificate does not prove who it is; nil when it does
	CertEnds time.Time // of its certificate
}

// Offers reports whether the server named the extension.
func (o Offer) Offers(keyword string) bool { return slices.Contains(o.Extensions, keyword) }

// Ask connects, reads what the next hop offers, goes over to TLS where that is
// offered and not switched off, says goodbye and returns. It sends no mail and
// no password. The certificate is judged as for TLSVerified whatever the mode;
// the verdict is in the Offer and ends nothing.
//
// Its error says at which step the server did not do its part.
func (c *Client) Ask(ctx context.Context) (Offer, error) {
	var o Offer
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	conn, err := c.cfg.Dial(ctx, "tcp", c.cfg.Addr)
	if err != nil {
		return o, fmt.Errorf("smtp: connect: %w", err)
	}
	o.Remote = conn.RemoteAddr().String()
	h := newHop(conn)
	defer h.close()
	r, err := h.answer(ctx, c.cfg.ConnectTimeout)
	if err == nil {
		o.Greeting = r.Code
		o.Name, _, _ = strings.Cut(r.Text, " ")
	}
	if err := positive(r, err); err != nil {
		return o, fmt.Errorf("smtp: greeting: %w", err)
	}
	if err := c.askHello(ctx, h, &o); err != nil {
		return o, err
	}
	if o.Offers("STARTTLS") && c.cfg.TLS != TLSOff {
		if o.TLSError = c.askTLS(ctx, h, &o); o.TLSError != nil {
			return o, nil // what it said in the clear stands
		}
		o.TLS = true
		if err := c.askHello(ctx, h, &o); err != nil {
			return o, err
		}
	}
	h.quit()
	return o, nil
}

func (c *Client) askHello(ctx context.Context, h *hop, o *Offer) error {
	verb := "EHLO "
	if c.cfg.LMTP {
		verb = "LHLO "
	}
	r, err := h.command(ctx, c.cfg.ConnectTimeout, verb+c.cfg.Hostname)
	if err := positive(r, err); err != nil {
		return fmt.Errorf("smtp: EHLO: %w", err)
	}
	o.Extensions, o.Size = nil, 0
	_, lines, _ := strings.Cut(r.Text, "\n") // the first line is a name
	for line := range strings.SplitSeq(lines, "\n") {
		word, arg, _ := strings.Cut(line, " ")
		if word = strings.ToUpper(word); word == "" {
			continue
		}
		o.Extensions = append(o.Extensions, word)
		if n, err := parseSize(strings.TrimSpace(arg)); word == "SIZE" && err == nil {
			o.Size = n
		}
	}
	return nil
}

func (c *Client) askTLS(ctx context.Context, h *hop, o *Offer) error {
	r, err := h.command(ctx, c.cfg.ConnectTimeout, "STARTTLS")
	if err := positive(r, err); err != nil {
		return err
	}
	if h.br.Buffered() > 0 {
		return errInjected
	}
	cfg := c.tlsConfig()
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		o.Version = cs.Version
		if len(cs.PeerCertificates) > 0 {
			o.CertEnds = cs.PeerCertificates[0].NotAfter
		}
		o.Proof = errNoProof
		if c.cfg.Proof != nil {
			o.Proof = c.cfg.Proof(cs)
		}
		return nil
	}
	conn := tls.Client(h.conn, cfg)
	h.arm(ctx, c.cfg.ConnectTimeout)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	h.use(conn)
	return nil
}
