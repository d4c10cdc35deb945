package smtp_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

func TestConfig(t *testing.T) {
	const base = "listen = [\"127.0.0.1:2525\"]\nhostname = \"gw.example\"\nnext_hop = \"127.0.0.1:2526\"\n"
	for _, tc := range []struct {
		name, text string
		key        string // "" when it is valid
	}{
		{"as it is", base, ""},
		{"nothing", "", ""},
		{"maildir", strings.ReplaceAll(base, "127.0.0.1:2526", "maildir:var/mail"), ""},
		{"single address", base + `networks = ["192.0.2.1", "2001:db8::/32"]`, ""},
		{"units", base + "max_message_size = \"10MiB\"\nscan_timeout = \"30s\"", ""},
		{"verified", base + `next_hop_tls = "verified"`, ""},
		{"verified by an authority", base + "next_hop_tls = \"verified\"\nnext_hop_ca = \"ca.pem\"\nnext_hop_name = \"mx.test\"", ""},
		{"an authority nobody asks", base + `next_hop_ca = "ca.pem"`, "smtp.next_hop_ca"},
		{"a name nobody asks for", base + "next_hop_tls = \"required\"\nnext_hop_name = \"mx.test\"", "smtp.next_hop_name"},
		{"a pin that is none", base + "next_hop_tls = \"verified\"\nnext_hop_pins = [\"sha256:00\"]", "smtp.next_hop_pins[0]"},
		{"pins and a name", base + "next_hop_tls = \"verified\"\nnext_hop_name = \"mx.test\"\nnext_hop_pins = [\"sha256:" + strings.Repeat("00", 32) + "\"]", "smtp.next_hop_pins"},
		{"a certificate to show without its key", base + `next_hop_cert = "c.pem"`, "smtp.next_hop_cert"},
		{"a password in the clear", base + `next_hop_auth = "auth"`, "smtp.next_hop_auth"},
		{"unknown TLS", base + `next_hop_tls = "yes"`, "smtp.next_hop_tls"},
		{"no port", strings.ReplaceAll(base, "127.0.0.1:2525", "127.0.0.1"), "smtp.listen[0]"},
		{"no hostname", "listen = [\"127.0.0.1:2525\"]\nnext_hop = \"127.0.0.1:2526\"", "smtp.hostname"},
		{"no next hop", "listen = [\"127.0.0.1:2525\"]\nhostname = \"gw.example\"", "smtp.next_hop"},
		{"empty maildir", strings.ReplaceAll(base, "127.0.0.1:2526", "maildir:"), "smtp.next_hop"},
		{"bad network", base + `networks = ["127.0.0.0/8", "x"]`, "smtp.networks[1]"},
		{"bad domain", base + `internal_domains = ["clinic.example", "a b"]`, "smtp.internal_domains[1]"},
		{"contact with a line end", base + `contact = "a\nb"`, "smtp.contact"},
		{"certificate without key", base + `tls_cert = "x"`, "smtp.tls_cert"},
		{"no recipients", base + `max_rcpts = 0`, "smtp.max_rcpts"},
		{"no time", base + `command_timeout = "0s"`, "smtp.command_timeout"},
		{"reading longer than answering", base + `scan_timeout = "10m"`, "smtp.scan_timeout"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := smtp.Default()
			md, err := toml.Decode(tc.text, &cfg)
			if err != nil || len(md.Undecoded()) > 0 {
				t.Fatalf("decode: %v %v", err, md.Undecoded())
			}
			err = cfg.Validate()
			ke, _ := errors.AsType[*dlp.KeyError](err)
			got := ""
			if ke != nil {
				got = ke.Key
			}
			if (err == nil) != (tc.key == "") || got != tc.key {
				t.Errorf("got %v, want key %q", err, tc.key)
			}
		})
	}
}

func TestLoadTLS(t *testing.T) {
	cfg := smtp.Default()
	cfg.TLSCert, cfg.TLSKey = "/nowhere", "/nowhere"
	if _, err := cfg.LoadTLS(nil); err == nil {
		t.Error("a certificate that is not there was loaded")
	}
}
