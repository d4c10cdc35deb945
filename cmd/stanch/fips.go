package main

import (
	"crypto/fips140"
	"slices"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/doctor"
)

// fipsModule is that of the running serve, or of this process where none runs.
func fipsModule(running *doctor.Running) doctor.FIPSModule {
	if running != nil {
		return doctor.FIPSModule{On: running.FIPS != "", Version: running.FIPS, Whose: "the running serve"}
	}
	return doctor.FIPSModule{On: fips140.Enabled(), Version: fips140.Version(), Whose: "this shell's stanch"}
}

// fipsVersion is the version of the FIPS 140-3 module that this process runs
// with, "" for none.
func fipsVersion() string {
	if !fips140.Enabled() {
		return ""
	}
	return fips140.Version()
}

// outsideFIPS lists what cfg has protected by what FIPS 140 does not approve.
func outsideFIPS(cfg *config.Config) []doctor.Outside {
	const age = "age (X25519, ChaCha20-Poly1305)"
	out := []doctor.Outside{
		{Object: "outbox", By: age},
		{Object: "backups", By: age, Remedy: "Encrypt each backup once more, by an approved program, before it leaves this machine."},
		{Object: "fields of the database", By: "XChaCha20-Poly1305"},
		{Object: "messages in hand", By: "AES-256-GCM with counted nonces, which the module leaves to its caller"},
	}
	if len(cfg.Vault.ReviewerCertificates) == 0 {
		out = append(out, doctor.Outside{Object: "vault", By: age, Remedy: "Name the reviewers in vault.reviewer_certificates, with vault.reviewers_only = true: docs/vault.md."})
	}
	uses := func(w dlp.Way) bool { return slices.Contains(cfg.Encrypt.Order, string(w)) }
	if cfg.Encrypt.SMIMEDir != "" && uses(dlp.SMIME) {
		out = append(out, doctor.Outside{Object: "S/MIME to RSA keys whose owners are not modern", By: "RSA PKCS #1 v1.5 key transport (NIST SP 800-131A)",
			Remedy: "Ask the owners for certificates of NIST curves, or write `modern FINGERPRINT` into trust.txt where their programs read RSA-OAEP."})
	}
	if cfg.Encrypt.OpenPGPDir != "" && uses(dlp.OpenPGP) {
		out = append(out, doctor.Outside{Object: "OpenPGP", By: "its own cryptography, whatever the key",
			Remedy: `Take "openpgp" out of encrypt.order: mail goes the next way, S/MIME for one.`})
	}
	if cfg.Encrypt.PDFDir != "" && uses(dlp.PDF) {
		out = append(out, doctor.Outside{Object: "encrypted PDF", By: "the key derivation of ISO 32000-2, revision 6",
			Remedy: `Take "pdf" out of encrypt.order.`})
	}
	if cfg.Portal.On() && uses(dlp.Portal) {
		out = append(out, doctor.Outside{Object: "portal", By: "AES-256-GCM with counted nonces, which the module leaves to its caller"})
	}
	if cfg.Console.Listen != "" {
		out = append(out, doctor.Outside{Object: "passwords of the console", By: "Argon2id"})
	}
	for _, w := range cfg.Watch {
		const remedy = "Name certificates in cms_recipients of this folder in its place."
		if len(w.AgeRecipients) > 0 {
			out = append(out, doctor.Outside{Object: w.Path, By: age, Remedy: remedy})
		}
		if len(w.PGPRecipients) > 0 {
			out = append(out, doctor.Outside{Object: w.Path, By: "OpenPGP", Remedy: remedy})
		}
	}
	return out
}
