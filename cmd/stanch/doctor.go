package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/doctor"
	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/internal/notify/siem"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/probe"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/tables"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/smtp/milter"
	"github.com/stanch-dlp/stanch/smtp/resolve"
	"github.com/stanch-dlp/stanch/smtp/route"
)

// askWithin bounds asking a running serve how it is.
const askWithin = 5 * time.Second

// doctorFlags are the flags of `stanch doctor`.
type doctorFlags struct {
	format   string
	only     []string
	postconf string
	quiet    bool
}

func (a *app) doctorCmd() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{Use: "doctor", Short: "Say whether this installation is sound, and what to do where it is not", Args: cobra.NoArgs,
		Long: "Look at configuration, data folder, keys, audit log, database, certificate, DNS, clock, limits, next hops, watched\n" +
			"folders, rules, code tables, policies, extraction and a Postfix beside, and say what to do where something is not sound. It works\n" +
			"whether serve runs or not, sends no mail and changes nothing.\n\n" +
			"Exit status: 0 sound (warnings included), 1 something fails, 2 usage or configuration error.",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), f) }}
	cmd.AddCommand(a.doctorRoutesCmd())
	cmd.Flags().StringSliceVar(&f.only, "only", nil, "make these checks alone, such as tls,dns")
	cmd.Flags().StringVar(&f.postconf, "postconf", "",
		"`PATH` of a Postfix's configuration folder, or of a file with what postconf -x; postconf -P; postconf -M print (else this machine's Postfix)")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print only what is not sound")
	formatFlag(cmd, &f.format, "table", "table", "json")
	return cmd
}

func (a *app) doctor(ctx context.Context, f doctorFlags) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if f.postconf != "" {
		if _, err := os.Stat(f.postconf); err != nil {
			return fmt.Errorf("--postconf: %w", err)
		}
	}
	ex, err := newExtract(cfg, nil, nil)
	if err != nil {
		return err
	}
	checks := a.checks(ctx, cfg, ex, f)
	for i := range f.only { // "tls, dns" is what people type
		f.only[i] = strings.TrimSpace(f.only[i])
	}
	for _, name := range f.only {
		if !slices.ContainsFunc(checks, func(c doctor.Check) bool { return c.Name == name }) {
			return errors.Join(fmt.Errorf("--only: no check %q: want some of %s", name, strings.Join(names(checks), ", ")), ex.Close())
		}
	}
	if len(f.only) > 0 {
		checks = slices.DeleteFunc(checks, func(c doctor.Check) bool { return !slices.Contains(f.only, c.Name) })
	}
	found := doctor.Run(ctx, checks)
	if err := errors.Join(a.printFindings(found, f), ex.Close()); err != nil {
		return err
	}
	if doctor.Worst(found) == doctor.Fail {
		return exitCode(exitFound)
	}
	return nil
}

func names(checks []doctor.Check) []string {
	var ns []string
	for _, c := range checks {
		if !slices.Contains(ns, c.Name) {
			ns = append(ns, c.Name)
		}
	}
	return ns
}

