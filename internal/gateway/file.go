package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// File leads one settled file down the road. claim takes it away if need be;
// when File returns, the file is where it was, in the vault, or encrypted. Only
// where nobody knows whether the vault has it, for stable storage does not
// answer, the claim is left as it is: who made it asks Kept later.
func (g *Gateway) File(ctx context.Context, doc *dlp.Document, claim dlp.Claim) (out dlp.Outcome) {
	defer func() {
		if p := recover(); p != nil {
			g.Log.LogAttrs(ctx, slog.LevelError, "handling a file broke; it stays and is read again",
				slog.String("doc", string(doc.ID)), slog.String("stack", string(debug.Stack())))
			out = dlp.Outcome{Kind: dlp.TryAgain, ID: doc.ID}
		}
		g.Metrics.Document("file", out.Kind.String())
	}()
	out = dlp.Outcome{Kind: dlp.TryAgain, ID: doc.ID}
	if err := doc.Validate(); err != nil {
		g.warn(ctx, "door made a bad document", doc.ID, err)
		return out
	}
	if g.storage.full(g.Now()) {
		return out
	}
	j, err := g.judge(ctx, doc, headOf(doc), g.read)
	if err != nil {
		return out
	}
	out.Verdict = j.verdict
	seq, err := g.decide(ctx, doc, j)
	if err != nil {
		g.warn(ctx, "decision not recorded", doc.ID, err)
		return out
	}
	seen, isProbe := g.sighted(doc) // where it is: afterwards it may be gone
	actx, cancel := acting(ctx)
	defer cancel()
	result := audit.ResultFailed
	switch j.verdict.Strictest().Action {
	case dlp.Allow, dlp.AddTag:
		out.Kind, result = dlp.Reported, audit.ResultReported
		if len(j.found) > 0 || len(j.gaps) > 0 {
			g.keepCase(actx, doc.ID, caseOf(doc, j, fileEnvelope(doc), g.Now()))
		}
	case dlp.Encrypt:
		if err = encryptFile(actx, claim); err == nil {
			out.Kind, result = dlp.Sealed, audit.ResultEncrypted
		}
	default:
		if err = g.quarantine(actx, doc, j, claim); err == nil {
			out.Kind, result = dlp.Held, audit.ResultHeld
		}
	}
	if errors.Is(err, dlp.ErrChanged) {
		out.Kind, result = dlp.Changed, audit.ResultChanged
	} else if err != nil {
		g.warn(ctx, "file not acted on", doc.ID, err)
		if errors.Is(err, store.ErrUnknown) {
			result = audit.ResultUnknown
		}
		if errors.Is(err, store.ErrNoRoom) {
			g.storage.filled(g.Now())
		}
	}
	g.outcome(ctx, doc, seq, result)
	if isProbe {
		g.probed(ctx, seen, doc, j.verdict, out)
	}
	return out
}

// storage remembers when the vault last had no room for a file. Each try leaves
// a decision and an outcome on record: a share full of files that are tried
// over and over would use up the room that the audit log has in reserve, with
// which clean mail flows on.
type storage struct{ since atomic.Pointer[time.Time] }

// fullPause is how long no file is tried after one found no room: one try in a
// pause leaves the reserve of 8 MiB for more than a day.
const fullPause = 15 * time.Second

func (s *storage) filled(now time.Time) { s.since.Store(&now) }

func (s *storage) full(now time.Time) bool {
	at := s.since.Load()
	return at != nil && now.Sub(*at) < fullPause
}

// stopGrace is how long an act on a file may go on once its caller is told to
// stop; past it the file is put back.
const stopGrace = 15 * time.Second

// acting returns a context for taking a file away. It has no bound while ctx
// lives, for reading and sealing take as long as the file is large. The file
// may be out of its place: when ctx ends the act has stopGrace left.
func acting(ctx context.Context) (context.Context, context.CancelFunc) {
	act, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })
	return act, func() { stop(); cancel() }
}

// encryptFile takes the file and leaves it encrypted, or puts it back.
func encryptFile(ctx context.Context, claim dlp.Claim) error {
	if err := claim.Take(ctx); err != nil {
		return err
	}
	if err := claim.Encrypt(ctx); err != nil {
		return errors.Join(err, claim.PutBack(ctx))
	}
	return nil
}

// quarantine takes the file, seals it, and removes it only once the vault has
// it on stable storage; any failure before that puts it back. One that may be in
// the vault is neither removed nor put back: put back, it would be held again.
func (g *Gateway) quarantine(ctx context.Context, doc *dlp.Document, j judgement, claim dlp.Claim) error {
	if err := claim.Take(ctx); err != nil {
		return err
	}
	g.OnStep("taken")
	if err := g.vaultFile(ctx, doc, j, claim); err != nil {
		if errors.Is(err, dlp.ErrChanged) || errors.Is(err, store.ErrUnknown) { // Check has put it back; nobody knows
			return err
		}
		return errors.Join(err, claim.PutBack(ctx))
	}
	g.OnStep("kept")
	if err := claim.Remove(ctx, g.stub(doc, j)); err != nil {
		// The vault has it: this is a hold. The sweep at the next start removes
		// what is left in the root's own folder.
		g.warn(ctx, "held file not removed from the root's own folder", doc.ID, err)
	}
	g.OnStep("removed")
	return nil
}

