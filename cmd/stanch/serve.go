package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/internal/notify/hook"
	"github.com/stanch-dlp/stanch/internal/notify/siem"
	"github.com/stanch-dlp/stanch/internal/passbook"
	"github.com/stanch-dlp/stanch/internal/rulefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/sample"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/tally"
	"github.com/stanch-dlp/stanch/internal/web"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/milter"
	"github.com/stanch-dlp/stanch/watch"
)

// stopWithin is how long work in hand may take once serve is told to stop; a
// service manager kills after 90 s by default, and 30 s is what we promise.
const stopWithin = 25 * time.Second

// stopRest is how long what is left may take then.
const stopRest = 3 * time.Second

const _ = uint(30*time.Second - stopWithin - stopRest) // does not compile beyond the promise

// statusServing is what a service manager shows.
const statusServing = "serving"

func (a *app) serveCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "serve", Short: "Run every configured door and the workers", Args: cobra.NoArgs,
		Long: "Run every configured door and the workers until SIGTERM or SIGINT: doors close, work in hand finishes.\n\n" +
			"SIGHUP loads the configuration and the rules anew. If anything is wrong with them, what was in force stays in\n" +
			"force and standard error says why. SIGUSR2 lets serve give way to the program that is installed now, as\n" +
			"`stanch upgrade` does.\n\n" +
			"Sockets that a service manager hands over (sd_listen_fds) serve the door whose address they have.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			in, err := inherit()
			if err != nil {
				return err
			}
			cfg, err := a.load()
			if err == nil {
				err = a.serve(cmd.Context(), cfg, in)
			}
			if err != nil && in.from != nil {
				in.from.Failed(err)
			}
			return err
		}}
	cmd.Flags().BoolVar(&a.printPassword, "print-password", false, "print the first password of the console wherever output goes; without it, to a terminal only")
	return cmd
}

// server is one running serve.
type server struct {
	*node
	app     *app
	log     *slog.Logger // before there is a node, too
	extract *extract.Pool
	gateway *gateway.Gateway
	watcher *watch.Watcher
	smtp    *smtp.Server
	milter  *milter.Server
	portal  pageDoor     // of recipients
	sender  pageDoor     // of senders
	buffers *buffer.Pool // of both mail doors
	siem    *siem.Sender
	control *control.Server
	health  metrics.Health
	doors   map[string][]net.Listener // by service.Door's name
	handed  handed
	hup     <-chan os.Signal // SIGHUP: load configuration and rules anew
	unread  atomic.Bool      // nothing can be read yet; see mend
	usr2    <-chan os.Signal // SIGUSR2: give way to the installed program

	handover *handover

	console     *console.Console // nil: no pages
	ruleFile    *rulefile.Store  // with console
	tally       *tally.Tally
	firstSignIn string // how to sign in to the account that was made for the first start, until it is printed

	changing sync.Mutex // held while rules are put in force
	mu       sync.Mutex
	judges   *judges   // guarded by mu; what is in force
	loaded   time.Time // guarded by mu; when its configuration was read
}

// serve runs until ctx ends or a successor takes over.
func (a *app) serve(ctx context.Context, cfg *config.Config, in handed) error {
	if err := keepMemory(); err != nil {
		return fmt.Errorf("keep memory off the disk: %w", err)
	}
	slackTimers()
	// From the first moment: a signal that comes while readers and rules are
	// prepared waits, and does not end the process.
	hup, usr2 := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	signal.Notify(usr2, syscall.SIGUSR2)
	defer signal.Stop(usr2)
	s := &server{app: a, handed: in, hup: hup, usr2: usr2, handover: newHandover(), loaded: time.Now()}
	s.log = safelog.New(a.errs, level(cfg.Log.Level))
	defer in.listeners.Close()
	living, done := context.WithCancel(context.WithoutCancel(ctx))
	var watched sync.WaitGroup
	defer watched.Wait()
	defer done()
	err := s.live(ctx, cfg, func() { watched.Go(func() { s.alive(living) }) })
	s.handover.close()
	return errors.Join(err, s.pass(ctx))
}

