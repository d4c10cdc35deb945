package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// coder is a way that can be followed: what is encrypted says how, and to whom.
type coder struct {
	to   map[string]dlp.Way
	next dlp.Way // where to is not wanted
	fail error
	gave []string // the plaintexts
	head string   // what it leaves outside

	excepted atomic.Bool // a proved connection is enough for nobody any more
}

func (c *coder) Way(_ context.Context, _, rcpt dlp.Address, except ...dlp.Way) dlp.Way {
	if way := c.to[rcpt.String()]; !slices.Contains(except, way) {
		return way
	}
	return c.next
}

func (c *coder) Proof(dlp.Address) bool { return !c.excepted.Load() }

func (c *coder) Classes(_ dlp.Way, rcpts []dlp.Address) [][]dlp.Address {
	return [][]dlp.Address{rcpts}
}

func (c *coder) Encrypt(dst io.Writer, open func() (io.ReadCloser, error), way dlp.Way, rcpts []dlp.Address) error {
	if c.fail != nil {
		return c.fail
	}
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	c.gave = append(c.gave, string(b))
	_, err = fmt.Fprintf(dst, "%sSubject: [...]\r\n\r\n%s %d bytes to %v\r\n", c.head, way, len(b), rcpts)
	return err
}

var encryptIt = dlp.RcptVerdict{Action: dlp.Encrypt, Policy: "p", Rules: []dlp.RuleID{"us-ssn"}}

// Unread says what policies say for which all but clinic.example is outside.
func (b *bench) Unread(doc *dlp.Document, reason string) dlp.Verdict {
	if b.panics {
		panic("policies broke")
	}
	e, err := policy.New(policy.Config{}, []string{"clinic.example"})
	if err != nil {
		panic(err)
	}
	return e.Unread(doc, reason)
}

