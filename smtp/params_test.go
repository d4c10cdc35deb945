package smtp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

func TestRcptParams(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     dlp.RcptParams
		reply    string
	}{
		{"none", "", dlp.RcptParams{}, ""},
		{"never", "notify=never", dlp.RcptParams{Notify: "NEVER"}, ""},
		{"order and case", "NOTIFY=delay,SUCCESS", dlp.RcptParams{Notify: "SUCCESS,DELAY"}, ""},
		{"never among others", "NOTIFY=NEVER,SUCCESS", dlp.RcptParams{}, "501 5.5.4"},
		{"twice the same", "NOTIFY=DELAY,DELAY", dlp.RcptParams{}, "501 5.5.4"},
		{"unknown word", "NOTIFY=ALWAYS", dlp.RcptParams{}, "501 5.5.4"},
		{"empty", "NOTIFY=", dlp.RcptParams{}, "501 5.5.4"},
		{"twice", "NOTIFY=NEVER NOTIFY=NEVER", dlp.RcptParams{}, "501 5.5.4"},
		{"ORCPT", "ORCPT=RFC822;Bob+2Bx+40d.test", dlp.RcptParams{ORcpt: "rfc822;Bob+x@d.test"}, ""},
		{"ORCPT of another type", "ORCPT=x400;a", dlp.RcptParams{ORcpt: "x400;a"}, ""},
		{"ORCPT that would end the command", "ORCPT=rfc822;a+0D+0ADATA", dlp.RcptParams{}, "501 5.5.4"},
		{"ORCPT that would add a parameter", "ORCPT=rfc822;a=b", dlp.RcptParams{}, "501 5.5.4"},
		{"ORCPT with a space inside passes encoded", "ORCPT=rfc822;a+20NOTIFY+3DNEVER", dlp.RcptParams{ORcpt: "rfc822;a NOTIFY=NEVER"}, ""},
		{"ORCPT without a type", "ORCPT=a", dlp.RcptParams{}, "501 5.5.4"},
		{"ORCPT with a bad type", "ORCPT=r_f;a", dlp.RcptParams{}, "501 5.5.4"},
		{"ORCPT too long", "ORCPT=rfc822;" + strings.Repeat("a", 500), dlp.RcptParams{}, "501 5.5.4"},
		{"ORCPT in UTF-8", `ORCPT=utf-8;gr\x{FC}n`, dlp.RcptParams{ORcpt: "utf-8;gr\u00fcn"}, ""},
		{"ORCPT in raw UTF-8", "ORCPT=utf-8;gr\u00fcn", dlp.RcptParams{ORcpt: "utf-8;gr\u00fcn"}, ""},
		{"ORCPT with a hidden line end", `ORCPT=utf-8;a\x{0A}b`, dlp.RcptParams{}, "501 5.5.4"},
		{"ORCPT with half a code point", `ORCPT=utf-8;a\x{D800}`, dlp.RcptParams{}, "501 5.5.4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, got, err := smtp.ParseRcpt("TO:<a@b.test> "+tc.in, true)
			if codes(err) != tc.reply || got != tc.want {
				t.Errorf("got %+v, %q, want %+v, %q", got, codes(err), tc.want, tc.reply)
			}
			if err != nil || got == (dlp.RcptParams{}) {
				return
			}
			out := smtp.RcptCommand(bob, got)
			if _, back, err := smtp.ParseRcpt(strings.TrimPrefix(out, "RCPT "), true); err != nil || back != got {
				t.Errorf("goes out as %q, which reads as %+v, %v", out, back, err)
			}
		})
	}
}

