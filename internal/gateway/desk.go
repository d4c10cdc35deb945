package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/drill"
	"github.com/stanch-dlp/stanch/internal/message"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Held is one line of `quarantine list --format json` (docs/contract.md). It names
// people and files: it goes to the officer and nowhere else.
type Held struct {
	ID         dlp.ID       `json:"id"`
	Channel    string       `json:"channel"`
	State      string       `json:"state"`
	Received   time.Time    `json:"received"`
	Policy     string       `json:"policy"`
	Rules      []dlp.RuleID `json:"rules"`
	Causes     []string     `json:"causes"` // of the gaps that it was held for
	Sender     string       `json:"sender"`
	Recipients []string     `json:"recipients"`
	Root       string       `json:"root,omitempty"` // the watched folder that path is relative to
	Path       string       `json:"path"`
	Size       int64        `json:"size"`
	Header     string       `json:"header,omitempty"`
	Urgent     bool         `json:"urgent,omitempty"`    // from an urgent sender: officers are called until somebody decides
	Calls      int          `json:"calls,omitempty"`     // how often they were
	AnswerBy   *time.Time   `json:"answer_by,omitempty"` // when the next call is due
	Damaged    bool         `json:"damaged,omitempty"`   // what is kept does not open: who, where and why are not known
	// Delivery is, of released mail, the state of its message in the outbox:
	// queued, poison, delivered, failed or dropped. The outbox forgets what has
	// ended; then it is "".
	Delivery string `json:"delivery,omitempty"`
	// Confidence is the highest of what was found: low, medium or high. "" where
	// nothing was, and of what an earlier version held.
	Confidence string `json:"confidence,omitempty"`
	Asked      bool   `json:"asked,omitempty"` // its sender asks for its release
	// Proposed is the first of the two decisions that its release needs.
	Proposed *Proposed `json:"proposed,omitempty"`
	// Ends is when [review] ends it, if nobody decides.
	Ends *time.Time `json:"ends,omitempty"`
	// Drill says that it was a message of a drill; it is not told of what is held.
	Drill bool `json:"drill,omitempty"`
	// Released are those who have it while it stays held for Recipients.
	Released []string `json:"released,omitempty"`
	// Decided is when somebody decided, DecidedBy who did; "" where it was time.
	Decided   *time.Time `json:"decided,omitempty"`
	DecidedBy string     `json:"decided_by,omitempty"`
	// Version is what Review.Version says again.
	Version string `json:"-"`
}

// HeldDetail is what `quarantine show` prints: why it was held, and where.
type HeldDetail struct {
	Held
	Reason   string     `json:"reason,omitempty"`
	Two      bool       `json:"two,omitempty"`      // its release takes two people
	Patients int        `json:"patients,omitempty"` // that identifiers point at, of those findings that are kept
	Findings []Position `json:"findings"`
	Gaps     []HeldGap  `json:"gaps"`
	// Parts are those that were read when it was judged, at most vault.MaxShownParts;
	// none where that was not noted.
	Parts []vault.ShownPart `json:"parts,omitempty"`
	// Typed are the parts that a typed password opened: it takes one to read them again.
	Typed []string `json:"typed,omitempty"`

	// Ask is what its sender asks for, nil for nothing.
	Ask *SendersAsk `json:"ask,omitempty"`
}

// Position is a finding without its text.
type Position struct {
	Rule       dlp.RuleID `json:"rule"`
	Type       dlp.Type   `json:"type"`
	Confidence string     `json:"confidence"`
	Part       string     `json:"part"`
	Start      int64      `json:"start"`
	End        int64      `json:"end"`
	Line       int        `json:"line"`
	// Masked is its text as it was when it was judged, and Before and After what
	// stands beside it; all of it masked but for words that rules know. "" beyond the
	// first vault.MaxShown, and where it was not noted.
	Masked string            `json:"masked,omitempty"`
	Before string            `json:"before,omitempty"`
	After  string            `json:"after,omitempty"`
	Steps  []vault.ShownStep `json:"steps,omitempty"` // what raised or lowered it
}