// encrypting has b encrypt to out.
func encrypting(t *testing.T, b *bench) *coder {
	t.Helper()
	c := &coder{to: map[string]dlp.Way{out.String(): dlp.OpenPGP}}
	b.SetRules(&gateway.Rules{Detect: func() gateway.Detection { return &detection{found: b.found, parts: &b.parts} }, Policy: b, Ways: c,
		Request: gateway.Request{Subject: true, Header: "X-Encrypt"}})
	var err error
	if b.Buffers, err = buffer.NewPool(buffer.Config{MemoryEach: 1 << 20, MemoryAll: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	b.verdict[out.String()] = encryptIt
	return c
}

const labs = "From: ada@clinic.example\r\nTo: Sam <SAM@partner.example>, x@partner.example\r\nSubject: [secure] labs\r\n\r\nthe labs\r\n"

func TestEncrypted(t *testing.T) {
	b := looping(t, newBench(t))
	verified := signing(t, b)
	c := encrypting(t, b)
	c.head = "From: ada@clinic.example\r\n"
	doc := withText(labs, out, in)
	doc.Trace = []byte("Received: by gw.example\r\n")
	doc.Params = dlp.MailParams{Body: "8BITMIME"}
	got := b.Message(t.Context(), doc, b.hop)
	if got.Kind != dlp.Split || !got.Acknowledge || got.Verdict.Rcpts[0].Way != dlp.OpenPGP {
		t.Fatalf("outcome %+v", got)
	}
	if kinds := queueKinds(t, b); kinds != "copy encrypted" {
		t.Errorf("queue %q, want a copy and an encrypted one", kinds)
	}
	if b.hop.resets != 1 || len(b.hop.sent) != 0 {
		t.Errorf("%d resets and %d sent, want 1 and 0", b.hop.resets, len(b.hop.sent))
	}
	if want := strings.Replace(labs, "[secure] ", "", 1); !slices.Equal(c.gave, []string{want}) {
		t.Errorf("encrypted %q, want it without what asked", c.gave)
	}
	if got := b.audit.results(); !slices.Equal(got, []string{audit.ResultSpooled}) {
		t.Errorf("results %q", got)
	}
	runOutboxUntil(t, b, func() bool { return queueKinds(t, b) == "" })
	for _, m := range b.hop.deliveredText {
		if strings.Contains(m, "openpgp ") {
			if !strings.Contains(m, "Received: by gw.example\r\n") || strings.Contains(m, "labs") {
				t.Errorf("the encrypted one is %q", m)
			}
			if vs := verified(m); len(vs) != 1 || vs[0] != nil {
				t.Errorf("signatures %v on %q", vs, m)
			}
		} else if !strings.HasSuffix(m, labs) {
			t.Errorf("the copy inside is %q", m)
		}
	}
	if u := b.Buffers.Usage(); u.Memory != 0 || u.Disk != 0 {
		t.Errorf("%+v is kept of what was encrypted", u)
	}
}

// waits is a coder whose ways wait for servers that DNS has no answer about.
type waits struct {
	*coder
	until []time.Time
}

func (w *waits) Way(ctx context.Context, _, _ dlp.Address, _ ...dlp.Way) dlp.Way {
	end, _ := ctx.Deadline()
	w.until = append(w.until, end)
	return ""
}

// TestWaysTo: how each recipient of held mail would get it encrypted, by no server's
// proof; nothing of what is no held mail, and nothing where no rules are loaded.
func TestWaysTo(t *testing.T) {
	b := newBench(t)
	c := encrypting(t, b)
	other := dlp.Address{Local: "kim", Domain: "partner.example"}
	proved := dlp.Address{Local: "lee", Domain: "partner.example"}
	c.to[proved.String()] = dlp.VerifiedTLS
	for _, a := range []dlp.Address{out, other, proved} {
		b.verdict[a.String()] = holdIt
	}
	doc := withText(labs, out, other, proved)
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held {
		t.Fatalf("outcome %+v", got)
	}
	want := map[string]dlp.Way{out.String(): dlp.OpenPGP, other.String(): "", proved.String(): ""}
	if got, err := b.WaysTo(t.Context(), doc.ID); err != nil || !maps.Equal(got, want) {
		t.Errorf("ways %v, %v, want %v", got, err, want)
	}
	if _, err := b.WaysTo(t.Context(), dlp.NewID()); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
	if err := b.Reject(t.Context(), doc.ID, vault.Opened{}, "uid:0"); err != nil {
		t.Fatal(err)
	}
	if got, err := b.WaysTo(t.Context(), doc.ID); err != nil || got != nil {
		t.Errorf("of what is rejected: %v, %v", got, err)
	}
}

// TestWaysAreFoundWithin: however many recipients a message has, their servers are
// looked for within one time.
func TestWaysAreFoundWithin(t *testing.T) {
	b := newBench(t)
	w := &waits{coder: encrypting(t, b)}
	b.SetRules(&gateway.Rules{Detect: func() gateway.Detection { return &detection{parts: &b.parts} }, Policy: b, Ways: w})
	rcpts := []dlp.Address{out}
	for i := range 20 {
		a := dlp.Address{Local: "sam", Domain: fmt.Sprintf("dead%d.example", i)}
		b.verdict[a.String()] = encryptIt
		rcpts = append(rcpts, a)
	}
	if got := b.Message(t.Context(), withText(labs, rcpts...), b.hop); got.Kind != dlp.Held {
		t.Fatalf("outcome %+v", got)
	}
	if len(w.until) != len(rcpts) || w.until[0].IsZero() {
		t.Fatalf("asked %d times, the first until %v", len(w.until), w.until[0])
	}
	if all := slices.Compact(w.until); len(all) != 1 {
		t.Errorf("%d times to wait until, want one for all recipients", len(all))
	}
}

// TestNotEncrypted: what cannot be encrypted is held, or comes again; it never
// leaves, and nothing of it stays behind.
func TestNotEncrypted(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(*bench, *coder)
		want dlp.OutcomeKind
	}{
		{"no way", func(_ *bench, c *coder) { c.to = nil }, dlp.Held},
		{"no ways at all", func(b *bench, _ *coder) {
			b.SetRules(&gateway.Rules{Detect: func() gateway.Detection { return &detection{parts: &b.parts} }, Policy: b})
		}, dlp.Held},
		{"it breaks", func(_ *bench, c *coder) { c.fail = errBroken }, dlp.Held},
		{"the outside tells", func(b *bench, c *coder) {
			b.found = []dlp.Finding{{Rule: "us-ssn", Path: "HEADER"}}
		}, dlp.Held},
		{"no room", func(b *bench, _ *coder) {
			b.Buffers, _ = buffer.NewPool(buffer.Config{}) // it is without a disk
		}, dlp.TryAgain},
		{"no buffers", func(b *bench, _ *coder) { b.Buffers = nil }, dlp.TryAgain},
		{"no commit", func(b *bench, _ *coder) { b.db.broken = errBroken }, dlp.NoRoom},
		{"no decision", func(b *bench, _ *coder) { b.audit.breaksAt = audit.Decision }, dlp.TryAgain},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			c := encrypting(t, b)
			tc.set(b, c)
			got := b.Message(t.Context(), withText(labs, out), b.hop)
			if got.Kind != tc.want {
				t.Errorf("outcome %v, want %v", got.Kind, tc.want)
			}
			if kinds := queueKinds(t, b); kinds != "" || len(b.hop.sent) > 0 {
				t.Errorf("queue %q, sent %q", kinds, b.hop.sent)
			}
			if tc.want == dlp.Held {
				if r := got.Verdict.Rcpts[0]; r.Action != dlp.Hold || r.Reason != dlp.ReasonNoWay || r.Way != "" {
					t.Errorf("verdict %+v", r)
				}
				b.audit.mu.Lock()
				if e := b.audit.events[0]; e.Action != "quarantine" || e.Reason != dlp.ReasonNoWay {
					t.Errorf("on record: %+v", e)
				}
				b.audit.mu.Unlock()
			}
			if b.Buffers != nil {
				if u := b.Buffers.Usage(); u.Memory != 0 {
					t.Errorf("%+v is kept of what was encrypted", u)
				}
			}
		})
	}
}