func TestUTF8Addresses(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     dlp.Address
		reply    string
	}{
		{"local part", "gr\u00fcn@x.test", dlp.Address{Local: "gr\u00fcn", Domain: "x.test"}, ""},
		{"decomposed local part", "gru\u0308n@x.test", dlp.Address{Local: "gr\u00fcn", Domain: "x.test"}, ""},
		{"quoted local part", "\"gr \u00fcn\"@x.test", dlp.Address{Local: "gr \u00fcn", Domain: "x.test"}, ""},
		{"U-label", "a@B\u00fccher.test", dlp.Address{Local: "a", Domain: "xn--bcher-kva.test"}, ""},
		{"its A-label", "a@XN--bcher-kva.test", dlp.Address{Local: "a", Domain: "xn--bcher-kva.test"}, ""},
		{"decomposed U-label", "a@bu\u0308cher.test", dlp.Address{Local: "a", Domain: "xn--bcher-kva.test"}, ""},
		{"wide dot and letters", "a@\uff45vil.test\u3002clinic.example", dlp.Address{Local: "a", Domain: "evil.test.clinic.example"}, ""},
		{"Cyrillic letter is another domain", "a@\u0441linic.example", dlp.Address{Local: "a", Domain: "xn--linic-0ye.example"}, ""},
		{"A-label that stands for ASCII", "a@xn--clinic-.example", dlp.Address{}, "501 5.1.3"},
		{"A-label of nothing", "a@xn--.example", dlp.Address{}, "501 5.1.3"},
		{"label that folds to nothing good", "a@\u2100.test", dlp.Address{}, "501 5.1.3"},
		{"not UTF-8", "gr\xfcn@x.test", dlp.Address{}, "501 5.1.3"},
		{"turned text", "a\u202eb@x.test", dlp.Address{}, "501 5.1.3"},
		{"zero width", "a\u200bb@x.test", dlp.Address{}, "501 5.1.3"},
		{"no-break space", "a\u00a0b@x.test", dlp.Address{}, "501 5.1.3"},
		{"line separator", "a\u2028b@x.test", dlp.Address{}, "501 5.1.3"},
		{"C1 control", "a\u0085b@x.test", dlp.Address{}, "501 5.1.3"},
		{"breaking out of the brackets", "\"\u00e9@evil.test> ORCPT=x\"@x.test", dlp.Address{}, "501 5.1.3"},
		{"local part of 65 bytes", strings.Repeat("\u00fc", 32) + "a@x.test", dlp.Address{}, "501 5.1.3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := smtp.ParseUTF8Address(tc.in)
			if codes(err) != tc.reply || got != tc.want {
				t.Errorf("got %+v, %q, want %+v, %q", got, codes(err), tc.want, tc.reply)
			}
		})
	}
	for _, in := range []string{"TO:<evil\uff05evil.test@x.test>", "TO:<evil.test\uff01evil@x.test>", "TO:<evil\ufe6bevil.test@x.test>"} {
		if _, _, err := smtp.ParseRcpt(in, true); codes(err) != "550 5.7.1" {
			t.Errorf("%q: got %q, want it refused as a route", in, codes(err))
		}
	}
}