// HeldGap is a piece that was not read.
type HeldGap struct {
	Part   string `json:"part"`
	Name   string `json:"name,omitempty"`
	Cause  string `json:"cause"`
	Detail string `json:"detail,omitempty"`
}

// Queued is one message of the outbox as `queue list` shows it.
type Queued struct {
	ID         dlp.ID    `json:"id"`
	Doc        dlp.ID    `json:"doc"`
	Kind       string    `json:"kind"`
	State      string    `json:"state"`
	Created    time.Time `json:"created"`
	Next       time.Time `json:"next"`
	Expires    time.Time `json:"expires"`
	Tries      int       `json:"tries"`
	Size       int64     `json:"size"`
	Sender     string    `json:"sender"`
	Recipients []string  `json:"recipients"`
	Pending    int       `json:"pending"`
	Waiting    []string  `json:"waiting,omitempty"`    // those of Recipients who do not have it, where others do or never will
	LastCode   int       `json:"last_code"`            // to one who waits, or where nobody does to anybody
	LastStage  string    `json:"last_stage,omitempty"` // the step of talking to the next hop at which the last try had no reply
	Why        string    `json:"why,omitempty"`        // set aside: why
	Damaged    bool      `json:"damaged,omitempty"`    // its envelope does not open: sender and recipients are not known
}

// ListHeld lists the vault, urgent items first, else newest first: held items,
// or all of them. A non-empty header adds that field of held mail, which opens its content.
func (g *Gateway) ListHeld(ctx context.Context, all bool, header, actor string) ([]Held, error) {
	es, err := g.entries(ctx, all)
	if err != nil {
		return nil, err
	}
	if header != "" {
		e := audit.Event{Time: g.Now(), Kind: audit.Look, Actor: actor, Reason: audit.ReasonHeader, Findings: len(es)}
		if _, err := g.Audit.Append(ctx, e); err != nil {
			return nil, fmt.Errorf("gateway: record look: %w", err)
		}
	}
	out := make([]Held, 0, len(es))
	for _, e := range es {
		h := g.heldOf(e)
		if header != "" && e.Channel == dlp.Mail && e.State == vault.Held && !e.Damaged {
			if h.Header, err = g.headerOf(ctx, e.ID, header); err != nil {
				return nil, err
			}
		}
		out = append(out, h)
	}
	if err := g.deliveries(ctx, out); err != nil {
		return nil, err
	}
	if err := g.urgentFirst(ctx, out); err != nil {
		return nil, err
	}
	return out, g.asked(ctx, out)
}

// deliveries says of released mail what became of it in the outbox.
func (g *Gateway) deliveries(ctx context.Context, hs []Held) error {
	of := map[dlp.ID]*Held{}
	for i := range hs {
		if hs[i].State == string(vault.Released) && hs[i].Channel == dlp.Mail.String() {
			of[hs[i].ID] = &hs[i]
		}
	}
	var after, doc dlp.ID
	if len(hs) == 1 { // the outbox knows a document's messages, however much it has
		doc = hs[0].ID
	}
	for len(of) > 0 {
		page, err := g.Spool.List(ctx, spool.Filter{All: true, After: after, Doc: doc})
		if err != nil {
			return fmt.Errorf("gateway: list outbox: %w", err)
		}
		if len(page) == 0 {
			break
		}
		for _, m := range page {
			if h := of[m.Doc]; h != nil && m.Kind == spool.Release {
				h.Delivery = string(m.State)
			}
		}
		after = page[len(page)-1].ID
	}
	return nil
}

// markUrgent says what of hs is urgent.
func (g *Gateway) markUrgent(ctx context.Context, hs []Held) error {
	for some := range slices.Chunk(hs, maxCalls) {
		of := make(map[dlp.ID]*Held, len(some))
		ids := make([]dlp.ID, len(some))
		for i := range some {
			ids[i], of[some[i].ID] = some[i].ID, &some[i]
		}
		calls, err := g.Store.CallsOf(ctx, ids)
		if err != nil {
			return fmt.Errorf("gateway: list calls: %w", err)
		}
		for i := range calls {
			h, c := of[calls[i].ID], &calls[i]
			h.Urgent, h.Calls, h.AnswerBy = true, c.Level, &c.Due
		}
	}
	return nil
}