// TestEncryptedApart: whom the message names shares one; nobody learns of
// anybody else, and of very many the rest is held.
func TestEncryptedApart(t *testing.T) {
	b := newBench(t)
	c := encrypting(t, b)
	rcpts := []dlp.Address{out, {Local: "x", Domain: "partner.example"}}
	for i := range 52 {
		rcpts = append(rcpts, dlp.Address{Local: fmt.Sprint("blind", i), Domain: "partner.example"})
	}
	for _, r := range rcpts {
		c.to[r.String()], b.verdict[r.String()] = dlp.OpenPGP, encryptIt
	}
	doc := withText(labs, rcpts...)
	if got := b.Message(t.Context(), doc, b.hop); got.Kind != dlp.Held && got.Kind != dlp.Split {
		t.Fatalf("outcome %v", got.Kind)
	}
	ms, err := b.spool.Of(t.Context(), doc.ID)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, m := range ms {
		sizes = append(sizes, len(m.Rcpts))
	}
	slices.Sort(sizes)
	if len(sizes) != 51 || sizes[50] != 2 || sizes[49] != 1 {
		t.Errorf("messages to %v recipients, want 50 to one and one to two", sizes)
	}
}

// TestAskedByHeader: a header that the configuration names asks, whatever it
// says; others do not.
func TestAskedByHeader(t *testing.T) {
	b := newBench(t)
	encrypting(t, b)
	asked := ""
	b.begun = func(d *dlp.Document) { asked += fmt.Sprint(d.Asked, " ") }
	for _, head := range []string{"x-encrypt: no\r\n", "X-Encrypted: yes\r\n", "Subject: secure\r\n", "Subject: re: [Secure ]\r\n", "Comments: [secure]\r\n"} {
		b.Message(t.Context(), withText(head+"\r\nbody\r\n", in), b.hop)
	}
	if want := "true false false true false "; asked != want {
		t.Errorf("asked: got %s, want %s", asked, want)
	}
	if _, err := (gateway.Request{Subject: true}).Asked(&dlp.Document{Channel: dlp.Mail, Open: func() (io.ReadSeekCloser, error) { return nil, errBroken }}); !errors.Is(err, errBroken) {
		t.Errorf("what cannot be opened: got %v", err)
	}
}

