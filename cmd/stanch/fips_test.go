package main

import (
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/watch"
)

// TestOutsideFIPS: doctor names each use of cryptography that the configuration
// turns on and FIPS 140 does not approve, and none that it does not turn on.
func TestOutsideFIPS(t *testing.T) {
	always := []string{"outbox", "backups", "fields of the database", "messages in hand"}
	for _, tt := range []struct {
		name string
		set  func(*config.Config)
		more []string
	}{
		{"nothing else", func(*config.Config) {}, []string{"vault"}},
		{"reviewers by certificates", func(c *config.Config) { c.Vault.ReviewerCertificates = []string{"a.pem"} }, nil},
		{"S/MIME", func(c *config.Config) { c.Encrypt.SMIMEDir = "/certs" }, []string{"vault", "S/MIME to RSA keys whose owners are not modern"}},
		{"OpenPGP", func(c *config.Config) { c.Encrypt.OpenPGPDir = "/keys" }, []string{"vault", "OpenPGP"}},
		{"OpenPGP out of the order", func(c *config.Config) { c.Encrypt.OpenPGPDir, c.Encrypt.Order = "/keys", []string{"smime"} }, []string{"vault"}},
		{"PDF", func(c *config.Config) { c.Encrypt.PDFDir = "/pass" }, []string{"vault", "encrypted PDF"}},
		{"portal", func(c *config.Config) {
			c.Portal.URL, c.Portal.Listen = "https://mail.clinic.example", "127.0.0.1:8026"
		}, []string{"vault", "portal"}},
		{"console", func(c *config.Config) { c.Console.Listen = "127.0.0.1:8025" }, []string{"vault", "passwords of the console"}},
		{"a folder by age", func(c *config.Config) { c.Watch = []watch.Config{{Path: "/a", AgeRecipients: []string{"age1"}}} }, []string{"vault", "/a"}},
		{"a folder by OpenPGP", func(c *config.Config) { c.Watch = []watch.Config{{Path: "/b", PGPRecipients: []string{"k.asc"}}} }, []string{"vault", "/b"}},
		{"a folder by CMS", func(c *config.Config) { c.Watch = []watch.Config{{Path: "/c", CMSRecipients: []string{"c.pem"}}} }, []string{"vault"}},
	} {
		cfg := config.Default()
		cfg.Console.Listen = ""
		tt.set(&cfg)
		var got []string
		for _, o := range outsideFIPS(&cfg) {
			if o.By == "" {
				t.Errorf("%s: %q is outside by nothing", tt.name, o.Object)
			}
			got = append(got, o.Object)
		}
		if want := slices.Concat(always, tt.more); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, want)
		}
	}
}