// urgentFirst says what of hs is urgent, and puts that first: what is due
// first before the others. All else stays in its order.
func (g *Gateway) urgentFirst(ctx context.Context, hs []Held) error {
	if err := g.markUrgent(ctx, hs); err != nil {
		return err
	}
	slices.SortStableFunc(hs, func(a, b Held) int {
		switch {
		case a.Urgent && b.Urgent:
			return a.AnswerBy.Compare(*b.AnswerBy)
		case a.Urgent:
			return -1
		case b.Urgent:
			return 1
		}
		return 0
	})
	return nil
}

// entries reads the whole list, page by page, and turns it newest first.
func (g *Gateway) entries(ctx context.Context, all bool) ([]vault.Entry, error) {
	var es []vault.Entry
	f := vault.Filter{All: all}
	for {
		page, err := g.Vault.List(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("gateway: list: %w", err)
		}
		if len(page) == 0 {
			slices.Reverse(es)
			return es, nil
		}
		es = append(es, page...)
		f.After = page[len(page)-1].ID
	}
}

func (g *Gateway) heldOf(e vault.Entry) Held {
	h := Held{ID: e.ID, Channel: e.Channel.String(), State: string(e.State), Received: e.Received, Policy: e.Policy,
		Rules: e.Rules, Sender: e.Envelope.Sender.String(), Recipients: []string{}, Root: e.Envelope.Root, Path: e.Envelope.Path,
		Size: e.Size, Causes: []string{}, Confidence: e.Confidence, Damaged: e.Damaged,
		Proposed: proposedOf(e.Proposal), Ends: g.ends(&e), Drill: g.wasDrill(&e), DecidedBy: e.DecidedBy, Version: e.Version}
	if !e.Decided.IsZero() {
		h.Decided = &e.Decided
	}
	if h.Rules == nil {
		h.Rules = []dlp.RuleID{}
	}
	for _, c := range e.Causes {
		h.Causes = append(h.Causes, c.String())
	}
	for _, r := range e.Envelope.Rcpts {
		h.Recipients = append(h.Recipients, r.String())
	}
	for _, r := range e.Envelope.Released {
		h.Released = append(h.Released, r.String())
	}
	return h
}

func (g *Gateway) headerOf(ctx context.Context, id dlp.ID, name string) (string, error) {
	r, err := g.Vault.Open(ctx, id, nil)
	if err != nil {
		return "", fmt.Errorf("gateway: open %s: %w", id, err)
	}
	defer r.Close()
	head, err := message.ReadHeader(r, maxHeader)
	if err != nil {
		return "", nil // no header block that could be read: no such field
	}
	return head.Get(name), nil
}

// ShowHeld tells why one item is held. It shows positions, not content.
// vault.ErrLocked where keys has not the case's and the server neither.
func (g *Gateway) ShowHeld(ctx context.Context, id dlp.ID, keys vault.Opened, actor string) (HeldDetail, error) {
	e, err := g.Vault.Get(ctx, id)
	if err != nil {
		return HeldDetail{}, fmt.Errorf("gateway: show %s: %w", id, err)
	}
	look := audit.Event{Time: g.Now(), Kind: audit.Look, Doc: id, Channel: e.Channel, Actor: actor, Reason: audit.ReasonCase}
	if _, err := g.Audit.Append(ctx, look); err != nil {
		return HeldDetail{}, fmt.Errorf("gateway: record look at %s: %w", id, err)
	}
	c, err := g.Vault.Case(ctx, id, keys.Case)
	if err != nil {
		return HeldDetail{}, fmt.Errorf("gateway: open case %s: %w", id, err)
	}
	s := c.Verdict.Strictest()
	h := []Held{g.heldOf(e)}
	if err := g.deliveries(ctx, h); err != nil {
		return HeldDetail{}, err
	}
	if err := g.urgentFirst(ctx, h); err != nil {
		return HeldDetail{}, err
	}
	d := HeldDetail{Held: h[0], Reason: s.Reason, Findings: positions(c), Gaps: []HeldGap{}, Parts: c.Shown.Parts, Typed: c.Shown.Typed,
		Two: g.cfg.Review.needsTwo(c), Patients: policy.Patients(c.Findings)}
	if d.Ask, err = g.askOf(ctx, id); err != nil {
		return HeldDetail{}, err
	}
	d.Asked = d.Ask != nil
	for _, gap := range c.Gaps {
		d.Gaps = append(d.Gaps, HeldGap{Part: gap.Path, Name: gap.Name, Cause: gap.Cause.String(), Detail: gap.Detail})
	}
	return d, nil
}