// TestReleaseOfNoWay: what was held since no way led to somebody goes encrypted
// where one does by now; where none does it stays held, until it is said that it goes as
// it came, which is on record.
func TestReleaseOfNoWay(t *testing.T) {
	for _, tc := range []struct {
		name   string
		set    func(*coder)
		want   gateway.Released
		reason string
		queue  string
	}{
		{"a key came", func(c *coder) { c.to[out.String()] = dlp.OpenPGP }, gateway.Released{Encrypted: 1}, audit.ReasonEncrypted, "encrypted"},
		{"none came", func(*coder) {}, gateway.Released{Unencrypted: 1}, audit.ReasonUnencrypted, "release"},
		{"it breaks", func(c *coder) { c.to[out.String()], c.fail = dlp.OpenPGP, errBroken }, gateway.Released{Unencrypted: 1}, audit.ReasonUnencrypted, "release"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			c := encrypting(t, b)
			c.to = map[string]dlp.Way{}
			id := b.Message(t.Context(), withText(labs, out), b.hop).ID
			tc.set(c)
			got, err := b.Release(t.Context(), id, vault.Opened{}, "uid:7")
			if tc.want.Unencrypted > 0 {
				if !errors.Is(err, gateway.ErrUnencrypted) || got != (gateway.Released{}) || queueKinds(t, b) != "" || len(b.audit.of(audit.Release)) != 0 {
					t.Fatalf("without a word: got %+v, %v", got, err)
				}
				got, err = b.ReleaseFor(t.Context(), id, vault.Opened{}, "uid:7", gateway.Review{Unencrypted: true})
			}
			if err != nil || got != tc.want {
				t.Fatalf("got %+v, %v; want %+v", got, err, tc.want)
			}
			if r := b.audit.of(audit.Release); len(r) != 1 || r[0].Reason != tc.reason {
				t.Errorf("on record: %+v", r)
			}
			if kinds := queueKinds(t, b); kinds != tc.queue {
				t.Errorf("queue %q, want %q", kinds, tc.queue)
			}
			runOutboxUntil(t, b, func() bool { return len(b.hop.texts()) == 1 })
			if in := strings.Contains(b.hop.texts()[0], "the labs"); in != (tc.queue == "release") {
				t.Errorf("delivered %q", b.hop.texts()[0])
			}
			if u := b.Buffers.Usage(); u.Memory != 0 || u.Disk != 0 {
				t.Errorf("%+v is kept", u)
			}
		})
	}
	b := newBench(t)
	encrypting(t, b).to = nil
	id := b.Message(t.Context(), withText(labs, out), b.hop).ID
	b.SetRules(nil)
	if _, err := b.Release(t.Context(), id, vault.Opened{}, "uid:7"); !errors.Is(err, gateway.ErrNoRules) {
		t.Errorf("without rules: got %v, want %v", err, gateway.ErrNoRules)
	}
	if kinds := queueKinds(t, b); kinds != "" || len(b.audit.of(audit.Release)) != 0 {
		t.Errorf("queue %q, on record %v", kinds, b.audit.of(audit.Release))
	}
}

// ssnIn is a Detection that finds one number in what it reads.
type ssnIn struct {
	detection
	seen bool
}

func (d *ssnIn) Text(w dlp.Window) error {
	d.seen = d.seen || strings.Contains(string(w.Text), "536-22-8145")
	return nil
}

func (d *ssnIn) Finish() ([]dlp.Finding, []dlp.Gap) {
	if d.seen {
		return []dlp.Finding{{Rule: "us-ssn"}}, d.gaps
	}
	return nil, d.gaps
}

