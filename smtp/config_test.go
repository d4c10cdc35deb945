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
		{"domains, and all below one", base + `internal_domains = ["clinic.example", "*.clinic.example"]`, ""},
		{"everybody internal", base + `internal_domains = ["*"]`, "smtp.internal_domains[0]"},
		{"all below a top-level domain", base + `internal_domains = ["*.com"]`, "smtp.internal_domains[0]"},
		{"a star inside a domain", base + `internal_domains = ["a.*.example"]`, "smtp.internal_domains[0]"},
		{"an address literal", base + `internal_domains = ["[192.0.2.1]"]`, "smtp.internal_domains[0]"},
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

// TestALabels: a domain outside ASCII is refused wherever one may stand, with
// the form that is to be written.
func TestALabels(t *testing.T) {
	const base = "listen = [\"127.0.0.1:2525\"]\nnext_hop = \"127.0.0.1:2526\"\n"
	const host, route = "hostname = \"gw.example\"\n", "[[routes]]\nname = \"partner\"\nnext_hops = [\"mx\"]\n"
	for _, tc := range []struct{ text, key, want string }{
		{`hostname = "gw.B\u00fccher.example"`, "smtp.hostname", `"gw.xn--bcher-kva.example"`},
		{host + `internal_domains = ["clinic.example", "b\u00fccher.example"]`, "smtp.internal_domains[1]", `"xn--bcher-kva.example"`},
		{host + route + `recipients = ["*.b\u00fccher.example"]`, "smtp.routes[0].recipients[0]", `"*.xn--bcher-kva.example"`},
		{host + route + `senders = ["b\u00fccher.example"]`, "smtp.routes[0].senders[0]", `"xn--bcher-kva.example"`},
	} {
		cfg := smtp.Default()
		if _, err := toml.Decode(base+tc.text, &cfg); err != nil {
			t.Fatal(err)
		}
		err := cfg.Validate()
		ke, _ := errors.AsType[*dlp.KeyError](err)
		if ke == nil || ke.Key != tc.key || !strings.HasPrefix(ke.Want, tc.want) || !strings.Contains(ke.Want, "A-label") {
			t.Errorf("%s: got %v, want %s and that it be written %s", tc.text, err, tc.key, tc.want)
		}
	}
}