// live is serve from opening the data folder to closing it. Starting order:
// folder, record, readers, rules, sockets, gateway, then the doors; stopping is
// the reverse, the audit log last. Where a predecessor gives way, it does so
// only after all that could be wrong without the folder is known to be right.
func (s *server) live(ctx context.Context, cfg *config.Config, opened func()) (err error) {
	m := metrics.New()
	defer func() {
		if s.extract != nil {
			err = errors.Join(err, s.extract.Close())
		}
		if s.node != nil {
			err = errors.Join(err, s.node.Close())
		}
	}()
	open := func() (err error) {
		s.node, err = openServing(ctx, cfg, s.log, m)
		return err
	}
	if s.handed.from == nil {
		if err := open(); err != nil {
			return err
		}
	}
	if s.handed.from == nil { // before what takes long
		if err := s.handed.listeners.Free(ctx, doors(cfg)); err != nil {
			return err
		}
	}
	if err := s.prepare(ctx, cfg, m); err != nil {
		return err
	}
	if s.handed.from != nil {
		if err := s.handed.from.Prepared(ctx); err != nil {
			return err
		}
		if err := open(); err != nil {
			return err
		}
	}
	opened()
	if err := s.build(ctx); err != nil {
		return err
	}
	return s.run(ctx)
}

// prepare does what needs no data folder.
func (s *server) prepare(ctx context.Context, cfg *config.Config, m *metrics.Set) (err error) {
	if s.extract, err = newExtract(cfg, s.log, m); err != nil {
		return err
	}
	if err := s.selfTest(ctx, cfg); err != nil {
		return err
	}
	if err := s.pictures(ctx, cfg); err != nil {
		return err
	}
	s.handed.manager.Status("preparing readers and rules")
	fmt.Fprintln(s.app.out, "preparing readers and rules (the first start compiles the PDF reader, which takes a while) ...")
	if err := s.extract.Warm(ctx); err != nil {
		// A successor that cannot read does not take over from who can.
		if !cfg.Bypass.Enabled || ctx.Err() != nil || s.handed.from != nil {
			return fmt.Errorf("prepare the PDF reader: %w", err)
		}
		s.unread.Store(true)
		s.log.LogAttrs(ctx, slog.LevelError, "nothing can be read: senders are to try again until that is mended or a bypass is begun", safelog.Err(err))
		return s.bind(ctx, cfg)
	}
	if s.judges, err = s.judge(ctx, cfg, nil); err != nil {
		return err
	}
	return s.bind(ctx, cfg)
}

// selfTest has children try what they must not be able to do. Without the
// sandbox that is configured nothing starts, whatever else is.
func (s *server) selfTest(ctx context.Context, cfg *config.Config) error {
	box, err := s.extract.SelfTest(ctx)
	if err != nil {
		return err
	}
	at := slog.LevelInfo
	if !box.Both() {
		at = slog.LevelWarn
		s.app.warnSandbox(cfg, box)
	}
	s.log.LogAttrs(ctx, at, "children that read documents are locked in", slog.Int("landlock", box.Landlock), slog.Bool("seccomp", box.Seccomp), slog.Int("trials", box.Trials))
	return nil
}

// pictures finds out whether the words in pictures can be read, and says so.
func (s *server) pictures(ctx context.Context, cfg *config.Config) error {
	version, lacks, err := ocrOf(cfg, s.extract)
	switch {
	case err != nil:
		return err
	case lacks == "":
		s.log.LogAttrs(ctx, slog.LevelInfo, "words in pictures are read", slog.String("version", version))
	case cfg.Extract.OCR.Enabled != extract.OCROff:
		s.app.warnPictures(lacks)
		s.log.LogAttrs(ctx, slog.LevelWarn, "words in pictures are not read; pictures are gaps")
	}
	return nil
}

