package gateway_test

import (
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// What the client asked for with MAIL and RCPT stays with each part of a split
// message, and with what is released.
func TestParametersStayWithTheMessage(t *testing.T) {
	b := newBench(t)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Hold, Policy: "p"}
	doc := mail(in, out)
	doc.Params = dlp.MailParams{Body: "8BITMIME", UTF8: true, Ret: "HDRS", EnvID: "q 7"}
	doc.RcptParams = []dlp.RcptParams{{Notify: "DELAY"}, {Notify: "SUCCESS", ORcpt: "rfc822;a=b"}}
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Split {
		t.Fatalf("outcome %v", got.Kind)
	}
	if _, err := b.Release(t.Context(), doc.ID, vault.Opened{}, "uid:0"); err != nil {
		t.Fatal(err)
	}
	ms, err := b.spool.List(t.Context(), spool.Filter{})
	if err != nil || len(ms) != 2 {
		t.Fatalf("queue %+v, %v; want a copy and a release", ms, err)
	}
	for i, m := range ms {
		if m.Params != doc.Params || len(m.Rcpts) != 1 || m.Rcpts[0].Addr != doc.Rcpts[i] || m.Rcpts[0].Params != doc.RcptParams[i] {
			t.Errorf("%s: got %+v %+v, want the parameters of the document", m.Kind, m.Params, m.Rcpts)
		}
	}
}

// A message whose recipients no one answer can stand for is ours, clean or not.
func TestScatteredIsOurs(t *testing.T) {
	b := newBench(t)
	doc := mail(in, out)
	doc.Scattered = true
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Split || !got.Acknowledge || len(b.hop.sent) != 0 || b.hop.resets != 1 {
		t.Errorf("outcome %+v after %d sent, %d resets", got, len(b.hop.sent), b.hop.resets)
	}
	q, err := b.ListQueue(t.Context(), false)
	if err != nil || len(q) != 1 || q[0].Kind != "copy" || len(q[0].Recipients) != 2 {
		t.Errorf("queue %+v, %v; want one copy for both", q, err)
	}
}
