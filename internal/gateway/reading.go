package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// maxReads is how often the reading of one message may be begun. A message
// that ends the process each time, or cannot be read at all, is held then.
const maxReads = 3

// backlog bounds what is in the spool to be read on.
type backlog struct {
	wake chan struct{}

	mu    sync.Mutex
	n     int   // guarded by mu: messages on their way into the spool
	bytes int64 // guarded by mu: their size
}

// reserve claims room for one more message of size bytes until done is called:
// then it is in the spool, or was not taken.
func (g *Gateway) reserve(ctx context.Context, size int64) (done func(), ok bool, err error) {
	b := &g.unread
	b.mu.Lock()
	defer b.mu.Unlock()
	n, bytes, err := g.Spool.Size(ctx, spool.ToRead)
	if err != nil {
		return nil, false, err
	}
	if n+b.n >= g.cfg.Background.Queue || bytes+b.bytes+size > g.cfg.Background.Bytes {
		return nil, false, nil
	}
	b.n, b.bytes = b.n+1, b.bytes+size
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.n, b.bytes = b.n-1, b.bytes-size
	}, true, nil
}

// readOn takes a message that takes long to read into the spool, so that its
// client waits no longer; RunReading reads and judges it.
func (m *mail) readOn(ctx context.Context) dlp.Outcome {
	out := dlp.Outcome{Kind: dlp.TryAgain, ID: m.doc.ID}
	done, ok, err := m.reserve(ctx, m.doc.Size)
	if err != nil {
		m.warn(ctx, "spool not asked for room", m.doc.ID, err)
		return out
	}
	if !ok {
		m.Log.LogAttrs(ctx, slog.LevelWarn, "too many messages wait to be read on; the sender is to try again",
			slog.String("doc", string(m.doc.ID)))
		out.Kind = dlp.QueueFull
		return out
	}
	defer done()
	m.j = judgement{verdict: held(m.doc, dlp.ReasonReading)}
	return m.takeOver(ctx, func(rep store.Repeat) (dlp.OutcomeKind, string, error) {
		e, err := m.sealUnread(ctx)
		if err != nil {
			return 0, "", fmt.Errorf("gateway: spool %s: %w", m.doc.ID, err)
		}
		ch := store.Change{Out: []spool.Entry{e}, Repeats: []store.Repeat{rep}}
		if err := m.commit(ctx, ch); err != nil {
			m.discard(ctx, ch, err)
			return 0, "", err
		}
		poke(m.unread.wake)
		return dlp.Spooled, audit.ResultSpooled, nil
	})
}

// sealUnread seals the message as it came, with all that judging it and
// sending it on will need.
func (m *mail) sealUnread(ctx context.Context) (spool.Entry, error) {
	body, err := m.doc.Open()
	if err != nil {
		return spool.Entry{}, err
	}
	defer body.Close()
	sm := m.ours(spool.Reading, m.doc.Rcpts)
	sm.State, sm.Trace, sm.Created = spool.ToRead, m.doc.Trace, m.doc.Received
	m.OnStep("spool unread")
	return m.Spool.Seal(ctx, sm, body)
}

// RunReading reads and judges what was taken into the spool to be read on,
// until ctx ends. A message whose reading is broken off by that is read anew
// at the next start.
func (g *Gateway) RunReading(ctx context.Context) error {
	return g.drain(ctx, &lane{state: spool.ToRead, slots: make(chan struct{}, max(1, g.cfg.Background.Readers)),
		wake: g.unread.wake, work: func(ctx context.Context, m spool.Message, _ func()) { g.readUnread(ctx, m) },
		broken: func(context.Context, spool.Message) {}}) // that it was begun is on record, and counted
}