// build makes the gateway and everything around it.
func (s *server) build(ctx context.Context) (err error) {
	var rules *gateway.Rules // none: senders are to try again
	if !s.unread.Load() {
		s.announce(s.judges, s.cfg)
		rules = s.judges.rules(s.cfg, s.prove)
	}
	s.openBypass(ctx)
	s.openProbes(ctx)
	if len(s.cfg.Urgent.Command) > 0 {
		s.hook = hook.New(s.cfg.Urgent.Command, s.log)
	}
	if len(s.cfg.Portal.SMSCommand) > 0 {
		s.texts = hook.New(s.cfg.Portal.SMSCommand, s.log)
	}
	s.named = passbook.New(time.Now)
	if s.hops, err = s.node.openHops(); err != nil {
		return atRoute(s.cfg, err)
	}
	if s.hand, err = spool.OpenHand(handPath(s.cfg.DataDir)); err != nil { // the outbox goes on without
		s.log.LogAttrs(ctx, slog.LevelError, "what is being delivered is not noted: a message that ends the process would not be set aside", safelog.Err(err))
	}
	if s.buffers, err = buffer.NewPool(s.cfg.Buffer.Pool(filepath.Join(s.cfg.DataDir, "tmp"))); err != nil {
		return err
	}
	if s.gateway, err = s.node.gateway(ctx, s.extract, outboxHop{s.hops}, rules); err != nil {
		return err
	}
	s.gateway.Buffers = s.buffers
	if s.gateway.Sample == nil {
		if err := sample.Erase(sampleDir(s.cfg.DataDir)); err != nil {
			s.log.LogAttrs(ctx, slog.LevelError, "the sample of passed mail that is not wanted any more was not erased", safelog.Err(err))
		}
	}
	if s.siem, err = s.openSIEM(ctx); err != nil {
		return err
	}
	if err := s.gateway.Recover(ctx, s.pending); err != nil {
		return err
	}
	if s.watcher, err = s.node.watcher(s.gateway, s.ruleSet); err != nil {
		return err
	}
	if err := s.buildPortal(); err != nil {
		return err
	}
	if err := s.buildSender(); err != nil {
		return err
	}
	s.control = control.NewServer(s.gateway, s.log)
	s.control.Of(s)
	s.control.Replays(s)
	s.control.Reports(s)
	if err := s.buildConsole(); err != nil {
		return err
	}
	if len(s.cfg.SMTP.AllDoors()) > 0 {
		if err := s.buildDoor(); err != nil {
			return err
		}
	}
	if len(s.cfg.Milter.Listen) > 0 {
		if err := s.buildMilter(); err != nil {
			return err
		}
	}
	ruleSet, policies := s.judges.digests()
	return s.gateway.Started(ctx, ruleSet, policies, s.judges.tableVersion())
}

func (s *server) buildDoor() error {
	tlsConfig, err := s.cfg.SMTP.LoadTLS(s.log)
	if err != nil {
		return s.cfg.At("smtp.tls_cert", err)
	}
	var users *smtp.Users
	if s.cfg.SMTP.Auth.Users != "" {
		if users, err = smtp.LoadUsers(s.cfg.SMTP.Auth.Users, s.log); err != nil {
			return s.cfg.At("smtp.auth.users", err)
		}
	}
	s.smtp, err = smtp.NewServer(s.cfg.SMTP, smtp.Deps{Users: users, Handler: s.gateway, NextHop: s.hops, Withholds: s.gateway.Withholds, Buffers: s.buffers, TLS: tlsConfig,
		Log: s.log, Metrics: s.metrics})
	return err
}

// rulesOf is the rule source of the configuration alone, without the patient
// index.
func rulesOf(cfg *config.Config) patterns.Source {
	var f ruleFlags
	return f.source(cfg)
}

