package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/backup"
	"github.com/stanch-dlp/stanch/internal/bypass"
	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dkim"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/dossier"
	"github.com/stanch-dlp/stanch/internal/drill"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/loop"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/internal/notify/hook"
	"github.com/stanch-dlp/stanch/internal/passbook"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/probe"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/sample"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/smtp/route"
	"github.com/stanch-dlp/stanch/watch"
)

// node is all that stands on one data folder: what serve and, while none runs,
// single commands work with. It owns the folder from open to Close.
type node struct {
	cfg     *config.Config
	log     *slog.Logger
	metrics *metrics.Set
	ring    *crypt.Ring
	periods *age.Periods
	hops    *route.Router // serve only
	hand    *spool.Hand   // serve only
	db      *sqlite.DB
	bypass  *bypass.Switch
	sign    *dkim.Signer   // nil: nothing is signed
	hook    *hook.Command  // nil: calls are made by mail alone
	texts   *hook.Command  // nil: codes of the portal go by mail alone
	named   *passbook.Book // of passwords in mails; nil: none is kept
	probes  *probe.Book
	audit   *audit.Log
	pending []audit.Pending
	lock    *safefile.Locked
}

// The data folder (docs/vault.md, docs/audit.md).
func lockPath(dir string) string    { return filepath.Join(dir, "lock") }
func keysDir(dir string) string     { return filepath.Join(dir, "keys") }
func auditDir(dir string) string    { return filepath.Join(dir, "audit") }
func anchorPath(dir string) string  { return filepath.Join(dir, "state", "audit.head") }
func consoleDir(dir string) string  { return filepath.Join(dir, "state", "console") }
func bypassDir(dir string) string   { return filepath.Join(dir, "state", "bypass") }
func periodsPath(dir string) string { return filepath.Join(dir, "keys", "vault.keys") }
func auditKey(dir string) string    { return filepath.Join(dir, "keys", "audit.key") }
func sampleDir(dir string) string   { return filepath.Join(dir, "sample") }
func handPath(dir string) string    { return filepath.Join(dir, "state", "outbox.hand") }
func alivePath(dir string) string   { return filepath.Join(dir, "state", "outbox.alive") }

// openNode takes the data folder's lock and opens everything in it. A folder
// that a restore did not come to the end of is not opened.
func openNode(ctx context.Context, cfg *config.Config, log *slog.Logger, m *metrics.Set) (n *node, err error) {
	dir := cfg.DataDir
	if _, err := os.Lstat(filepath.Join(dir, backup.Unfinished)); err == nil {
		return nil, fmt.Errorf("data_dir %s: a restore is under way or was cut short: run `stanch restore` again", dir)
	}
	for _, d := range []string{dir, keysDir(dir), auditDir(dir), filepath.Dir(anchorPath(dir)), filepath.Join(dir, "tmp"), filepath.Join(dir, "cache")} {
		if err := safefile.MkdirAll(d); err != nil {
			return nil, fmt.Errorf("data_dir %s: want a folder of the user that serves, or one that this user can make: %w", dir, err)
		}
	}
	n = &node{cfg: cfg, log: log, metrics: m}
	begun := n // what an error returns is none
	if n.lock, err = safefile.Lock(lockPath(dir)); err != nil {
		if errors.Is(err, safefile.ErrLocked) {
			return nil, &inUseError{dir: dir}
		}
		return nil, fmt.Errorf("data_dir %s: want a folder of the user that serves: lock: %w", dir, err)
	}
	defer func() {
		if err != nil {
			_ = begun.Close() // the first error says what is wrong
		}
	}()
	if n.sign, err = dkim.New(cfg.DKIM); err != nil {
		return nil, fmt.Errorf("dkim.key: %w", err)
	}
	if n.ring, err = crypt.Open(keysDir(dir)); err != nil {
		return nil, err
	}
	if n.db, err = sqlite.Open(ctx, dir, sqlite.Options{Lock: n.lock, KeyID: n.ring.ID(), Steps: onStep}); err != nil {
		return nil, err
	}
	if err = n.openPeriods(ctx); err != nil {
		return nil, err
	}
	n.audit, n.pending, err = audit.Open(ctx, audit.Options{Dir: auditDir(dir), Key: auditKey(dir), AnchorPath: anchorPath(dir), Log: log})
	if err != nil {
		return nil, err
	}
	return n, n.noteRestored(ctx)
}