// checks are all checks of this configuration, in the order they are printed.
func (a *app) checks(ctx context.Context, cfg *config.Config, ex *extract.Pool, f doctorFlags) []doctor.Check {
	dir := cfg.DataDir
	running := askServe(ctx, dir)
	files, whose, ruleSet := doctor.OpenFiles(), "this shell's programs", ""
	if running != nil {
		files, whose, ruleSet = running.Files, "the running serve", running.RuleSet
	}
	own := !reflect.DeepEqual(cfg.Policies, policy.Starter().Policies)
	need := doctor.Need{SMTP: cfg.SMTP, Watch: cfg.Watch, Extract: cfg.Extract, Children: cfg.Extract.Children() + cfg.Extract.PDFChildren(), Memory: int64(cfg.Buffer.MemoryAll)}
	if cfg.Scan.BackgroundQueue > 0 {
		need.Children += 2 * cfg.Scan.BackgroundReaders
	}
	if cfg.Extract.OCR.Installed() {
		need.Pictures = cfg.Extract.OCR.Workers
	}
	var milters, milterNets []string
	for _, l := range cfg.Milter.Listen {
		if _, addr, err := milter.ParseListen(l); err == nil {
			milters, need.Milters, milterNets = append(milters, addr), cfg.Milter.MaxConnections, cfg.Milter.Networks
		}
	}
	ask, hopErr := hopsAsker(cfg)
	checks := []doctor.Check{
		doctor.Configuration(cfg.File),
		doctor.Serving(running, locked(dir), version, cfg.File),
		doctor.DataDir(dir),
		doctor.Keys(keysDir(dir), auditKey(dir)),
		doctor.Audit(auditDir(dir), anchorPath(dir), auditKey(dir), time.Now),
		doctor.Store(dir),
		doctor.Rules(func(ctx context.Context) doctor.RulesLoaded { return loadRules(ctx, cfg, ex) }, ruleSet),
		doctor.Tables(tables.NewFolder(tablesDir(dir)), time.Now),
		doctor.Policies(inForceNow(cfg), cfg.SMTP.InternalDomains, own, len(cfg.SMTP.AllDoors())+len(cfg.Milter.Listen) > 0, cfg.Scan.Enabled),
		doctor.Extraction(func(ctx context.Context) error { return readText(ctx, ex) }, warmer(cfg, ex), hasEntries(cacheDir(cfg)),
			ex.SelfTest, cfg.Extract.Sandbox),
		doctor.Pictures(cfg.Extract.OCR.Enabled, ex.OCR),
		doctor.TLS(cfg.SMTP, nil, time.Now),
		doctor.Relay(cfg.SMTP, milterNets),
		doctor.DNS(cfg.SMTP, net.DefaultResolver, prover(cfg)),
		doctor.NextHops(cfg.SMTP, ask, hopErr),
		mailKeys(cfg, time.Now),
		doctor.FIPS(fipsModule(running), outsideFIPS(cfg)),
	}
	checks = append(checks, doctor.Folders(cfg.Watch)...)
	checks = append(checks, doctor.Routes(func() ([]probe.Status, error) { return probe.Look(probesPath(dir), cfg.Doctor) }, running != nil))
	if cfg.Portal.On() {
		checks = append(checks, doctor.Pages("portal", cfg.Portal.URL, cfg.Portal.Site, nil, time.Now))
	}
	if cfg.Sender.On() {
		checks = append(checks, doctor.Pages("sender", cfg.Sender.URL, cfg.Sender.Site, nil, time.Now))
	}
	if cfg.Console.OIDC.On() || len(cfg.SIEM) > 0 {
		checks = append(checks, doctor.Secrets(func() []error { return badSecrets(cfg) }))
	}
	checks = append(checks, doctor.TPM(tpmHere), doctor.Reviewers(func() ([]doctor.ReviewersKey, error) { return loginKeys(cfg) }))
	checks = append(checks, doctor.SIEM(func(ctx context.Context) ([]siem.Status, error) { return siem.Look(ctx, dir, auditDir(dir), cfg.SIEM) }, time.Now))
	checks = append(checks,
		doctor.Limits(need, files, whose, "/proc", "/sys/fs/cgroup"),
		doctor.Clock(doctor.KernelClock, filepath.Join(dir, "stanch.db")))
	if read := postconf(f.postconf); read != nil {
		checks = append(checks, doctor.Postfix(doctor.Doors{SMTP: cfg.SMTP, Milters: milters}, read))
	}
	return checks
}

// warmer has the compiled PDF reader tried, by its owner only: nobody runs what
// another user compiled, nor compiles into their folder.
func warmer(cfg *config.Config, ex *extract.Pool) func(context.Context) error {
	var st unix.Stat_t
	if err := unix.Stat(cacheDir(cfg), &st); err == nil && int(st.Uid) != os.Geteuid() {
		return nil
	}
	return ex.Warm
}

// hopsAsker returns what asks every next hop what it offers. No policy of
// another domain is read or kept.
func hopsAsker(cfg *config.Config) (func(context.Context) []route.Asked, error) {
	if cfg.SMTP.NextHop == "" {
		return nil, nil
	}
	r, err := route.New(&cfg.SMTP, route.Deps{AskOnly: true})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) []route.Asked {
		defer r.Close() // it keeps no connection
		return r.Ask(ctx)
	}, nil
}

// prover is the resolver that the configuration names, nil for the system's.
func prover(cfg *config.Config) doctor.Prover {
	if cfg.SMTP.Resolver == "" {
		return nil
	}
	return &resolve.Resolver{Servers: []string{cfg.SMTP.Resolver}, Proves: cfg.SMTP.ResolverProves()}
}

