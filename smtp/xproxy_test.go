package smtp_test

import (
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/smtp"
)

// behind opens a door that believes proxies at 127.0.0.1.
func behind(t *testing.T, as smtp.Door, change func(*smtp.Config)) *door {
	t.Helper()
	return open(t, func(cfg *smtp.Config, _ *smtp.Deps, d *door) {
		d.as = as
		cfg.XClientFrom, cfg.ProxyFrom, cfg.Networks = []string{"127.0.0.1"}, []string{"127.0.0.1"}, []string{"192.0.2.0/24", "2001:db8::/32"}
		if change != nil {
			change(cfg)
		}
	})
}

// oddValues are attributes as Postfix passes them on, and worse, that cannot be
// told.
var oddValues = []string{"a,b", "b+C3+BCcher.example", "b\u00fccher.example", "x+2By=z", "x=y", "my+20printer", "user@host", "+3Ca+3E", "a+", strings.Repeat("a", 300)}

// long: a table
func TestXCLIENT(t *testing.T) {
	d := behind(t, smtp.Door{}, nil)
	c := d.hello(t)
	if got := c.say("EHLO x\r\n", "250"); !strings.Contains(got, "XCLIENT NAME REVERSE_NAME ADDR") || !strings.Contains(got, "XFORWARD NAME ADDR") {
		t.Errorf("got %q", got)
	}
	c.say("MAIL FROM:<a@b.test>\r\n", "550 5.7.1") // the proxy itself relays nothing
	c.say("XCLIENT NAME=pc.clinic.example ADDR=192.0.2.7 PORT=1234 PROTO=ESMTP HELO=pc LOGIN=[UNAVAILABLE]\r\n", "220 gw.example ESMTP")
	c.say("MAIL FROM:<a@b.test>\r\n", "503 5.5.1") // it starts over
	c.say("EHLO pc.clinic.example\r\n", "250")
	c.envelope("bob@out.test")
	c.say("XCLIENT ADDR=192.0.2.8\r\n", "550 5.7.0") // it is the client who speaks now
	c.say("DATA\r\nx\r\n.\r\n", "354", "250")
	if got := string(d.handler.docs[0].Trace); !strings.Contains(got, "from pc.clinic.example ([192.0.2.7])") {
		t.Errorf("got %q", got)
	}
	want := smtp.Origin{Name: "pc.clinic.example", Addr: "192.0.2.7", Port: "1234", Proto: "ESMTP", Helo: "pc.clinic.example", Source: "REMOTE"}
	if got := d.hop.messages()[0].opt.Origin; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	c = d.hello(t)
	c.say("XCLIENT ADDR=IPV6:2001:db8::7\r\nEHLO x\r\nMAIL FROM:<a@b.test>\r\n", "220", "250", "250")
	for _, bad := range []string{"", "ADDR", "ADDR=x", "ADDR=192.0.2.7 ADDR=192.0.2.8", "ROLE=admin", "NAME=a+0Ab", "LOGIN=a=b", "LOGIN=+C3+BC", "ADDR=<a>", "ADDR=fe80::1%eth0", "LOGIN=" + strings.Repeat("a", 300)} {
		d.hello(t).say("XCLIENT "+bad+"\r\n", "501 5.5.4")
	}
	for _, odd := range oddValues {
		c := d.hello(t)
		c.say("XCLIENT ADDR=192.0.2.7 NAME="+odd+" HELO="+odd+" REVERSE_NAME="+odd+"\r\nEHLO x\r\nMAIL FROM:<a@b.test>\r\n", "220", "250", "250")
	}
	t.Run("a client outside the networks", func(t *testing.T) {
		d.hello(t).say("XCLIENT ADDR=198.51.100.1\r\n", "554 5.7.1", "closed")
	})
	t.Run("who logged in at the proxy", func(t *testing.T) {
		c := d.hello(t)
		c.say("XCLIENT ADDR=198.51.100.1 LOGIN=ann@clinic.example\r\nEHLO x\r\nMAIL FROM:<a@b.test>\r\n", "220", "250", "250")
	})
	t.Run("a login of the proxy's own is not its client's", func(t *testing.T) {
		d := withUsers(t, smtp.Door{}, func(cfg *smtp.Config) {
			cfg.XClientFrom, cfg.Networks = []string{"127.0.0.1"}, []string{"192.0.2.0/24"}
		})
		c := d.secured(t)
		c.say("AUTH PLAIN "+plain("", user, password)+"\r\n", "235")
		c.say("XCLIENT ADDR=198.51.100.1\r\nEHLO x\r\nMAIL FROM:<a@b.test>\r\n", "220", "250", "530 5.7.0")
		c = d.secured(t)
		c.say("XCLIENT LOGIN=ann@clinic.example\r\nXCLIENT ADDR=198.51.100.1\r\nEHLO x\r\nMAIL FROM:<a@b.test>\r\n", "220", "220", "250", "250")
	})
	t.Run("a client that the proxy cannot name has none of the proxy's rights", func(t *testing.T) {
		d := behind(t, smtp.Door{}, func(cfg *smtp.Config) { cfg.Networks = []string{"127.0.0.0/8"} })
		d.hello(t).say("XCLIENT ADDR=[UNAVAILABLE]\r\n", "554 5.7.1", "closed")
		c := d.hello(t)
		c.say("XCLIENT ADDR=[UNAVAILABLE] LOGIN=ann@clinic.example\r\nEHLO x\r\nXCLIENT ADDR=127.0.0.1\r\n", "220", "250", "550 5.7.0")
		c.envelope("bob@out.test")
		c.say("DATA\r\nx\r\n.\r\n", "354", "250")
		if got := string(d.handler.docs[0].Trace); !strings.Contains(got, "from unknown (unknown)") {
			t.Errorf("got %q", got)
		}
		if got := d.hop.messages()[0].opt.Origin.Addr; got != "" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("not trusted", func(t *testing.T) {
		d := open(t, nil)
		c := d.hello(t)
		if got := c.say("EHLO x\r\n", "250"); strings.Contains(got, "XCLIENT") || strings.Contains(got, "XFORWARD") {
			t.Errorf("offered to everybody: %q", got)
		}
		c.say("XCLIENT ADDR=192.0.2.7\r\nXFORWARD ADDR=192.0.2.7\r\n", "550 5.7.0", "550 5.7.0")
	})
	t.Run("each client has its own limit", func(t *testing.T) {
		d := behind(t, smtp.Door{}, func(cfg *smtp.Config) { cfg.MaxPerClient = 2 })
		var a []*client
		for range 2 {
			c := d.hello(t)
			c.say("XCLIENT ADDR=192.0.2.7\r\n", "220")
			a = append(a, c)
		}
		for range 3 {
			d.hello(t)
		}
		d.hello(t).say("XCLIENT ADDR=192.0.2.7\r\n", "421 4.7.0", "closed")
		d.hello(t).say("XCLIENT ADDR=192.0.2.8\r\n", "220")
		a[0].say("QUIT\r\n", "221")
		d.hello(t).say("XCLIENT ADDR=192.0.2.7\r\n", "220")
	})
}

func TestXFORWARD(t *testing.T) {
	h := &wireHop{ext: []string{"8BITMIME", "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"}}
	d := open(t, func(cfg *smtp.Config, deps *smtp.Deps, _ *door) {
		cfg.XClientFrom = []string{"127.0.0.0/8"}
		deps.NextHop = h.client(t, nil)
	})
	c := d.hello(t)
	c.say("XFORWARD NAME=pc.clinic.example ADDR=IPV6:2001:db8::7 PORT=4321\r\nXFORWARD IDENT=4A+3DB HELO=[UNAVAILABLE]\r\n", "250", "250")
	send := func() {
		c.say("MAIL FROM:<ann@clinic.example>\r\n", "250 2.1.0")
		c.say("XFORWARD ADDR=192.0.2.7\r\n", "503 5.5.1")
		c.say("RCPT TO:<bob@out.test>\r\nDATA\r\n", "250", "354")
		c.say("x\r\n.\r\n", "250")
	}
	send()
	c.say("XFORWARD ADDR=192.0.2.9 HELO=JohnSmithMRN12345678 NAME=JohnSmithMRN12345678 IDENT=JohnSmithMRN12345678\r\n", "250")
	send()
	send()
	for _, odd := range oddValues {
		c.say("XFORWARD NAME="+odd+" HELO="+odd+" PROTO="+odd+" IDENT="+odd+"\r\nXFORWARD SOURCE="+odd+" ADDR=192.0.2.7 PORT="+odd+"\r\n", "250", "250")
		send()
	}
	c.say("XFORWARD HELO=a+0Ab\r\nXFORWARD HELO=a+7Fb\r\nXFORWARD HELO\r\nXFORWARD ROLE=a\r\n", "501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4")
	got := "|" + h.said()
	third := "|XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.7 PORT=[UNAVAILABLE] PROTO=[UNAVAILABLE] HELO=[UNAVAILABLE] IDENT=[UNAVAILABLE] SOURCE=[UNAVAILABLE]|MAIL "
	if n := strings.Count(got, third); n < len(oddValues)-2 {
		t.Errorf("%d of %d that cannot be told went on as not known: %q", n, len(oddValues), got)
	}
	if strings.Contains(got, "Smith") {
		t.Errorf("got %q, want nothing of a name that could tell of a person", got)
	}
	first := "|XFORWARD NAME=pc.clinic.example ADDR=IPV6:2001:db8::7 PORT=4321 PROTO=[UNAVAILABLE] HELO=[UNAVAILABLE] IDENT=[UNAVAILABLE] SOURCE=[UNAVAILABLE]|MAIL "
	second := "|XFORWARD NAME=[UNAVAILABLE] ADDR=127.0.0.1 PORT=[UNAVAILABLE] PROTO=ESMTP HELO=client.example IDENT=[UNAVAILABLE] SOURCE=REMOTE|MAIL "
	if !strings.Contains(got, first) || !strings.Contains(got, second) {
		t.Errorf("got %q, want %q and %q", got, first, second)
	}
}

func TestPROXY(t *testing.T) {
	d := behind(t, smtp.Door{Proxy: true}, nil)
	c := d.raw(t)
	c.say("PROXY TCP4 192.0.2.7 192.0.2.1 1234 25\r\n", "220")
	if got := c.say("EHLO pc.clinic.example\r\n", "250"); strings.Contains(got, "XCLIENT") {
		t.Errorf("the proxy's trust is its client's: %q", got)
	}
	c.say("XCLIENT ADDR=192.0.2.8\r\n", "550 5.7.0")
	c.envelope("bob@out.test")
	c.say("DATA\r\nx\r\n.\r\n", "354", "250")
	if got := string(d.handler.docs[0].Trace); !strings.Contains(got, "from pc.clinic.example ([192.0.2.7])") {
		t.Errorf("got %q", got)
	}
	if got := d.hop.messages()[0].opt.Origin; got.Addr != "192.0.2.7" || got.Port != "1234" {
		t.Errorf("got %+v", got)
	}
	d.raw(t).say("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x01\x04\xd2\x00\x19", "220")
	d.raw(t).say("PROXY TCP4 198.51.100.1 192.0.2.1 1234 25\r\n", "554 5.7.1", "closed")
	d.raw(t).say("EHLO pc.clinic.example\r\n", "closed")
	d.raw(t).say("PROXY TCP4 192.0.2.7 192.0.2.1 1234 25\r\nEHLO early.example\r\n", "554 5.5.0", "closed")

	own := behind(t, smtp.Door{Proxy: true}, func(cfg *smtp.Config) {
		cfg.ProxyFrom, cfg.Networks = []string{"127.0.0.0/8"}, []string{"192.0.2.0/24"}
	})
	for _, check := range []string{"PROXY TCP4 127.0.0.1 127.0.0.1 1234 25\r\n", "PROXY UNKNOWN\r\n", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"} {
		c := own.raw(t) // HAProxy's health checks, of version 1 as it is, and by the book
		c.say(check, "220")
		c.say("EHLO haproxy.example\r\n", "250")
		c.say("MAIL FROM:<a@b.test>\r\n", "5")
		c.say("QUIT\r\n", "221")
	}

	// A client that the proxy cannot name has none of the proxy's own rights.
	relays := behind(t, smtp.Door{Proxy: true}, func(cfg *smtp.Config) { cfg.Networks = []string{"127.0.0.0/8"} })
	for header, want := range map[string]string{
		"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00":                                                 "250", // the proxy itself
		"PROXY TCP4 127.0.0.1 127.0.0.1 1234 25\r\n":                                             "250",
		"PROXY UNKNOWN\r\n":                                                                      "550 5.7.1",
		"PROXY UNKNOWN 127.0.0.1 127.0.0.1 1234 25\r\n":                                          "550 5.7.1",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x00\x00\x00":                                                 "550 5.7.1",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00\xd8" + strings.Repeat("\x00", 216):                   "550 5.7.1", // over a UNIX socket
		"\r\n\r\n\x00\r\nQUIT\n\x21\x12\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x01\x04\xd2\x00\x19": "550 5.7.1", // datagrams
	} {
		c := relays.raw(t)
		c.say(header, "220")
		c.say("EHLO pc.clinic.example\r\n", "250")
		c.say("MAIL FROM:<a@b.test>\r\n", want)
	}

	far := behind(t, smtp.Door{Proxy: true}, func(cfg *smtp.Config) { cfg.ProxyFrom, cfg.Networks = []string{"192.0.2.9"}, []string{"127.0.0.0/8"} })
	far.raw(t).say("PROXY TCP4 192.0.2.7 192.0.2.1 1234 25\r\n", "554 5.7.1", "closed")
}

// TestSTARTTLSForgetsWhatAProxySaid: what came in the clear, a login and where a
// message is from too, is not believed under TLS. RFC 3207 4.2.
func TestSTARTTLSForgetsWhatAProxySaid(t *testing.T) {
	d := withUsers(t, smtp.Door{}, func(cfg *smtp.Config) {
		cfg.XClientFrom, cfg.Networks = []string{"127.0.0.1"}, []string{"192.0.2.0/24"}
	})
	c := d.hello(t)
	c.say("XCLIENT ADDR=198.51.100.1 LOGIN=ann@clinic.example\r\nEHLO x\r\n", "220", "250")
	c = d.overTLS(t, c)
	c.say("MAIL FROM:<a@b.test>\r\n", "530 5.7.0")

	// A login that a proxy vouched for outlives the next XCLIENT; not TLS.
	c = d.hello(t)
	c.say("XCLIENT LOGIN=ann@clinic.example\r\n", "220")
	c = d.overTLS(t, c)
	c.say("AUTH PLAIN "+plain("", user, password)+"\r\n", "235")
	c.say("XCLIENT ADDR=198.51.100.1\r\nEHLO x\r\nMAIL FROM:<a@b.test>\r\n", "220", "250", "530 5.7.0")

	d = open(t, func(cfg *smtp.Config, deps *smtp.Deps, _ *door) {
		deps.TLS = certificate(t)
		cfg.XClientFrom = []string{"127.0.0.1"}
	})
	c = d.hello(t)
	c.say("XFORWARD ADDR=192.0.2.9 NAME=pc.clinic.example\r\n", "250")
	c = d.overTLS(t, c)
	c.envelope("bob@out.test")
	c.say("DATA\r\nx\r\n.\r\n", "354", "250")
	if got := d.hop.messages()[0].opt.Origin.Addr; got != "127.0.0.1" {
		t.Errorf("the next hop is told of %s, want the client itself", got)
	}
}

// strangeNames are what clients call themselves that is no host name.
var strangeNames = []string{"a,b", "b\u00fccher.example", "b\xfccher", "my printer", "user@host", "(x)", "x (y) by z;", "x+y=z", strings.Repeat("a", 300)}

// TestAnyNameIsTaken: devices call themselves what they like; it does not go on.
func TestAnyNameIsTaken(t *testing.T) {
	d := open(t, nil)
	for i, name := range strangeNames {
		for _, verb := range []string{"EHLO", "HELO"} {
			c := d.raw(t)
			c.want("220")
			c.say(verb+" "+name+"\r\n", "250")
			c.envelope("c@d.test")
			c.say("DATA\r\nx\r\n.\r\n", "354", "250")
		}
		if m := d.hop.messages()[2*i]; !strings.HasPrefix(m.header, "Received: from [127.0.0.1] ([127.0.0.1])\r\n") || m.opt.Origin.Helo != "" {
			t.Errorf("%q: it went on: %q, %+v", name, m.header, m.opt.Origin)
		}
	}
}