// openPeriods opens the keys of the vault. With reviewers_only it takes the
// release key away, once all that it opened is sealed to the reviewers.
func (n *node) openPeriods(ctx context.Context) error {
	used, err := n.db.PeriodsUsed(ctx)
	if err != nil {
		return err
	}
	v, dir := n.cfg.Vault, n.cfg.DataDir
	reviewers, err := reviewersOf(n.cfg)
	if err != nil {
		return err
	}
	c := age.PeriodsConfig{Path: periodsPath(dir), Server: n.ring.Release(), Reviewers: reviewers, Only: v.ReviewersOnly, Needed: v.ReviewersNeeded}
	onStep("vault keys: settle")
	if n.periods, err = age.OpenPeriods(c, used); err != nil {
		return err
	}
	if !v.ReviewersOnly || n.ring.Release() == nil {
		return nil
	}
	onStep("vault keys: forget")
	if err := n.ring.ForgetRelease(keysDir(dir)); err != nil {
		return err
	}
	n.log.Warn("the release key was taken away from this server: what is held opens with a reviewer's key only")
	return nil
}

// Close ends with the audit log, and then gives the folder free.
func (n *node) Close() error {
	var errs []error
	errs = append(errs, n.hand.Close())
	if n.db != nil {
		errs = append(errs, n.db.Close())
	}
	if n.audit != nil {
		errs = append(errs, n.audit.Close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Unlock())
	}
	return errors.Join(errs...)
}

// gateway joins the stations. rules may be nil: then it serves the desk only.
func (n *node) gateway(ctx context.Context, ex gateway.Extractor, d gateway.Deliverer, rules *gateway.Rules) (*gateway.Gateway, error) {
	var dests func(dlp.Address, []dlp.Address) []string
	if n.hops != nil {
		dests = n.hops.Destinations
	}
	work := age.NewSealer(n.ring.Work())
	var caller gateway.Caller
	if n.hook != nil {
		caller = n.hook
	}
	var texter gateway.Caller
	if n.texts != nil {
		texter = n.texts
	}
	return gateway.New(ctx, gateway.Config{
		ScanTimeout:     n.cfg.SMTP.ScanTimeout.D(),
		Readers:         n.cfg.Extract.Children(),
		PDFReaders:      n.cfg.Extract.PDFChildren(),
		OCRReaders:      n.cfg.Extract.OCR.Workers,
		ScanEnabled:     n.cfg.Scan.Enabled,
		Request:         gateway.Request{Subject: n.cfg.Encrypt.RequestSubject, Header: n.cfg.Encrypt.RequestHeader},
		DeliveryWorkers: n.cfg.Outbox.Workers,
		PerDestination:  n.cfg.Outbox.PerDestination,
		DeliverTimeout:  15 * time.Minute,
		StopWithin:      stopWithin,
		OutboxExpiry:    n.cfg.Outbox.Expiry.D(),
		Hostname:        n.cfg.SMTP.Hostname,
		InternalDomains: n.cfg.SMTP.InternalDomains,
		Notices:         n.cfg.Notify,
		Urgent:          n.cfg.Urgent,
		Background:      background(n.cfg.Scan),
		Retention:       n.cfg.Vault,
		Review:          n.cfg.Review,
		Reasons:         n.cfg.Console.Reasons,
		Portal:          n.cfg.Portal,
		Sender:          n.cfg.Sender,
	}, gateway.Deps{
		Extract:      ex,
		Audit:        n.audit,
		Store:        n.db,
		Vault:        vault.New(n.db, n.db.VaultContents(), n.ring, n.periods),
		Keys:         n.periods,
		Copy:         n,
		Spool:        spool.New(n.db, n.db.SpoolContents(), n.ring, work),
		Pickup:       pickup.New(n.db, n.db.PickupContents(), n.ring),
		Names:        n.ring,
		People:       console.OpenDeputies(consoleDir(n.cfg.DataDir), time.Now),
		Deliver:      d,
		Hand:         n.hand,
		Outages:      alivePath(n.cfg.DataDir),
		Destinations: dests,
		Probes:       n.probes,
		Submit:       submitter{n.cfg.SMTP.Hostname},
		Bypass:       n.bypass,
		Dossiers:     n.dossiers(),
		Prove:        n.audit,
		Drills:       n.drills(),
		Caller:       caller,
		Texter:       texter,
		Passwords:    n.named,
		Sample:       sample.Open(n.cfg.Sample, sample.Deps{Dir: sampleDir(n.cfg.DataDir), Seal: n.periods, Now: time.Now, Log: n.log, Count: n.metrics.Sampled}),
		Sign:         n.sign,
		Loop:         loop.New(n.cfg.Loop, n.ring, time.Now),
		Log:          n.log,
		Metrics:      n.metrics,
		OnStep:       onStep,
	}, rules)
}