// readUnread reads one message of the spool and carries its verdict out. That
// it was begun is on stable storage before its first byte is read: a message
// that takes the process with it is not read for ever.
func (g *Gateway) readUnread(ctx context.Context, m spool.Message) {
	doc := g.unreadDoc(m)
	if m.Tries >= maxReads {
		g.Log.LogAttrs(ctx, slog.LevelError, "a message could not be read in the background; it is held", slog.String("doc", string(m.Doc)))
		g.conclude(ctx, m, doc, judgement{verdict: held(doc, dlp.ReasonJudgeFailed)})
		return
	}
	m.Tries++
	m.Next = g.Now() // after a crash it is read anew at once
	if err := g.progress(ctx, m); err != nil {
		g.warn(ctx, "reading not begun", m.Doc, err)
		g.pause(ctx, settleFirst) // it is due again at once
		return
	}
	g.OnStep("read on")
	j, err := g.judge(ctx, doc, headOf(doc), func(ctx context.Context, doc *dlp.Document, rules *Rules) ([]dlp.Finding, []dlp.Gap, error) {
		return g.readAlone(ctx, doc, rules)
	})
	switch {
	case ctx.Err() != nil: // stopping: the try is not counted
		m.Tries--
		if err := g.progress(ctx, m); err != nil {
			g.warn(ctx, "broken off reading not noted", m.Doc, err)
		}
	case err != nil:
		g.warn(ctx, "message not read in the background; it is tried again", m.Doc, err)
		m.Next = g.Now().Add(spool.Backoff(m.Tries, 0)) // the readers are few: what comes together takes turns
		if err := g.progress(ctx, m); err != nil {
			g.warn(ctx, "failed reading not noted", m.Doc, err)
			g.pause(ctx, settleFirst)
		}
	default:
		g.conclude(ctx, m, doc, g.neverClear(ctx, doc, j))
	}
}

// readAlone extracts and detects what no client waits for. Its readers are its
// own, but for those of pictures: for these it waits its turn.
func (g *Gateway) readAlone(ctx context.Context, doc *dlp.Document, rules *Rules) ([]dlp.Finding, []dlp.Gap, error) {
	turn := &turn{g.classOf(doc), func() {}}
	defer func() { turn.done() }()
	return g.readWithin(ctx, g.cfg.Background.Timeout, doc, rules, func(ctx context.Context, r dlp.SlowReader) error {
		if r != dlp.OCRReader {
			return nil
		}
		return turn.move(ctx, g.pictures)
	})
}

// conclude carries the verdict on a message of the spool out until that is
// done, with growing pauses, or until ctx ends: then it is read anew. What
// comes of the message and the end of its unread form are one transaction.
func (g *Gateway) conclude(ctx context.Context, m spool.Message, doc *dlp.Document, j judgement) {
	x := &mail{Gateway: g, doc: doc, j: j, ended: true} // there is no onward transaction
	seen, isProbe := g.sighted(doc)                     // the unread form is gone afterwards
	for pause := settleFirst; ; pause = min(2*pause, settleMost) {
		kind, err := x.judged(ctx, m)
		if err == nil {
			if !doc.Unproved { // that was counted when it was taken
				g.Metrics.Document("mail", x.counted(kind))
			}
			if isProbe {
				g.probed(ctx, seen, doc, j.verdict, dlp.Outcome{Kind: kind})
			}
			return
		}
		g.warn(ctx, "verdict on a message of the spool not carried out", m.Doc, err)
		if !g.pause(ctx, pause) {
			return // what became of it may not be known: nothing is taken away
		}
		if now, err := g.Spool.Get(ctx, m.ID); err != nil || now.State.Ended() {
			return // it was carried out after all; or it is read anew later
		}
		if err := g.readable(ctx, m.ID); err != nil && !errors.Is(err, store.ErrNoRoom) && ctx.Err() == nil {
			g.setAside(ctx, m, spool.WhyContent)
			return
		}
		// What was staged for the hold may still be there: the disk that failed
		// did not let it be taken away either. Nothing of it stands, and nothing is
		// under way: judged has waited until that was so.
		_ = g.Vault.Discard(ctx, vault.Item{ID: doc.ID})
	}
}