// Reject ends a hold: the content will never leave. The sender of a mail is
// told, within the bounds of every notice. keys are needed by nothing but what
// was held before it was noted whether its sender may be told.
func (g *Gateway) Reject(ctx context.Context, id dlp.ID, keys vault.Opened, actor string) error {
	return g.RejectFor(ctx, id, keys, actor, Review{})
}

// RejectFor is Reject with a reviewer's reason, and a note for the sender.
func (g *Gateway) RejectFor(ctx context.Context, id dlp.ID, keys vault.Opened, actor string, rv Review) error {
	done, err := g.alone(id)
	if err != nil {
		return err
	}
	defer done()
	held, err := g.Vault.Get(ctx, id)
	if err == nil && held.State != vault.Held { // a reason of a decision that is none is not recorded
		err = ErrNotHeld
	}
	if err == nil {
		err = rv.asShown(held)
	}
	if err == nil {
		err = g.noteGoes(ctx, rv.Note)
	}
	if err != nil {
		return fmt.Errorf("gateway: reject %s: %w", id, err)
	}
	if err := g.reviewed(ctx, id, rv, actor, ""); err != nil {
		return err
	}
	if g.isDrill(id) {
		return g.decideDrill(ctx, id, drill.WouldReject, vault.Rejected, actor, rv.Words)
	}
	e, seq, err := g.open(ctx, id, audit.Reject, "", actor, nil)
	if err != nil {
		return err
	}
	var ch store.Change
	if e.Channel == dlp.Mail && !e.Envelope.Sender.IsNull() {
		ch.Out, ch.Notices = g.rejectNotice(ctx, e, keys.Content, rv.Note, actor == "")
	}
	if err := g.move(ctx, ch, id, vault.Rejected, actor, rv.Words); err != nil {
		g.notMoved(ctx, ch, e, seq, err)
		return fmt.Errorf("gateway: reject %s: %w", id, err)
	}
	g.done(ctx, e, seq, audit.ResultRejected)
	return nil
}

// move commits ch together with the item's way out of the queue.
func (g *Gateway) move(ctx context.Context, ch store.Change, id dlp.ID, to vault.State, actor, why string) error {
	t, err := g.Vault.Transition(id, vault.Held, to, g.Now(), actor, why)
	if err != nil {
		return err
	}
	ch.Decide = append(ch.Decide, t)
	err = g.commit(ctx, ch)
	ctx, cancel := lasting(ctx)
	defer cancel()
	if err := g.standing(ctx, err, func(ctx context.Context) (bool, error) { // nobody else moves it meanwhile
		e, err := g.Vault.Get(ctx, id)
		return e.State == to, err
	}); err != nil {
		return err
	}
	poke(g.calls) // there may be one less
	return nil
}

// notMoved ends a person's act that was not carried out because of err.
func (g *Gateway) notMoved(ctx context.Context, ch store.Change, e vault.Entry, seq uint64, err error) {
	g.discard(ctx, store.Change{Out: ch.Out, Parcels: ch.Parcels, Notices: ch.Notices}, err)
	result := audit.ResultFailed
	if errors.Is(err, store.ErrUnknown) {
		result = audit.ResultUnknown
	}
	g.done(ctx, e, seq, result)
}