// announce tells the counters the rules, and the log what they lack.
func (s *server) announce(j *judges, cfg *config.Config) {
	var ids []dlp.RuleID
	for _, r := range j.set.Rules() {
		ids = append(ids, r.ID)
	}
	s.metrics.Rules(ids)
	s.metrics.ScanDisabled(!s.cfg.Scan.Enabled)
	if !s.cfg.Scan.Enabled {
		s.log.Warn("scanning is switched off: everything passes unread")
	}
	if j.table != nil {
		s.log.Info("rules ask an imported code table", slog.String("kind", j.table.Name), slog.String("version", j.table.Version))
	}
	if never := neverHolds(cfg, j.set); len(never) > 0 {
		s.log.Warn("of the configuration something can never hold by these rules: stanch config check says what", slog.Int("count", len(never)))
	}
	if len(cfg.Site.MRN) == 0 {
		s.log.Warn("the site's own record number form is not known: add [[site.mrn]] so that record numbers are found without a label")
	}
}

func (s *server) ruleSet() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.judges.digest()
}

// minders are what goes on beside the doors and the outbox until serve stops, by name.
func (s *server) minders() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"calls":                 s.gateway.RunCalls,
		"bypass":                s.gateway.RunBypass,
		"parcels":               s.gateway.RunPickup,
		"digest":                s.gateway.RunDigest,
		"index of what is held": s.gateway.RunIndexing,
		"expiry":                s.gateway.RunExpiry,
		"retention":             s.gateway.RunRetention,
		"events to receivers":   s.siem.Run,
		"drills":                s.gateway.RunDrills,
		"probes":                s.gateway.RunProbes,
		"sample of passed mail": s.gateway.Sample.Run,
	}
}

// run serves until ctx ends or a part breaks, and stops in order.
func (s *server) run(ctx context.Context) error {
	inner, stop := context.WithCancel(ctx) // ends the workers
	defer stop()
	sending, hush := context.WithCancel(inner) // ends the outbox
	defer hush()
	var doors, workers sync.WaitGroup
	broken := make(chan error, len(s.doors["smtp"])+len(s.doors["milter"])+14)
	watchdog := func(wg *sync.WaitGroup, what string, f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				broken <- fmt.Errorf("%s: %w", what, err)
			}
		})
	}
	sock, err := control.Listen(s.cfg.DataDir)
	if err != nil {
		return err
	}
	watchdog(&doors, "control socket", func() error { return s.control.Serve(sock) })
	kinds := s.cfg.SMTP.AllDoors()
	for i, ln := range s.doors["smtp"] {
		watchdog(&doors, "mail door", func() error { return s.smtp.ServeDoor(ctx, ln, kinds[i]) })
	}
	for _, ln := range s.doors["portal"] {
		watchdog(&doors, "pickup pages", func() error { return s.portal.serve(inner, ln) })
	}
	for _, ln := range s.doors["sender"] {
		watchdog(&doors, "senders' pages", func() error { return s.sender.serve(inner, ln) })
	}
	for _, ln := range s.doors["milter"] {
		watchdog(&doors, "milter door", func() error { return s.milter.Serve(ctx, ln) })
	}
	watchdog(&workers, "outbox", func() error { return s.gateway.RunOutbox(sending) })
	watchdog(&workers, "background reading", func() error { return s.gateway.RunReading(inner) })
	if s.watcher != nil {
		watchdog(&workers, "watcher", func() error { return s.watcher.Run(inner) })
	}
	for name, run := range s.minders() {
		watchdog(&workers, name, func() error { return run(inner) })
	}
	if s.console != nil { // else they are counted when `stanch report` asks
		watchdog(&workers, "figures", func() error { return s.tally.Run(inner) })
	}
	for _, ln := range s.doors["console"] {
		watchdog(&workers, "console", func() error { return web.Serve(inner, ln, s.console.Handler(), stopRest) })
	}
	endpoints := s.endpoints(ctx)
	workers.Go(func() { s.gauges(inner) })
	workers.Go(func() { s.named.Run(inner) })
	workers.Go(func() {
		s.claim(inner)
		s.mend(inner)
		s.reloads(inner)
	})
	workers.Go(func() { s.upgrades(inner) })
	s.banner()
	if s.handed.from != nil {
		s.handed.from.Serving()
	}
	s.handed.manager.Ready(statusServing)
	select {
	case <-ctx.Done():
		s.handed.manager.Stopping()
		s.log.Info("stopping: doors close, work in hand finishes")
	case <-s.handover.decided:
		s.handed.manager.Status("giving way to the new program")
		s.log.Info("giving way to the new program: work in hand finishes, new clients wait")
	case err = <-broken:
		s.log.LogAttrs(ctx, slog.LevelError, "a part of serve broke; stopping", safelog.Err(err))
	}
	hush() // deliveries under way end within stopWithin, while the doors close
	return errors.Join(err, s.stop(stop, endpoints, &doors, &workers))
}

