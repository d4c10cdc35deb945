package main

import (
	"context"
	"errors"
	"time"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/crypt/ways"
	"github.com/stanch-dlp/stanch/internal/doctor"
)

// endsSoon is how long before their end certificates and keys are warned of.
const endsSoon = 30 * 24 * time.Hour

// mailKeys is the check of the certificates and keys that mail is encrypted to.
func mailKeys(cfg *config.Config, now func() time.Time) doctor.Check {
	return doctor.MailKeys(func() (seen doctor.MailKeysSeen, err error) {
		w, err := openWays(cfg)
		if err != nil {
			return seen, err
		}
		for _, k := range w.Keys() {
			seen.All++
			if k.Unfit == "" {
				seen.Usable++
			}
			if k.Sighting != nil && k.Sighting.Changed.After(now().Add(-endsSoon)) {
				seen.Changed++
			}
			switch {
			case k.Trust == ways.Seen && k.Unfit == ways.Expired: // it was not seen for long: nobody was told that it is there
			case k.Unfit == ways.SecretKey:
				seen.Secret++
			case k.Unfit == ways.Unreadable:
				seen.Unreadable++
			case k.Unfit == ways.Expired:
				seen.Ended++
			case k.Unfit == ways.Exposed || k.Unfit == ways.Weak:
				seen.Poor++
			case k.Trust != ways.Seen && k.Unfit == "" && !k.Expires.IsZero() && k.Expires.Before(now().Add(endsSoon)):
				seen.Ending++
			}
		}
		return seen, nil
	})
}

// poorMailKeys is what mailKeys warns of, with the line of the configuration.
func poorMailKeys(ctx context.Context, cfg *config.Config) (out []error) {
	if e := &cfg.Encrypt; e.OpenPGPDir == "" && e.SMIMEDir == "" && e.SeenDir == "" && e.PDFDir == "" {
		return nil
	}
	for _, f := range doctor.Run(ctx, []doctor.Check{mailKeys(cfg, time.Now)}) {
		if f.Level != doctor.OK {
			out = append(out, cfg.At("encrypt", errors.New(f.Found+"; see `stanch keys list`")))
		}
	}
	return out
}
