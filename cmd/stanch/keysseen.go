package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/crypt/seen"
	"github.com/stanch-dlp/stanch/internal/crypt/ways"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/smtp/resolve"
)

// exitAgain tells a mail server that pipes mail to us to try again: EX_TEMPFAIL of
// sysexits.h.
const exitAgain = 75

// importSeen keeps what keys the mail in files shows; none, or "-", is standard
// input. What it prints names nobody: a mail server may log it.
func (a *app) importSeen(ctx context.Context, files []string) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if cfg.Encrypt.SeenDir == "" {
		return errors.New("encrypt.seen_dir is not set: it is where such keys are kept, see docs/encryption.md")
	}
	r, err := resolver(cfg)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	again := false
	for _, name := range files {
		in := io.NopCloser(a.in)
		if name != "-" {
			if in, err = os.Open(name); err != nil {
				return err
			}
		}
		n := 0
		err := seen.Messages(in, func(raw []byte) error {
			n++
			tell := func(format string, args ...any) {
				fmt.Fprintf(a.out, "message %d: %s\n", n, fmt.Sprintf(format, args...))
			}
			later, err := a.takeSeen(ctx, cfg, raw, r, tell)
			again = again || later
			return err
		})
		if cerr := in.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
	}
	if again {
		return exitCode(exitAgain)
	}
	return nil
}

// takeSeen keeps what one message shows. again: it is worth another try.
func (a *app) takeSeen(ctx context.Context, cfg *config.Config, raw []byte, r *resolve.Resolver, tell func(string, ...any)) (again bool, err error) {
	lookup := func(ctx context.Context, name string) ([]string, error) {
		txts, _, err := r.TXT(ctx, name)
		if errors.Is(err, resolve.ErrNoDomain) {
			return nil, nil
		}
		return txts, err
	}
	m, err := seen.Read(ctx, raw, lookup, time.Now())
	if err != nil {
		reason, _ := errors.AsType[seen.Reason](err)
		tell("not kept: %s", string(reason)) // the word alone
		return reason == seen.NoAnswer, nil
	}
	for _, no := range m.Refused {
		tell("%s: not kept: %s", no.Way, string(no.Reason))
	}
	if policy.Internal(cfg.SMTP.InternalDomains, m.From) { // nobody encrypts to them
		tell("not kept: internal")
		return false, nil
	}
	for _, k := range m.Keys {
		key, was, err := ways.AddSeen(cfg.Encrypt, m, k, time.Now)
		unkept, is := errors.AsType[ways.Unkept](err)
		switch {
		case is:
			tell("%s: not kept: %s", k.Way, unkept.Reason)
		case errors.Is(err, ways.ErrOlder), errors.Is(err, ways.ErrKeptPinned), errors.Is(err, ways.ErrWhose):
			tell("%s: not kept: %v", k.Way, err)
		case errors.Is(err, ways.ErrFull), errors.Is(err, safefile.ErrLocked), errors.Is(err, safefile.ErrNoRoom):
			tell("%s: not kept: %v", k.Way, err)
			again = true
		case err != nil:
			return again, err
		default:
			tell("%s: kept: %s, by %s, selector %s", k.Way, key.Fingerprint, k.Domain, k.Selector)
			if was != "" {
				tell("%s: in the place of %s: ask its owner whether they changed it", k.Way, was)
				safelog.New(a.errs, slog.LevelInfo).LogAttrs(ctx, slog.LevelWarn, "a key that was seen in mail has changed",
					slog.String("kind", string(k.Way)), slog.String("digest", key.Fingerprint))
			}
		}
	}
	return again, nil
}

// resolver is the one of the configuration.
func resolver(cfg *config.Config) (*resolve.Resolver, error) {
	if cfg.SMTP.Resolver == "" {
		return resolve.System()
	}
	return &resolve.Resolver{Servers: []string{cfg.SMTP.Resolver}, Proves: cfg.SMTP.ResolverProves()}, nil
}
