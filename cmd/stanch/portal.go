package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/internal/portal"
	"github.com/stanch-dlp/stanch/internal/sender"
	"github.com/stanch-dlp/stanch/internal/web"
	"github.com/stanch-dlp/stanch/smtp"
)

// portalConnections is how many connections to the pages of a door may be open at a
// time: anybody opens some, and the mail doors need file handles too.
const portalConnections = 512

// pageDoor is pages for anybody before they are served.
type pageDoor struct {
	handler http.Handler
	tls     *tls.Config // nil: a proxy in front speaks it
}

func (s *server) buildPortal() (err error) {
	c := s.cfg.Portal
	if !c.On() {
		return nil
	}
	if s.portal.tls, err = s.pagesTLS("portal.tls_cert", c.TLSCert, c.TLSKey); err != nil {
		return err
	}
	s.portal.handler, err = portal.New(c, s.gateway, s.buffers, s.log, time.Now)
	return err
}

// buildSender makes the pages of senders.
func (s *server) buildSender() (err error) {
	c := s.cfg.Sender
	if !c.On() {
		return nil
	}
	if s.sender.tls, err = s.pagesTLS("sender.tls_cert", c.TLSCert, c.TLSKey); err != nil {
		return err
	}
	s.sender.handler, err = sender.New(c, s.gateway, s.typesOf, s.log, time.Now)
	return err
}

// typesOf are the kinds of data that rules in force find, each once.
func (s *server) typesOf(ids []dlp.RuleID) (out []dlp.Type) {
	for _, r := range s.consoleRules() {
		if slices.Contains(ids, r.ID) && !slices.Contains(out, r.Type) {
			out = append(out, r.Type)
		}
	}
	return out
}

// pagesTLS serves with the certificate as it is at each connection; nil without
// one.
func (s *server) pagesTLS(key, certFile, keyFile string) (*tls.Config, error) {
	if certFile == "" {
		return nil, nil
	}
	pair, err := smtp.LoadKeyPair(certFile, keyFile, s.log)
	if err != nil {
		return nil, s.cfg.At(key, err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Certificate(), nil }}, nil
}

// serve answers on ln until ctx ends.
func (d pageDoor) serve(ctx context.Context, ln net.Listener) error {
	ln = metrics.Bound(ln, portalConnections)
	if d.tls != nil {
		ln = tls.NewListener(ln, d.tls)
	}
	return web.Serve(ctx, ln, d.handler, stopRest)
}

func (a *app) portalCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "portal", Short: "See which messages wait to be opened in a browser, take one back, and remove passkeys of readers"}
	cmd.AddCommand(a.portalListCmd(), a.heldActCmd("revoke", "Take a message back: its link opens nothing any more, and its content is gone", "revoked", control.Desk.RevokePickup),
		a.passkeysCmd(), a.heldActCmd("forget", "Remove a passkey: its reader opens messages with a code again", "forgotten", control.Desk.RemovePasskey))
	return cmd
}

func (a *app) portalListCmd() *cobra.Command {
	var all bool
	var format string
	cmd := &cobra.Command{Use: "list", Short: "List the messages that wait to be opened, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.noneYet(a.withDesk(cmd.Context(), func(d control.Desk, _ string) error {
				ps, err := d.ListPickups(cmd.Context(), all)
				if err != nil {
					return err
				}
				if format == "json" {
					return a.printJSON(ps)
				}
				if len(ps) == 0 {
					fmt.Fprintln(a.out, "Nothing waits to be opened.")
				}
				for _, p := range ps {
					opened := "not opened"
					if !p.Opened.IsZero() {
						opened = "opened " + moment(p.Opened)
					}
					if _, err := fmt.Fprintf(a.out, "%s  %s  until %s  %s, %d replies  %s -> %s\n", p.ID, p.State, moment(p.Expires), opened, p.Replies, p.Sender, p.Recipient); err != nil {
						return err
					}
				}
				return nil
			}))
		}}
	cmd.Flags().BoolVar(&all, "all", false, "those too that are over or were taken back")
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}