func (g *Gateway) vaultFile(ctx context.Context, doc *dlp.Document, j judgement, claim dlp.Claim) error {
	taken := *doc
	taken.Open = claim.Open
	c := caseOf(doc, j, fileEnvelope(doc), g.Now())
	c.Shown = g.shown(ctx, &taken, j)
	if doc.File != nil {
		c.SHA256 = doc.File.SHA256
	}
	item, err := g.Vault.Seal(ctx, &taken, c)
	if err != nil {
		return fmt.Errorf("gateway: seal %s: %w", doc.ID, err)
	}
	ch := store.Change{Hold: []vault.Item{item}}
	if err := claim.Check(ctx); err != nil {
		g.discard(ctx, ch, err)
		return err
	}
	ch.Out, ch.Notices = g.atOnce(ctx, doc, j)
	err = g.commit(ctx, ch)
	ctx, cancel := lasting(ctx)
	defer cancel()
	if err := g.standing(ctx, err, func(ctx context.Context) (bool, error) {
		kept, _, err := g.Kept(ctx, doc.ID)
		return kept, err
	}); err != nil {
		g.discard(ctx, ch, err)
		return err
	}
	return nil
}

func fileEnvelope(doc *dlp.Document) vault.Envelope {
	return vault.Envelope{Root: doc.Root, Path: doc.Name, File: doc.File}
}

// Kept reports whether the file claimed under id is in the vault, whatever was
// decided about it since, and the digest it was sealed with. Its error says that
// this is not known: a hold to whose commit there was no answer may yet stand.
func (g *Gateway) Kept(ctx context.Context, id dlp.ID) (bool, [32]byte, error) {
	e, err := g.Vault.Get(ctx, id)
	if errors.Is(err, vault.ErrNotFound) {
		// Stable storage has come to all that was handed over before this.
		if err := g.Store.Commit(ctx, store.Change{}); err != nil {
			return false, [32]byte{}, fmt.Errorf("gateway: look up claim %s: %w", id, err)
		}
		e, err = g.Vault.Get(ctx, id)
	}
	if errors.Is(err, vault.ErrNotFound) {
		return false, [32]byte{}, nil
	}
	if err != nil {
		return false, [32]byte{}, fmt.Errorf("gateway: look up claim %s: %w", id, err)
	}
	return true, e.SHA256, nil
}

// stub is the text left in the place of a file that was taken away: kinds of
// data, what to do, and the id; nothing from the file.
func (g *Gateway) stub(doc *dlp.Document, j judgement) []byte {
	return notify.Stub(notify.Notice{ID: doc.ID, Types: typesOf(j, dlp.Hold), Coaching: j.coaching(dlp.Hold), Causes: j.verdict.Strictest().Causes,
		When: g.Now()}, g.cfg.Notices)
}

// StubText words the stub of a file that a sweep finishes taking away, when
// what the vault tells of it without a key is all that is at hand.
func (g *Gateway) StubText(ctx context.Context, id dlp.ID) []byte {
	e, err := g.Vault.Get(ctx, id)
	if err != nil { // a stub says where the file is, if not why
		g.warn(ctx, "a stub does not say what its file is held for", id, err)
		e.ID, e.Rules, e.Causes = id, nil, nil
	}
	return notify.Stub(g.about(&e), g.cfg.Notices)
}

// releaseFile puts a held file back where it was.
func (g *Gateway) releaseFile(ctx context.Context, e vault.Entry, keys vault.Opened) error {
	if g.Files == nil || e.Envelope.File == nil {
		return ErrNoRoot
	}
	c, err := g.Vault.Case(ctx, e.ID, keys.Case)
	if err != nil {
		return fmt.Errorf("gateway: open case %s: %w", e.ID, err)
	}
	content, err := g.Vault.Open(ctx, e.ID, keys.Content)
	if err != nil {
		return fmt.Errorf("gateway: open %s: %w", e.ID, err)
	}
	defer content.Close()
	why := dlp.Released{}
	for _, r := range c.Verdict.Rcpts {
		why.Rules, why.Causes = append(why.Rules, r.Rules...), append(why.Causes, r.Causes...)
	}
	_, err = g.Files.Restore(ctx, e.Envelope.Root, e.Envelope.Path, *e.Envelope.File, e.ID, content, why)
	return err
}

// ErrNoRoot says that the watched folder of a held file is not configured any
// more; `quarantine export` still gives the content.
var ErrNoRoot = errors.New("the watched folder it came from is not configured; add it back or use quarantine export")