// TestEnvelopeOfTheEncrypted: nobody is written to whose address says what is to be kept,
// and what the envelope says besides does not go along.
func TestEnvelopeOfTheEncrypted(t *testing.T) {
	telling := dlp.Address{Local: "536-22-8145", Domain: "partner.example"}
	for name, tc := range map[string]struct {
		to    dlp.Address
		envid string
		orcpt string
		want  string // of the envelope that leaves; "": it is held
	}{
		"an address that tells": {telling, "", "", ""},
		"parameters that tell":  {out, "q 536-22-8145", "rfc822;536-22-8145@partner.example", " "},
		"that do not":           {out, "q 7", "rfc822;list@partner.example", "q 7 rfc822;list@partner.example"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			c := encrypting(t, b)
			b.SetRules(&gateway.Rules{Detect: func() gateway.Detection { return &ssnIn{detection: detection{parts: &b.parts}} }, Policy: b, Ways: c})
			b.verdict[tc.to.String()], c.to[tc.to.String()] = encryptIt, dlp.OpenPGP
			doc := withText(labs, tc.to)
			doc.Params.EnvID, doc.RcptParams = tc.envid, []dlp.RcptParams{{ORcpt: tc.orcpt}}
			o := b.Message(t.Context(), doc, b.hop)
			if tc.want == "" {
				if o.Kind != dlp.Held || o.Verdict.Rcpts[0].Reason != dlp.ReasonNoWay {
					t.Errorf("outcome %+v, want it held", o)
				}
				return
			}
			ms, err := b.spool.Of(t.Context(), doc.ID)
			if err != nil || len(ms) != 1 || ms[0].Kind != spool.Encrypted {
				t.Fatalf("outcome %v, in the outbox %+v, %v", o.Kind, ms, err)
			}
			if got := ms[0].Params.EnvID + " " + ms[0].Rcpts[0].Params.ORcpt; got != tc.want {
				t.Errorf("the envelope says %q, want %q", got, tc.want)
			}
		})
	}
}

// TestOutsideIsReadDecoded: what stands outside tells nothing where it is
// percent-encoded either, as in the links of lists.
func TestOutsideIsReadDecoded(t *testing.T) {
	for link, want := range map[string]dlp.OutcomeKind{"https://list.example/?q=7": dlp.Split, "https://list.example/?q=536%2D22%2d8145": dlp.Held} {
		b := newBench(t)
		c := encrypting(t, b)
		c.head = "List-Unsubscribe: <" + link + ">\r\n"
		b.SetRules(&gateway.Rules{Detect: func() gateway.Detection { return &ssnIn{detection: detection{parts: &b.parts}} }, Policy: b, Ways: c})
		b.sees = func(doc *dlp.Document, sink dlp.Sink) {
			r, err := doc.Open()
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			text, err := io.ReadAll(r)
			if err = errors.Join(err, sink.Text(dlp.Window{Text: text})); err != nil {
				t.Error(err)
			}
		}
		if o := b.Message(t.Context(), withText(labs, out), b.hop); o.Kind != want {
			t.Errorf("%s: outcome %v, want %v", link, o.Kind, want)
		}
	}
}

// TestReleaseWithoutItsCase: where it cannot be read any more what was to be encrypted,
// all of it is, and what cannot be goes as it came where that is said.
func TestReleaseWithoutItsCase(t *testing.T) {
	for name, tc := range map[string]struct {
		to    map[string]dlp.Way
		want  gateway.Released
		queue string
	}{
		"a way":  {map[string]dlp.Way{out.String(): dlp.OpenPGP}, gateway.Released{Encrypted: 1}, "encrypted"},
		"no way": {nil, gateway.Released{Unencrypted: 1}, "release"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			c := encrypting(t, b)
			c.to = nil
			id := b.Message(t.Context(), withText(labs, out), b.hop).ID
			for _, p := range b.keys.Stands(false).Periods {
				if err := b.db.Commit(t.Context(), store.Change{Forget: []dlp.ID{p.ID}}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := b.Vault.Case(t.Context(), id, nil); !errors.Is(err, vault.ErrNotFound) {
				t.Fatalf("its case: %v", err)
			}
			c.to = tc.to
			if tc.to == nil {
				if _, err := b.Release(t.Context(), id, vault.Opened{}, "uid:7"); !errors.Is(err, gateway.ErrUnencrypted) {
					t.Errorf("without a word: %v", err)
				}
			}
			got, err := b.ReleaseFor(t.Context(), id, vault.Opened{}, "uid:7", gateway.Review{Unencrypted: true})
			if err != nil || got != tc.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tc.want)
			}
			if kinds := queueKinds(t, b); kinds != tc.queue {
				t.Errorf("queue %q, want %q", kinds, tc.queue)
			}
		})
	}
}