// dossiers are those of the data folder, which n has locked.
func (n *node) dossiers() *dossier.Store {
	s := dossier.OpenStore(n.cfg.DataDir, n.ring)
	if err := s.Sweep(); err != nil {
		n.log.LogAttrs(context.Background(), slog.LevelError, "what a broken write of a dossier left was not erased; it is sealed", safelog.Err(err))
	}
	return s
}

// drills are those of the data folder, which n has locked.
func (n *node) drills() *drill.Book {
	b, err := drill.Open(n.cfg.DataDir, n.ring)
	if err != nil {
		n.log.LogAttrs(context.Background(), slog.LevelError, "a drill does not open, or what a broken write of one left was not erased; nothing of it leaves", safelog.Err(err))
	}
	return b
}

// isDrill reports whether id is that of a document of a drill.
func (n *node) isDrill(id dlp.ID) bool { return drill.Is(n.ring, id) }

// background is the reading that no client waits for.
func background(s config.Scan) gateway.Background {
	return gateway.Background{Timeout: s.BackgroundTimeout.D(), Readers: s.BackgroundReaders, Queue: s.BackgroundQueue, Bytes: int64(s.BackgroundSize)}
}

// encryption is how the watcher encrypts files of root.
func encryption(root watch.Config) (watch.Encryption, error) {
	e, err := fileEncryption(root)
	if err != nil {
		return watch.Encryption{}, err
	}
	return watch.Encryption{Ext: e.Ext(), Write: e.Write, Note: e.Note()}, nil
}

// watcher makes the file door, which the desk needs too: released files go
// back through it. run is what only serve adds.
func (n *node) watcher(g *gateway.Gateway, ruleSet func() string) (*watch.Watcher, error) {
	if len(n.cfg.Watch) == 0 {
		return nil, nil
	}
	if len(unfitRecipients(n.cfg)) > 0 {
		n.log.Warn("a key of a watched folder's recipients cannot be used: what is to be encrypted there is held; see config check")
	}
	w, err := watch.New(n.cfg.Watch, watch.Deps{
		Handler: g, Store: n.db, Keys: n.ring, Encryption: encryption, RuleSet: ruleSet, Stub: g.StubText,
		Log: n.log, Count: func(c watch.Count, k int) { n.metrics.Watched(c.String(), k) }, Steps: onStep,
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range watch.Counts() {
		names = append(names, c.String())
	}
	n.metrics.Watches(names)
	g.Files = w
	return w, nil
}