// TestRoutes: each mistake is named by its key.
func TestRoutes(t *testing.T) {
	const base = "listen = [\"127.0.0.1:2525\"]\nhostname = \"gw.example\"\nnext_hop = \"127.0.0.1:2526\"\n"
	const route = "[[routes]]\nname = \"partner\"\n"
	const resolver = "resolver = \"127.0.0.1:53\"\n"
	for _, tc := range []struct{ name, text, key string }{
		{"hosts", base + route + `next_hops = ["a.example:25, b.example:25", "c.example:25"]`, ""},
		{"all kinds of senders and recipients", base + route + "recipients = [\"*\", \"a.example\", \"*.a.example\"]\nsenders = [\"<>\", \"a@b.example\", \"b.example\", \"*.b.example\"]\nnext_hops = [\"mx\"]", ""},
		{"LMTP", base + route + `next_hops = ["lmtp:/run/lmtp", "lmtp:a.example:24"]`, ""},
		{"a host called lmtp", base + route + `next_hops = ["lmtp:24"]`, ""},
		{"a host called mx", base + route + `next_hops = ["mx:25", "b:25"]`, ""},
		{"a folder", base + route + `next_hops = ["maildir:/var/mail"]`, ""},
		{"no name", base + "[[routes]]\nnext_hops = [\"a:25\"]", "smtp.routes[0].name"},
		{"a name that could be a number of somebody", base + "[[routes]]\nname = \"p1234567\"\nnext_hops = [\"a:25\"]", "smtp.routes[0].name"},
		{"the default's name", base + "[[routes]]\nname = \"default\"\nnext_hops = [\"a:25\"]", "smtp.routes[0].name"},
		{"the same name twice", base + route + "next_hops = [\"a:25\"]\n" + route + "next_hops = [\"a:25\"]", "smtp.routes[1].name"},
		{"no next hop", base + route, "smtp.routes[0].next_hops"},
		{"no port", base + route + `next_hops = ["a:25, b"]`, "smtp.routes[0].next_hops[0]"},
		{"MX beside a host", base + route + `next_hops = ["mx", "a:25"]`, "smtp.routes[0].next_hops[0]"},
		{"a folder beside a host", base + route + `next_hops = ["a:25", "maildir:/x"]`, "smtp.routes[0].next_hops[1]"},
		{"ourselves", base + route + `next_hops = ["a:25, 127.0.0.1:2525"]`, "smtp.routes[0].next_hops[0]"},
		{"the default is ourselves", strings.ReplaceAll(base, "2526", "2525"), "smtp.next_hop"},
		{"too many hosts", base + route + "next_hops = [" + strings.Repeat(`"a:25",`, 17) + "]", "smtp.routes[0].next_hops"},
		{"no domain", base + route + "recipients = [\"a b\"]\nnext_hops = [\"a:25\"]", "smtp.routes[0].recipients[0]"},
		{"a star inside", base + route + "recipients = [\"a.*.b\"]\nnext_hops = [\"a:25\"]", "smtp.routes[0].recipients[0]"},
		{"no sender", base + route + "senders = [\"a@\"]\nnext_hops = [\"a:25\"]", "smtp.routes[0].senders[0]"},
		{"unknown TLS", base + route + "next_hops = [\"a:25\"]\ntls = \"sure\"", "smtp.routes[0].tls"},
		{"DANE", resolver + base + route + "next_hops = [\"mx\"]\ntls = \"dane\"", ""},
		{"DANE without a resolver", base + route + "next_hops = [\"mx\"]\ntls = \"dane\"", "smtp.routes[0].tls"},
		{"DANE by a resolver elsewhere", strings.Replace(resolver, "127.0.0.1", "192.0.2.1", 1) + base + route + "next_hops = [\"mx\"]\ntls = \"dane\"", "smtp.routes[0].tls"},
		{"DANE by a trusted one elsewhere", "resolver_trusted = true\n" + strings.Replace(resolver, "127.0.0.1", "192.0.2.1", 1) + base + route + "next_hops = [\"mx\"]\ntls = \"dane\"", ""},
		{"DANE to an address", resolver + base + route + "next_hops = [\"192.0.2.1:25\"]\ntls = \"dane\"", "smtp.routes[0].tls"},
		{"trust in nobody", "resolver_trusted = true\n" + base, "smtp.resolver_trusted"},
		{"MTA-STS", base + route + "next_hops = [\"mx\"]\ntls = \"mta-sts\"", ""},
		{"MTA-STS to a host", base + route + "next_hops = [\"a:25\"]\ntls = \"mta-sts\"", "smtp.routes[0].tls"},
		{"MTA-STS of the default", base + "next_hop_tls = \"mta-sts\"", "smtp.next_hop_tls"},
		{"a pin nobody asks", base + route + "next_hops = [\"a:25\"]\ntls_pins = [\"sha256:00\"]", "smtp.routes[0].tls_pins"},
		{"a proof by a socket", base + route + "next_hops = [\"lmtp:/x\"]\ntls = \"verified\"", "smtp.routes[0].tls"},
		{"a password for everybody", base + route + "next_hops = [\"mx\"]\ntls = \"verified\"\nauth = \"x\"", "smtp.routes[0].auth"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := smtp.Default()
			if md, err := toml.Decode(tc.text, &cfg); err != nil || len(md.Undecoded()) > 0 {
				t.Fatalf("decode: %v %v", err, md.Undecoded())
			}
			for i := range cfg.Routes {
				if cfg.Routes[i].TLS == "" {
					cfg.Routes[i].TLS = smtp.DefaultRoute().TLS
				}
			}
			err := cfg.Validate()
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