// TestAskedUnread: a mail that passes unread goes encrypted, or is held, where
// its sender asks for that.
func TestAskedUnread(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(*bench, *coder)
		want dlp.RcptVerdict
	}{
		{"a way", func(*bench, *coder) {}, dlp.RcptVerdict{Rcpt: out, Action: dlp.Encrypt, Reason: dlp.ReasonAsked, Way: dlp.OpenPGP}},
		{"no way", func(_ *bench, c *coder) { c.to = nil }, dlp.RcptVerdict{Rcpt: out, Action: dlp.Hold, Reason: dlp.ReasonNoWay}},
		{"judging breaks", func(b *bench, _ *coder) { b.panics = true }, dlp.RcptVerdict{Rcpt: out, Action: dlp.Hold, Reason: dlp.ReasonJudgeFailed}},
		{"no rules", func(b *bench, _ *coder) { b.SetRules(nil) }, dlp.RcptVerdict{Rcpt: out, Action: dlp.Hold, Reason: dlp.ReasonNoWay}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBenchWith(t, func(c *gateway.Config) { c.Request = gateway.Request{Subject: true} })
			c := encrypting(t, b)
			if _, err := b.BeginBypass(t.Context(), time.Hour, why, "uid:7"); err != nil {
				t.Fatal(err)
			}
			if got := b.Message(t.Context(), withText("Subject: labs\r\n\r\nbody\r\n", out), b.hop); got.Kind != dlp.Passed {
				t.Errorf("not asked for: outcome %v", got.Kind)
			}
			sent := len(b.hop.sent)
			tc.set(b, c)
			got := b.Message(t.Context(), withText(labs, out), b.hop)
			if len(b.hop.sent) != sent || len(got.Verdict.Rcpts) != 1 {
				t.Fatalf("sent in the clear, or %+v", got)
			}
			if r := got.Verdict.Rcpts[0]; r.Action != tc.want.Action || r.Reason != tc.want.Reason || r.Way != tc.want.Way {
				t.Errorf("verdict %+v, want %+v", r, tc.want)
			}
			want := 1 // what is held has not passed
			if tc.want.Action == dlp.Encrypt {
				want = 2
			}
			bs, err := b.Bypasses(t.Context(), false)
			if err != nil || len(bs) != 1 || int(bs[0].Passed) != want {
				t.Errorf("bypasses %+v, %v; want one with %d passed", bs, err, want)
			}
			noted := 0
			for _, d := range b.audit.of(audit.Decision) {
				if d.Of != "" {
					noted++
				}
			}
			if noted != want {
				t.Errorf("%d decisions name the bypass, want %d", noted, want)
			}
		})
	}
	b := newBenchWith(t, func(c *gateway.Config) { c.ScanEnabled = false })
	encrypting(t, b)
	if got := b.Message(t.Context(), withText(labs, out), b.hop); got.Kind != dlp.Split || len(b.hop.sent) != 0 {
		t.Errorf("with the scan off: outcome %v, %d sent", got.Kind, len(b.hop.sent))
	}
}

// TestEncryptedIsCounted: each recipient by their way, once it is certain that it
// goes so; what is held instead counts for nobody.
func TestEncryptedIsCounted(t *testing.T) {
	b := newBench(t)
	c := encrypting(t, b)
	b.verdict[in.String()] = encryptIt
	other := dlp.Address{Local: "x", Domain: "partner.example"}
	b.verdict[other.String()] = encryptIt
	c.to[in.String()], c.to[other.String()] = dlp.SMIME, dlp.OpenPGP
	if got := b.Message(t.Context(), withText(labs, out, in, other), b.hop); got.Kind != dlp.Split && got.Kind != dlp.Sealed {
		t.Fatalf("outcome %v", got.Kind)
	}
	c.to = nil
	if got := b.Message(t.Context(), withText(labs, out), b.hop); got.Kind != dlp.Held {
		t.Fatalf("without a way: outcome %v", got.Kind)
	}
	rec := httptest.NewRecorder()
	b.Metrics.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for way, want := range map[dlp.Way]int{dlp.OpenPGP: 2, dlp.SMIME: 1} {
		if line := fmt.Sprintf("stanch_encrypted_total{way=%q} %d\n", way, want); !strings.Contains(rec.Body.String(), line) {
			t.Errorf("want %s", line)
		}
	}
	if n := counts(t, b.Metrics)["stanch_encrypted_total"]; n != 3 {
		t.Errorf("counted %v in all, want 3", n)
	}
}