// askServe returns what a running serve says of itself, nil where none answers.
func askServe(ctx context.Context, dir string) *doctor.Running {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	c, err := control.Dial(ctx, dir)
	if err != nil {
		return nil
	}
	s, err := c.Status(ctx)
	if err != nil {
		return nil
	}
	return &doctor.Running{PID: s.PID, Version: s.Version, Loaded: s.Loaded, Files: s.Files, RuleSet: s.RuleSet, FIPS: s.FIPS, Failing: s.Failing, Alarms: s.Alarms}
}

// locked reports whether a process has the data folder. It asks for a shared
// lock and gives it back at once; serve waits longer than that for its own.
func locked(dir string) bool {
	file, err := os.Open(lockPath(dir))
	if err != nil {
		return false
	}
	defer file.Close() // read only; it gives the lock back too
	return errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

func loadRules(ctx context.Context, cfg *config.Config, ex *extract.Pool) doctor.RulesLoaded {
	l := doctor.RulesLoaded{MRNs: len(cfg.Site.MRN)}
	src := rulesOf(cfg)
	var err error
	if src.Patients, err = openPatients(cfg); err != nil {
		l.Err = err
		return l
	}
	t, _ := importedTable(cfg) // the check of tables says why one cannot be used
	j, err := newJudges(ctx, cfg, src, t, ex)
	if err != nil {
		l.Err = err
		return l
	}
	l.Rules, l.Digest = len(j.set.Rules()), j.set.Digest()
	for _, r := range j.set.Rules() {
		l.Tests += len(r.Tests)
	}
	for _, err := range neverHolds(cfg, j.set) {
		l.Never = append(l.Never, err.Error())
	}
	for _, w := range patterns.Lint(j.set) {
		if w.Key != "site.mrn" { // it has a line of its own
			l.Lint = append(l.Lint, w.Error())
		}
	}
	return l
}

// readText has a child read a line, as serve would.
func readText(ctx context.Context, ex *extract.Pool) error {
	const text = "a line of text\n"
	doc := &dlp.Document{ID: dlp.NewID(), Channel: dlp.File, Size: int64(len(text)),
		Open: dlp.OpenBytes([]byte(text))}
	var sink echo
	if err := ex.Extract(ctx, doc, &sink); err != nil {
		return err
	}
	if string(sink) != text {
		return errors.New("what came back is not what was read")
	}
	return nil
}

// echo keeps the text of a document.
type echo []byte

func (e *echo) Part(dlp.PartInfo) error { return nil }
func (e *echo) Gap(dlp.Gap) error       { return nil }
func (e *echo) Text(w dlp.Window) error { *e = append(*e, w.Text...); return nil }

// postconf returns how to read the Postfix that named speaks of, or that of
// this machine; nil where there is none.
func postconf(named string) func(context.Context) (doctor.Postconf, error) {
	program := doctor.FindPostconf()
	if named == "" && program == "" {
		return nil
	}
	return func(ctx context.Context) (doctor.Postconf, error) {
		info, err := os.Stat(named)
		if named != "" && err != nil {
			return doctor.Postconf{}, err
		}
		if named == "" || info.IsDir() {
			return doctor.ReadPostconf(ctx, program, named)
		}
		b, err := os.ReadFile(named)
		return doctor.ParsePostconf(string(b)), err
	}
}

func hasEntries(dir string) bool {
	es, err := os.ReadDir(dir)
	return err == nil && len(es) > 0
}

func (a *app) printFindings(found []doctor.Finding, f doctorFlags) error {
	if f.quiet { // the caller's findings stay as they are: the exit status is theirs
		found = slices.DeleteFunc(slices.Clone(found), func(x doctor.Finding) bool { return x.Level == doctor.OK })
	}
	if f.format == "json" {
		if found == nil {
			found = []doctor.Finding{}
		}
		return a.printJSON(found)
	}
	fails, warns := 0, 0
	var rows []report.Graded
	for _, x := range found {
		rows = append(rows, report.Graded{Grade: x.Level.String(), Cells: []string{x.Check, x.Object, x.Found}, Below: x.Remedy})
		switch x.Level {
		case doctor.Fail:
			fails++
		case doctor.Warn:
			warns++
		}
	}
	if err := report.Grades(a.out, rows, colourful(a.out)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "%s, %s.\n", report.Count(fails, "failure"), report.Count(warns, "warning"))
	return err
}