func TestWithClause(t *testing.T) {
	for want, got := range map[string]string{
		"SMTP":       smtp.With(false, false, false, false, false),
		"ESMTP":      smtp.With(false, true, false, false, false),
		"ESMTPS":     smtp.With(false, true, true, false, false),
		"ESMTPSA":    smtp.With(false, true, true, true, false),
		"ESMTPA":     smtp.With(false, true, false, true, false),
		"LMTP":       smtp.With(true, true, false, false, false),
		"LMTPSA":     smtp.With(true, true, true, true, false),
		"UTF8SMTP":   smtp.With(false, true, false, false, true),
		"UTF8SMTPSA": smtp.With(false, true, true, true, true),
		"UTF8LMTPS":  smtp.With(true, true, true, false, true),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestParametersGoOn: what came in decoded stands in the document and goes to a
// next hop that understands it, encoded anew, and to no other.
func TestParametersGoOn(t *testing.T) {
	for _, tc := range []struct {
		name       string
		ext        []string
		mail, rcpt string
	}{
		{"to a next hop with DSN", []string{"8BITMIME", "DSN"},
			"MAIL FROM:<ann@clinic.example> BODY=8BITMIME RET=HDRS ENVID=q+207", "RCPT TO:<bob@out.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+3Db"},
		{"to one without", []string{"8BITMIME"}, "MAIL FROM:<ann@clinic.example> BODY=8BITMIME", "RCPT TO:<bob@out.test>"},
		{"to one with nothing", nil, "MAIL FROM:<ann@clinic.example>", "RCPT TO:<bob@out.test>"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &wireHop{ext: tc.ext}
			d := open(t, func(_ *smtp.Config, deps *smtp.Deps, _ *door) { deps.NextHop = h.client(t, nil) })
			c := d.hello(t)
			c.say("MAIL FROM:<ann@clinic.example> BODY=8BITMIME RET=hdrs ENVID=q+207\r\n", "250")
			c.say("RCPT TO:<bob@out.test> ORCPT=rfc822;b+3Db NOTIFY=delay,success\r\n", "250")
			c.say("DATA\r\n", "354")
			c.say("x\r\n.\r\n", "250")
			if got := h.said(); !strings.HasPrefix(got, tc.mail+"|"+tc.rcpt+"|DATA") {
				t.Errorf("got %q, want %q and %q", got, tc.mail, tc.rcpt)
			}
			doc := d.handler.docs[0]
			if want := (dlp.MailParams{Body: "8BITMIME", Ret: "HDRS", EnvID: "q 7"}); doc.Params != want {
				t.Errorf("document: got %+v, want %+v", doc.Params, want)
			}
			if want := (dlp.RcptParams{Notify: "SUCCESS,DELAY", ORcpt: "rfc822;b=b"}); len(doc.RcptParams) != 1 || doc.RcptParams[0] != want {
				t.Errorf("document: got %+v, want %+v", doc.RcptParams, want)
			}
		})
	}
}

// TestOfferedIsHonoured: EHLO offers what the next hop last offered, and MAIL
// refuses what it does not.
func TestOfferedIsHonoured(t *testing.T) {
	h := &wireHop{ext: []string{"8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME"}}
	client := h.client(t, nil)
	d := open(t, func(_ *smtp.Config, deps *smtp.Deps, _ *door) { deps.NextHop = client })
	eventually(t, "the next hop is known", func() bool { return client.Offers().UTF8 })
	c := d.hello(t)
	got := c.say("EHLO x\r\n", "250")
	if !strings.Contains(got, "SMTPUTF8") || !strings.Contains(got, "BINARYMIME") {
		t.Errorf("EHLO lacks what the next hop offers: %q", got)
	}
	body := "Subject: gr\u00fcn\r\n\r\na\nb\x00\r.\r\n.\r\n..\nno end"
	c.say("MAIL FROM:<gr\u00fcn@clinic.example> SMTPUTF8 BODY=BINARYMIME\r\n", "250")
	c.say("RCPT TO:<\u00e4@b\u00fccher.test>\r\n", "250")
	c.say("BDAT 10\r\n"+body[:10], "250")
	c.say("BDAT "+fmt.Sprint(len(body)-10)+" LAST\r\n"+body[10:], "250")
	_, _, bodies := h.seen()
	if got := h.said(); !strings.Contains(got, "MAIL FROM:<gr\u00fcn@clinic.example> BODY=BINARYMIME SMTPUTF8|RCPT TO:<\u00e4@xn--bcher-kva.test>|BDAT ") {
		t.Errorf("got %q", got)
	}
	if trace := string(d.handler.docs[0].Trace); len(bodies) != 1 || bodies[0] != trace+body || !strings.Contains(trace, "with UTF8SMTP id") {
		t.Errorf("got %q behind %q, want %q", bodies, trace, body)
	}

	poor := &wireHop{ext: []string{"8BITMIME", "CHUNKING"}}
	d = open(t, func(_ *smtp.Config, deps *smtp.Deps, _ *door) { deps.NextHop = poor.client(t, nil) })
	c = d.hello(t)
	if got := c.say("EHLO x\r\n", "250"); strings.Contains(got, "SMTPUTF8") || strings.Contains(got, "BINARYMIME") {
		t.Errorf("EHLO offers what the next hop does not: %q", got)
	}
	c.say("MAIL FROM:<gr\u00fcn@b.test>\r\n", "553 5.6.7")
	for mail, want := range map[string]string{"<a@b.test> SMTPUTF8": "553 5.6.7", "<a@b.test> BODY=BINARYMIME": "554 5.6.3"} {
		c.say("MAIL FROM:"+mail+"\r\nRCPT TO:<c@d.test>\r\nRCPT TO:<e@d.test>\r\nRSET\r\n", "250", want, want, "250")
	}
	c.say("MAIL FROM:<a@b.test>\r\n", "250")
	c.say("RCPT TO:<gr\u00fcn@b.test>\r\n", "553 5.6.7")
	if got := poor.said(); strings.Contains(got, "UTF8") {
		t.Errorf("got %q at the next hop", got)
	}
}

func TestChunksOut(t *testing.T) {
	binary := smtp.MailOptions{MailParams: dlp.MailParams{Body: "BINARYMIME"}}
	ext := []string{"8BITMIME", "CHUNKING", "BINARYMIME"}
	for _, n := range []int{0, 1, 65_530, 65_536, 200_000} {
		h := &wireHop{ext: ext}
		body := randomBody(uint64(n), n)
		tx := offer(t, h.client(t, nil), binary)
		r, err := tx.Send(t.Context(), []byte("X: y\r\n"), bytes.NewReader(body))
		_, _, bodies := h.seen()
		if err != nil || r.Code != 250 || len(bodies) != 1 || bodies[0] != "X: y\r\n"+string(body) {
			t.Errorf("%d bytes: got %+v, %v, %d bodies", n, r, err, len(bodies))
		}
	}
	t.Run("refused in the middle", func(t *testing.T) {
		h := &wireHop{ext: ext, on: func(_ int, command string) string {
			if strings.HasPrefix(command, "BDAT") {
				return "552 5.3.4 enough"
			}
			return ""
		}}
		tx := offer(t, h.client(t, nil), binary)
		if r, err := tx.Send(t.Context(), nil, bytes.NewReader(make([]byte, 100_000))); err != nil || r.Code != 552 {
			t.Errorf("got %+v, %v, want 552", r, err)
		}
	})
	t.Run("our own copy cannot be read", func(t *testing.T) {
		for _, why := range unreadable() {
			h := &wireHop{ext: ext}
			tx := offer(t, h.client(t, nil), binary)
			_, err := tx.Send(t.Context(), nil, io.MultiReader(bytes.NewReader(make([]byte, 100_000)), iotest.ErrReader(why)))
			if se, ok := errors.AsType[*dlp.SendError](err); !ok || se.AfterDot {
				t.Errorf("%v: got %v, want a SendError before the end", why, err)
			}
			if _, _, bodies := h.seen(); len(bodies) > 0 {
				t.Errorf("%v: got %d messages at the next hop", why, len(bodies))
			}
		}
	})
	t.Run("no answer", func(t *testing.T) {
		h := &wireHop{ext: ext, on: func(_ int, command string) string {
			if strings.HasSuffix(command, " LAST") {
				return hangUp
			}
			return ""
		}}
		tx := offer(t, h.client(t, nil), binary)
		_, err := tx.Send(t.Context(), nil, strings.NewReader("x"))
		if se, ok := errors.AsType[*dlp.SendError](err); !ok || !se.AfterDot {
			t.Errorf("got %v, want a SendError after the end", err)
		}
	})
}

// TestDeliverNeedsNoMore: SMTPUTF8 is dropped where neither envelope nor message
// needs it, and asked for where an address does.
func TestDeliverNeedsNoMore(t *testing.T) {
	utf8 := smtp.MailOptions{MailParams: dlp.MailParams{UTF8: true}}
	for _, tc := range []struct {
		name, body string
		rcpt       dlp.Address
		opt        smtp.MailOptions
		code       int
	}{
		{"not needed", "x\r\n", bob, utf8, 250},
		{"8-bit message", "gr\u00fcn\r\n", bob, utf8, 553},
		{"recipient", "x\r\n", dlp.Address{Local: "gr\u00fcn", Domain: "x.test"}, smtp.MailOptions{}, 553},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &wireHop{ext: []string{"8BITMIME"}}
			ds := smtp.Deliver(t.Context(), h.client(t, nil), ann, []dlp.Address{tc.rcpt}, nil, tc.opt, source(tc.body))
			if ds[0].Err != nil || ds[0].Reply.Code != tc.code {
				t.Errorf("got %+v, want %d", ds[0], tc.code)
			}
			if tc.code == 250 && !ds[0].Relayed {
				t.Error("a next hop without DSN is not told apart")
			}
		})
	}
}