func (g *Gateway) rejectNotice(ctx context.Context, e vault.Entry, key []byte, note string, late bool) ([]spool.Entry, []store.NoticeMark) {
	if !e.Envelope.Tell && !g.wanted(ctx, e, key) {
		return nil, nil
	}
	n := g.about(&e)
	n.Hostname, n.To, n.Hidden, n.Policy = g.cfg.Hostname, e.Envelope.Sender, g.hides(ctx, e.Envelope.Sender), "rejected"
	n.Note, n.Late, n.Decision = note, late, true
	if note != "" { // a word to this message's sender is not left out for earlier ones' sake
		n.Policy, n.Decision = "rejected:"+string(e.ID), false
	}
	return g.tell(ctx, n, g.cfg.Notices.Rejected(n))
}

// wanted reports whether the sender of a held message may be told, by its
// header: of one that was held before that was noted.
func (g *Gateway) wanted(ctx context.Context, e vault.Entry, key []byte) bool {
	r, err := g.Vault.Open(ctx, e.ID, key)
	if err != nil {
		return false
	}
	defer r.Close()
	head, err := message.ReadHeader(r, maxHeader)
	return err == nil && notify.Wanted(head, e.Envelope.Sender)
}

// Export writes the held bytes exactly as they came. The look is on record
// before the first byte is written. keys are as for Release.
func (g *Gateway) Export(ctx context.Context, id dlp.ID, keys vault.Opened, actor string, w io.Writer) error {
	if err := g.unlocked(ctx, id, keys); err != nil {
		return fmt.Errorf("gateway: export %s: %w", id, err)
	}
	e, err := g.Vault.Get(ctx, id)
	if err != nil {
		return fmt.Errorf("gateway: export %s: %w", id, err)
	}
	look := audit.Event{Time: g.Now(), Kind: audit.Export, Doc: id, Channel: e.Channel, Actor: actor}
	if _, err := g.Audit.Append(ctx, look); err != nil {
		return fmt.Errorf("gateway: record export of %s: %w", id, err)
	}
	r, err := g.Vault.Open(ctx, id, keys.Content)
	if err != nil {
		return fmt.Errorf("gateway: open %s: %w", id, err)
	}
	defer r.Close()
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("gateway: export %s: %w", id, err)
	}
	return nil
}

// ErrNoRoutes says that no route is configured to be tried.
var ErrNoRoutes = errors.New("this serve has no [[doctor.routes]]: add them (docs/doctor.md) and restart it")

// ErrNotHeld says that somebody decided about the item before.
var ErrNotHeld = errors.New("not held any more; see `stanch quarantine list --all`")

// open finds a held item and puts the officer's decision on record, with a
// reason that is a constant, or "", and whom it is about: nil for all.
func (g *Gateway) open(ctx context.Context, id dlp.ID, kind audit.Kind, reason, actor string, rcpts []dlp.Address) (vault.Entry, uint64, error) {
	e, err := g.Vault.Get(ctx, id)
	if err != nil {
		return e, 0, fmt.Errorf("gateway: %s %s: %w", kind, id, err)
	}
	if e.State != vault.Held {
		return e, 0, fmt.Errorf("gateway: %s %s: %w", kind, id, ErrNotHeld)
	}
	seq, err := g.Audit.Append(ctx, audit.Event{Time: g.Now(), Kind: kind, Doc: id, Channel: e.Channel, Actor: actor, Reason: reason,
		Rcpts: len(rcpts), RcptKeys: g.rcptKeys(rcpts)})
	if err != nil {
		return e, 0, fmt.Errorf("gateway: record %s of %s: %w", kind, id, err)
	}
	return e, seq, nil
}

func (g *Gateway) done(ctx context.Context, e vault.Entry, seq uint64, result string) {
	g.outcome(ctx, &dlp.Document{ID: e.ID, Channel: e.Channel}, seq, result)
}

// QueuePage lists a page of the spool in the order of arrival, from behind the
// message after: what has not ended, or all it knows. The page after the last
// is empty.
func (g *Gateway) QueuePage(ctx context.Context, all bool, after dlp.ID) ([]Queued, error) {
	page, err := g.Spool.List(ctx, spool.Filter{All: all, After: after})
	if err != nil {
		return nil, fmt.Errorf("gateway: list outbox: %w", err)
	}
	out := make([]Queued, 0, len(page))
	for _, m := range page {
		out = append(out, queuedOf(m))
	}
	return out, nil
}