// readable reports why the content of id cannot be read to its end.
func (g *Gateway) readable(ctx context.Context, id dlp.ID) error {
	r, err := g.Spool.Open(ctx, id)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

// judged makes one try to carry a verdict out. When it returns nothing of the
// try is under way any more, unless ctx has ended.
func (m *mail) judged(ctx context.Context, unread spool.Message) (kind dlp.OutcomeKind, err error) {
	unread.State = spool.Judged
	end, err := m.Spool.Progress(unread)
	if err != nil {
		return 0, err
	}
	if err := m.encrypt(ctx); err != nil {
		return 0, err
	}
	defer m.forgetCiphers()
	if m.seq, err = m.decide(ctx, m.doc, m.j); err != nil {
		return 0, err
	}
	m.OnStep("judged")
	groups := m.groups()
	_, _, err = m.take(ctx, store.Change{Progress: []spool.Update{end}}, groups)
	err = m.standing(ctx, err, func(ctx context.Context) (bool, error) {
		now, err := m.Spool.Get(ctx, unread.ID)
		return now.State.Ended(), err
	})
	kind, result := groups.outcome()
	switch {
	case errors.Is(err, store.ErrUnknown):
		result = audit.ResultUnknown
	case err != nil:
		result = audit.ResultFailed
	}
	m.outcome(ctx, m.doc, m.seq, result)
	return kind, err
}

// progress makes durable where m stands, whether or not ctx is over.
func (g *Gateway) progress(ctx context.Context, m spool.Message) error {
	up, err := g.Spool.Progress(m)
	if err != nil {
		return err
	}
	return g.commit(ctx, store.Change{Progress: []spool.Update{up}})
}

// unreadDoc is the Document that m was when it came to the door, for those who are
// still without it.
func (g *Gateway) unreadDoc(m spool.Message) *dlp.Document {
	doc := &dlp.Document{ID: m.Doc, Channel: dlp.Mail, Sender: m.From, Received: m.Created, Size: m.Size,
		Params: m.Params, Trace: m.Trace}
	if m.Kind == spool.Proved { // of the document itself something may be held already
		doc.ID, doc.Unproved = m.ID, true
	}
	for _, r := range m.Rcpts {
		if r.State != spool.RcptPending {
			continue
		}
		doc.Rcpts, doc.RcptParams = append(doc.Rcpts, r.Addr), append(doc.RcptParams, r.Params)
	}
	doc.Open = func() (io.ReadSeekCloser, error) {
		r := &rereader{open: func() (io.ReadCloser, error) { return g.Spool.Open(context.Background(), m.ID) }, size: m.Size}
		return r, r.rewind()
	}
	return doc
}

// rereader makes a sealed stream seekable, by reading it anew from its start.
type rereader struct {
	open func() (io.ReadCloser, error)
	size int64
	r    io.ReadCloser
	at   int64 // where r stands
	want int64 // where the next Read begins
}

func (x *rereader) rewind() (err error) {
	if x.r != nil {
		_ = x.r.Close() // only read from
	}
	x.r, err = x.open()
	x.at = 0
	return err
}

// Read reads from where the last Read or Seek ended.
func (x *rereader) Read(p []byte) (int, error) {
	if x.want < x.at {
		if err := x.rewind(); err != nil {
			return 0, err
		}
	}
	if x.want > x.at {
		n, err := io.CopyN(io.Discard, x.r, x.want-x.at)
		x.at += n
		if err != nil {
			return 0, err
		}
	}
	n, err := x.r.Read(p)
	x.at += int64(n)
	x.want = x.at
	return n, err
}

// errSeek says that a place before the start was asked for.
var errSeek = errors.New("gateway: seek before the start")

// Seek sets where the next Read begins.
func (x *rereader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += x.want
	case io.SeekEnd:
		offset += x.size
	}
	if offset < 0 {
		return 0, errSeek
	}
	x.want = offset
	return offset, nil
}

// Close ends the reading.
func (x *rereader) Close() error {
	if x.r == nil {
		return nil
	}
	return x.r.Close()
}