// stop closes the doors, lets work in hand finish, then the workers.
func (s *server) stop(cancel context.CancelFunc, endpoints func(context.Context) error, doors, workers *sync.WaitGroup) error {
	var errs []error
	s.handover.close()
	err := s.stopMail()
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("sessions that were still open are cut; their clients send again")
		err = nil
	}
	errs = append(errs, err)
	cancel()
	ctx, done := context.WithTimeout(context.Background(), stopRest)
	defer done()
	errs = append(errs, s.control.Shutdown(ctx), endpoints(ctx))
	doors.Wait()
	workers.Wait()
	if s.hook != nil {
		s.hook.Wait(ctx)
	}
	if s.texts != nil {
		s.texts.Wait(ctx)
	}
	errs = append(errs, s.gateway.Stopped(ctx))
	s.log.Info("stopped")
	return errors.Join(errs...)
}

// stopMail lets the sessions inside a message finish it within stopWithin.
func (s *server) stopMail() error {
	ctx, done := context.WithTimeout(context.Background(), stopWithin)
	defer done()
	var wg sync.WaitGroup
	var relay, asked error
	if s.smtp != nil {
		wg.Go(func() { relay = s.smtp.Shutdown(ctx) })
	}
	if s.milter != nil {
		wg.Go(func() { asked = s.milter.Shutdown(ctx) })
	}
	wg.Wait()
	return cmp.Or(relay, asked)
}

// upgrades answers SIGUSR2 until ctx ends.
func (s *server) upgrades(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.usr2:
			if _, err := s.Upgrade(ctx); err != nil {
				fmt.Fprintf(s.app.errs, "stanch: upgrade: %v\n", err)
			}
		}
	}
}

// reloads answers SIGHUP until ctx ends.
func (s *server) reloads(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.hup:
			s.handed.manager.Reloading()
			status := statusServing
			if err := s.reload(ctx); err != nil {
				status = "serving; a reload was refused, see the log"
				s.log.LogAttrs(ctx, slog.LevelError, "reload refused; what was in force stays in force", safelog.Err(err))
				fmt.Fprintf(s.app.errs, "stanch: reload: %v\n", err)
			}
			s.handed.manager.Ready(status)
		}
	}
}

// reload puts new rules and policies in force, wholly or not at all.
func (s *server) reload(ctx context.Context) error {
	cfg, err := s.loadAgain()
	if err != nil {
		return err
	}
	passwords, err := extract.ReadPasswords(cfg.Extract.PasswordsFile)
	if err != nil {
		return cfg.At("extract.passwords_file", err)
	}
	use, err := s.hops.Prepare(&cfg.SMTP)
	if err != nil {
		return err
	}
	if err := s.enforce(ctx, cfg, "signal"); err != nil {
		return err
	}
	use()
	s.extract.SetPasswords(passwords)
	s.log.Info("passwords and next hops were read again", slog.Int("passwords", len(passwords)))
	return nil
}

// loadAgain reads the configuration anew, and refuses one that takes a restart.
func (s *server) loadAgain() (*config.Config, error) {
	cfg, err := s.app.load()
	if err != nil {
		return nil, err
	}
	if keys := config.RestartNeeded(s.cfg, cfg); len(keys) > 0 {
		return nil, fmt.Errorf("changed, and takes a restart: %s", strings.Join(keys, ", "))
	}
	return cfg, nil
}