func queuedOf(m spool.Message) Queued {
	q := Queued{ID: m.ID, Doc: m.Doc, Kind: string(m.Kind), State: string(m.State), Created: m.Created, Next: m.Next,
		Expires: m.Expires, Tries: m.Tries, Size: m.Size, Sender: m.From.String(), Recipients: []string{},
		Why: string(m.Why), Damaged: m.Damaged}
	for _, r := range m.Rcpts {
		q.Recipients = append(q.Recipients, r.Addr.String())
		if r.State == spool.RcptPending {
			q.Waiting = append(q.Waiting, r.Addr.String())
		}
	}
	q.Pending = len(q.Waiting)
	if q.Pending == len(q.Recipients) {
		q.Waiting = nil
	}
	for _, r := range m.Rcpts {
		if q.Pending > 0 && r.State != spool.RcptPending {
			continue
		}
		if r.Code != 0 {
			q.LastCode = r.Code
		}
		if r.At != "" {
			q.LastStage = r.At
		}
	}
	return q
}

// ShowQueued returns one message of the outbox.
func (g *Gateway) ShowQueued(ctx context.Context, id dlp.ID) (Queued, error) {
	m, err := g.Spool.Find(ctx, id)
	if err != nil {
		return Queued{}, fmt.Errorf("gateway: show %s: %w", id, err)
	}
	return queuedOf(m), nil
}

// RetryQueued makes a message of the outbox due now.
func (g *Gateway) RetryQueued(ctx context.Context, id dlp.ID, actor string) error {
	return g.changeQueued(ctx, id, audit.QueueRetry, actor, func(m *spool.Message) {
		m.Next = g.Now()
		if m.State == spool.Poison {
			m.State, m.Why, m.Tries, m.Deaths = spool.Queued, "", 0, 0
			if m.Kind == spool.Reading {
				m.State = spool.ToRead
			}
		}
	})
}

// DropQueued gives a message of the outbox up. It is on the audit log; the
// sender is not told.
func (g *Gateway) DropQueued(ctx context.Context, id dlp.ID, actor string) error {
	return g.changeQueued(ctx, id, audit.QueueDrop, actor, func(m *spool.Message) { m.State = spool.Dropped })
}

// ErrBusy says that a delivery of the message, or another decision about the
// held item, is under way.
var ErrBusy = errors.New("in hand right now; try again in a moment")

// alone keeps everybody else from acting on id until done is called.
func (g *Gateway) alone(id dlp.ID) (done func(), err error) {
	if _, active := g.busy.LoadOrStore(id, struct{}{}); active {
		return nil, fmt.Errorf("gateway: %s: %w", id, ErrBusy)
	}
	return func() { g.busy.Delete(id) }, nil
}

func (g *Gateway) changeQueued(ctx context.Context, id dlp.ID, kind audit.Kind, actor string, change func(*spool.Message)) error {
	done, err := g.alone(id)
	if err != nil {
		return err
	}
	defer done()
	m, err := g.Spool.Find(ctx, id)
	if err != nil {
		return fmt.Errorf("gateway: %s: %w", id, err)
	}
	if m.State.Ended() {
		return fmt.Errorf("gateway: %s: %w", id, ErrNotQueued)
	}
	e := audit.Event{Time: g.Now(), Kind: kind, Doc: m.Doc, Channel: dlp.Mail, Actor: actor}
	if _, err := g.Audit.Append(ctx, e); err != nil {
		return fmt.Errorf("gateway: record: %w", err)
	}
	change(&m)
	up, err := g.Spool.Progress(m)
	if err != nil {
		return fmt.Errorf("gateway: %s: %w", id, err)
	}
	if err := g.commit(ctx, store.Change{Progress: []spool.Update{up}}); err != nil {
		return fmt.Errorf("gateway: %s: %w", id, err)
	}
	poke(g.wake)
	poke(g.unread.wake)
	return nil
}

// ErrNotQueued says that the outbox has ended with the message.
var ErrNotQueued = errors.New("not in the queue any more; see `stanch queue list --all`")
