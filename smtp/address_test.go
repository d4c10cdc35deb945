package smtp_test

import (
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

func TestParseAddress(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, tc := range []struct {
		name, in string
		want     dlp.Address
		reply    string // "" when it is accepted
	}{
		{"plain", "ann@clinic.example", dlp.Address{Local: "ann", Domain: "clinic.example"}, ""},
		{"domain is lowered, local part kept", "Ann.B@Clinic.EXAMPLE", dlp.Address{Local: "Ann.B", Domain: "clinic.example"}, ""},
		{"all of atext", "!#$%&'*+-/=?^_`{|}~@x.test", dlp.Address{Local: "!#$%&'*+-/=?^_`{|}~", Domain: "x.test"}, ""},
		{"quoted space", `"a b"@x.test`, dlp.Address{Local: "a b", Domain: "x.test"}, ""},
		{"quoted pair", `"a\"b\\c"@x.test`, dlp.Address{Local: `a"b\c`, Domain: "x.test"}, ""},
		{"needless quotes", `"ann"@x.test`, dlp.Address{Local: "ann", Domain: "x.test"}, ""},
		{"IPv4 literal", "a@[192.0.2.1]", dlp.Address{Local: "a", Domain: "[192.0.2.1]"}, ""},
		{"IPv6 literal", "a@[ipv6:2001:DB8::1]", dlp.Address{Local: "a", Domain: "[IPv6:2001:db8::1]"}, ""},
		{"source route dropped", "@a.test,@b.test:ann@x.test", dlp.Address{Local: "ann", Domain: "x.test"}, ""},
		{"local part of 64", long + "@x.test", dlp.Address{Local: long, Domain: "x.test"}, ""},
		{"underscore in a host", "a@my_host.test", dlp.Address{Local: "a", Domain: "my_host.test"}, ""},

		{"breaking out of the brackets", `"evil@evil.test> ORCPT=rfc822;x"@allowed.test`, dlp.Address{}, "501 5.1.3"},
		{"opening bracket in quotes", `"a<b"@x.test`, dlp.Address{}, "501 5.1.3"},
		{"empty", "", dlp.Address{}, "501 5.1.3"},
		{"no domain", "ann", dlp.Address{}, "501 5.1.3"},
		{"empty domain", "ann@", dlp.Address{}, "501 5.1.3"},
		{"empty local part", "@x.test", dlp.Address{}, "501 5.1.3"},
		{"empty quotes", `""@x.test`, dlp.Address{}, "501 5.1.3"},
		{"open quotes", `"ann@x.test`, dlp.Address{}, "501 5.1.3"},
		{"text after quotes", `"a"b@x.test`, dlp.Address{}, "501 5.1.3"},
		{"quotes after text", `a"b"@x.test`, dlp.Address{}, "501 5.1.3"},
		{"backslash at the end", `"a\`, dlp.Address{}, "501 5.1.3"},
		{"two dots", "a..b@x.test", dlp.Address{}, "501 5.1.3"},
		{"dot first", ".a@x.test", dlp.Address{}, "501 5.1.3"},
		{"dot last", "a.@x.test", dlp.Address{}, "501 5.1.3"},
		{"space", "a b@x.test", dlp.Address{}, "501 5.1.3"},
		{"two ats", "a@b@x.test", dlp.Address{}, "501 5.1.3"},
		{"comment", "a(c)@x.test", dlp.Address{}, "501 5.1.3"},
		{"control in quotes", "\"a\x01b\"@x.test", dlp.Address{}, "501 5.1.3"},
		{"CRLF in quotes", "\"a\r\nRCPT TO:b\"@x.test", dlp.Address{}, "501 5.1.3"},
		{"NUL", "a\x00b@x.test", dlp.Address{}, "501 5.1.3"},
		{"DEL", "a\x7fb@x.test", dlp.Address{}, "501 5.1.3"},
		{"local part of 65", long + "a@x.test", dlp.Address{}, "501 5.1.3"},
		{"local part too long once quoted", `"` + strings.Repeat(" ", 63) + `"@x.test`, dlp.Address{}, "501 5.1.3"},
		{"domain of 256", "a@" + strings.Repeat("abcdefg.", 31) + "abcdefgh", dlp.Address{}, "501 5.1.3"},
		{"label of 64", "a@" + long + ".test", dlp.Address{}, "501 5.1.3"},
		{"hyphen first", "a@-x.test", dlp.Address{}, "501 5.1.3"},
		{"hyphen last", "a@x-.test", dlp.Address{}, "501 5.1.3"},
		{"dot at the end", "a@x.test.", dlp.Address{}, "501 5.1.3"},
		{"literal with a zone", "a@[IPv6:fe80::1%eth0]", dlp.Address{}, "501 5.1.3"},
		{"IPv6 without its tag", "a@[2001:db8::1]", dlp.Address{}, "501 5.1.3"},
		{"general literal", "a@[x:y]", dlp.Address{}, "501 5.1.3"},
		{"open literal", "a@[192.0.2.1", dlp.Address{}, "501 5.1.3"},
		{"route without a host", "@:a@x.test", dlp.Address{}, "501 5.1.3"},
		{"route without an end", "@a.test", dlp.Address{}, "501 5.1.3"},
		{"route twice", "@a.test:@b.test:a@x.test", dlp.Address{}, "501 5.1.3"},
		{"local part outside ASCII", "gr\u00fcn@x.test", dlp.Address{}, "553 5.6.7"},
		{"domain outside ASCII", "a@b\u00fccher.test", dlp.Address{}, "553 5.6.7"},
		{"Latin-1", "gr\xfcn@x.test", dlp.Address{}, "553 5.6.7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := smtp.ParseAddress(tc.in)
			if gotReply := codes(err); gotReply != tc.reply {
				t.Fatalf("got %q, want %q", gotReply, tc.reply)
			}
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// codes is the code and enhanced code that err is told by, "" for none.
func codes(err error) string {
	if err == nil {
		return ""
	}
	r := smtp.Reply(err)
	return strings.TrimSpace(smtp.WireReply(dlp.Reply{Code: r.Code, Enhanced: r.Enhanced}))
}

func TestParsePath(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     dlp.Address
		ok       bool
	}{
		{"null reverse-path", "<>", dlp.Address{}, true},
		{"postmaster alone", "<PostMaster>", dlp.Address{Local: "postmaster"}, true},
		{"mailbox", "<a@x.test>", dlp.Address{Local: "a", Domain: "x.test"}, true},
		{"no brackets", "a@x.test", dlp.Address{}, false},
		{"text behind", "<a@x.test> ", dlp.Address{}, false},
		{"not closed", "<a@x.test", dlp.Address{}, false},
		{"closed inside quotes only", `<"a>@x.test`, dlp.Address{}, false},
		{"another name alone", "<root>", dlp.Address{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := smtp.ParsePath(tc.in)
			if (err == nil) != tc.ok || got != tc.want {
				t.Errorf("got %+v, %v, want %+v, ok %v", got, err, tc.want, tc.ok)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	ann := dlp.Address{Local: "ann", Domain: "x.test"}
	for _, tc := range []struct {
		name, in string
		from     dlp.Address
		opt      smtp.MailOptions
		reply    string
	}{
		{"bare", "FROM:<ann@x.test>", ann, smtp.MailOptions{}, ""},
		{"null", "from:<>", dlp.Address{}, smtp.MailOptions{}, ""},
		{"space after the colon", "FROM: <ann@x.test>", ann, smtp.MailOptions{}, ""},
		{"size and body", "FROM:<ann@x.test> SIZE=12 BODY=8bitmime", ann, smtp.MailOptions{Size: 12, MailParams: dlp.MailParams{Body: "8BITMIME"}}, ""},
		{"size past int64", "FROM:<ann@x.test> SIZE=99999999999999999999", ann, smtp.MailOptions{Size: 1<<63 - 1}, ""},
		{"size of 21 digits", "FROM:<ann@x.test> SIZE=100000000000000000000", ann, smtp.MailOptions{}, "501 5.5.4"},
		{"negative size", "FROM:<ann@x.test> SIZE=-1", ann, smtp.MailOptions{}, "501 5.5.4"},
		{"size twice", "FROM:<ann@x.test> SIZE=1 SIZE=2", ann, smtp.MailOptions{Size: 1}, "501 5.5.4"},
		{"binary body", "FROM:<ann@x.test> BODY=BINARYMIME", ann, smtp.MailOptions{MailParams: dlp.MailParams{Body: "BINARYMIME"}}, ""},
		{"unknown body", "FROM:<ann@x.test> BODY=9BIT", ann, smtp.MailOptions{}, "555 5.5.4"},
		{"unknown parameter", "FROM:<ann@x.test> HOLDFOR=5", ann, smtp.MailOptions{}, "555 5.5.4"},
		{"a parameter in letters that only fold to it", "FROM:<ann@x.test> \u017fIZE=5", ann, smtp.MailOptions{}, "555 5.5.4"},
		{"SMTPUTF8", "FROM:<ann@x.test> smtputf8", ann, smtp.MailOptions{MailParams: dlp.MailParams{UTF8: true}}, ""},
		{"SMTPUTF8 with a value", "FROM:<ann@x.test> SMTPUTF8=1", ann, smtp.MailOptions{}, "555 5.5.4"},
		{"SMTPUTF8 sender", "FROM:<gr\u00fcn@x.test> SMTPUTF8", dlp.Address{Local: "gr\u00fcn", Domain: "x.test"}, smtp.MailOptions{MailParams: dlp.MailParams{UTF8: true}}, ""},
		{"DSN", "FROM:<ann@x.test> RET=hdrs ENVID=q+207", ann, smtp.MailOptions{MailParams: dlp.MailParams{Ret: "HDRS", EnvID: "q 7"}}, ""},
		{"unknown RET", "FROM:<ann@x.test> RET=ALL", ann, smtp.MailOptions{}, "501 5.5.4"},
		{"empty ENVID", "FROM:<ann@x.test> ENVID=", ann, smtp.MailOptions{}, "501 5.5.4"},
		{"line end in ENVID", "FROM:<ann@x.test> ENVID=a+0D+0ARCPT", ann, smtp.MailOptions{}, "501 5.5.4"},
		{"small hexits in ENVID", "FROM:<ann@x.test> ENVID=a+2f", ann, smtp.MailOptions{}, "501 5.5.4"},
		{"half a hexit in ENVID", "FROM:<ann@x.test> ENVID=a+2", ann, smtp.MailOptions{}, "501 5.5.4"},
		{"equals sign in ENVID", "FROM:<ann@x.test> ENVID=a=b", ann, smtp.MailOptions{}, "501 5.5.4"},
		{"ENVID of 101", "FROM:<ann@x.test> ENVID=" + strings.Repeat("a", 101), ann, smtp.MailOptions{}, "501 5.5.4"},
		{"AUTH is taken and not believed", "FROM:<ann@x.test> AUTH=<>", ann, smtp.MailOptions{}, ""},
		{"text behind the path", "FROM:<ann@x.test>SIZE=1", dlp.Address{}, smtp.MailOptions{}, "501 5.5.4"},
		{"postmaster is nobody's sender", "FROM:<postmaster>", dlp.Address{}, smtp.MailOptions{}, "501 5.1.7"},
		{"bad sender", "FROM:<ann>", dlp.Address{}, smtp.MailOptions{}, "501 5.1.7"},
		{"sender outside ASCII", "FROM:<\u00fc@x.test>", dlp.Address{}, smtp.MailOptions{}, "553 5.6.7"},
		{"no prefix", "<ann@x.test>", dlp.Address{}, smtp.MailOptions{}, "501 5.5.4"},
	} {
		t.Run("MAIL "+tc.name, func(t *testing.T) {
			from, opt, err := smtp.ParseMail(tc.in)
			if got := codes(err); got != tc.reply || err == nil && from != tc.from || err == nil && opt != tc.opt {
				t.Errorf("got %+v %+v %q, want %+v %+v %q", from, opt, got, tc.from, tc.opt, tc.reply)
			}
		})
	}
	for _, tc := range []struct{ name, in, reply string }{
		{"plain", "TO:<ann@x.test>", ""},
		{"postmaster", "TO:<postmaster>", ""},
		{"null", "TO:<>", "501 5.1.3"},
		{"parameter", "TO:<ann@x.test> HOLD", "555 5.5.4"},
		{"outside ASCII", "TO:<gr\u00fcn@x.test>", "553 5.6.7"},
		{"percent route", "TO:<evil%evil.test@clinic.example>", "550 5.7.1"},
		{"bang route", "TO:<evil.test!evil@clinic.example>", "550 5.7.1"},
		{"quoted address", `TO:<"evil@evil.test"@clinic.example>`, "550 5.7.1"},
	} {
		t.Run("RCPT "+tc.name, func(t *testing.T) {
			if _, _, err := smtp.ParseRcpt(tc.in, false); codes(err) != tc.reply {
				t.Errorf("got %q, want %q", codes(err), tc.reply)
			}
		})
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"a@b.test", `"a b\"c"@x.test`, "@r.test:a@[IPv6:2001:db8::1]", `"x> y"@z.test`, "a@[192.0.2.1]", "\u00e4@x.test"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := smtp.ParseUTF8Address(s)
		if err != nil {
			if a != (dlp.Address{}) {
				t.Fatalf("refused, and yet got %+v", a)
			}
			return
		}
		out := a.String()
		if strings.ContainsAny(out, "<>\r\n\x00") || strings.ContainsAny(a.Domain, "@%! ") {
			t.Fatalf("%q goes on the wire as %q", s, out)
		}
		back, err := smtp.ParsePath("<" + out + ">")
		if err != nil || back != a {
			t.Fatalf("%q written as %q reads back as %+v, %v, want %+v", s, out, back, err, a)
		}
		local, domain, ok := cutLast(out, "@")
		if !ok || len(local) > 64 || len(domain) > 255 {
			t.Fatalf("%q is too long or has no domain", out)
		}
	})
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func FuzzArguments(f *testing.F) {
	for _, s := range []string{"FROM:<a@b.test> SIZE=5 BODY=7BIT", "TO:<\"a b\"@x.test>", "FROM:<>", "TO:<@a.test:b@c.test>",
		"FROM:<a@b.test> RET=FULL ENVID=a+2Bb SMTPUTF8 AUTH=<>", "TO:<a@b.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+3Db",
		"TO:<\u00e4@b\u00fc.test> ORCPT=utf-8;\\x{E4}@b.test", "TO:<a@b.test> NOTIFY=NEVER ORCPT=utf-8;\u00e4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if from, opt, err := smtp.ParseMail(s); err == nil {
			back, opt2, err := smtp.ParseMail("FROM:<" + from.String() + "> " + params(opt))
			if err != nil || back != from || opt2 != opt {
				t.Fatalf("%q reads back as %+v %+v, %v", s, back, opt2, err)
			}
		}
		if rcpt, p, err := smtp.ParseRcpt(s, true); err == nil {
			out, _ := strings.CutPrefix(smtp.RcptCommand(rcpt, p), "RCPT ")
			if back, p2, err := smtp.ParseRcpt(out, true); err != nil || back != rcpt || p2 != p {
				t.Fatalf("%q written as %q reads back as %+v %+v, %v", s, out, back, p2, err)
			}
		}
	})
}
