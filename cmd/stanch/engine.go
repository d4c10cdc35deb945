package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/crypt/files"
	"github.com/stanch-dlp/stanch/internal/crypt/ways"
	"github.com/stanch-dlp/stanch/internal/department"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/doctor"
	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/tables"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
	"github.com/stanch-dlp/stanch/watch"
)

// newExtract makes the pool of extraction children. What is compiled once is
// kept with the data folder when there is one, else in the user's cache.
func newExtract(cfg *config.Config, log *slog.Logger, m *metrics.Set) (*extract.Pool, error) {
	d := extract.Deps{Log: log, CacheDir: cacheDir(cfg)}
	if m != nil {
		d.Metrics = m
	}
	x := cfg.Extract
	if m != nil { // serve: reading in the background has children of its own
		x.Workers, x.PDFWorkers = x.Children()+cfg.Scan.BackgroundReaders, x.PDFChildren()+cfg.Scan.BackgroundReaders
	}
	p, err := extract.NewPool(x, d)
	if e, ok := errors.AsType[*extract.PasswordsError](err); ok {
		return nil, cfg.At("extract.passwords_file", e)
	}
	return p, err
}

// readers is newExtract for a command that reads documents: it starts only where
// the children are locked in as configured, and says loudly where that is less
// than whole.
func (a *app) readers(ctx context.Context, cfg *config.Config) (*extract.Pool, error) {
	ex, err := newExtract(cfg, nil, nil)
	if err != nil {
		return nil, err
	}
	box, err := ex.Check(ctx)
	if err != nil {
		return nil, errors.Join(err, ex.Close())
	}
	a.warnSandbox(cfg, box)
	if cfg.Extract.OCR.Enabled == extract.OCROn {
		if _, _, err := ocrOf(cfg, ex); err != nil {
			return nil, errors.Join(err, ex.Close())
		}
	}
	return ex, nil
}

// ocrOf says how the words in pictures are read: the version of the program, or
// what it lacks. It is an error where they must be.
func ocrOf(cfg *config.Config, ex *extract.Pool) (version, lacks string, err error) {
	if version, lacks = ex.OCR(); lacks != "" && cfg.Extract.OCR.Enabled == extract.OCROn {
		err = cfg.At("extract.ocr.enabled", fmt.Errorf("tesseract cannot be used: %s. %s", lacks, doctor.PicturesRemedy))
	}
	return version, lacks, err
}

// warnPictures says what a program that is not there means.
func (a *app) warnPictures(lacks string) {
	fmt.Fprintf(a.errs, "stanch: WARNING: words in pictures are not read, and pictures are gaps: tesseract cannot be used: %s. %s\n", lacks, doctor.PicturesRemedy)
}

// warnSandbox says what a child that is not wholly locked in means.
func (a *app) warnSandbox(cfg *config.Config, box extract.Sandbox) {
	if !box.Both() {
		fmt.Fprintf(a.errs, "stanch: WARNING: extract.sandbox is %q: the processes that read hostile documents are %s\n",
			cmp.Or(cfg.Extract.Sandbox, extract.SandboxRequired), box)
	}
}

func cacheDir(cfg *config.Config) string {
	if cfg.File != "" {
		own := filepath.Join(cfg.DataDir, "cache")
		if fi, err := os.Stat(own); err == nil && fi.IsDir() {
			return own
		}
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "" // no home: the pool makes a folder of its own and removes it
	}
	return filepath.Join(dir, "stanch")
}

// judges is one consistent set of rules and policies.
type judges struct {
	cfg     *config.Config // that they are of
	set     *patterns.Set
	table   *tables.Table // that the rules ask; nil for none
	scanner *scanner.Scanner
	policy  *policy.Engine
	ways    *ways.Ways // to encrypt mail
	request gateway.Request
	reader  string           // version of the extractor
	depts   *department.Book // nil: there are none
}

// tableVersion is that of the imported table that the rules ask, "" for none,
// as while nothing can be read.
func (j *judges) tableVersion() string {
	if j == nil || j.table == nil {
		return ""
	}
	return j.table.Version
}

// newJudges loads rules, with their tests, which ask t, and policies.
func newJudges(ctx context.Context, cfg *config.Config, src patterns.Source, t *tables.Table, ex *extract.Pool) (*judges, error) {
	src.Tables = byName(t)
	set, err := patterns.Load(ctx, src, csvTester(ex))
	if err != nil {
		return nil, err
	}
	if err := cfg.CheckRules(func(id dlp.RuleID) bool { return set.Rule(id) != nil }); err != nil {
		return nil, err
	}
	state, err := rolloutOf(cfg)
	if err != nil {
		return nil, err
	}
	p, err := policy.New(cfg.Policy.RolledOut(state.Enforced), cfg.SMTP.InternalDomains)
	if err != nil {
		return nil, err
	}
	w, err := openWays(cfg)
	if err != nil {
		return nil, err
	}
	depts, err := department.Open(cfg.Departments)
	if err != nil {
		return nil, cfg.At("departments.file", err)
	}
	return &judges{cfg: cfg, ways: w, request: gateway.Request{Subject: cfg.Encrypt.RequestSubject, Header: cfg.Encrypt.RequestHeader}, set: set, table: t, scanner: scanner.New(set), policy: p, reader: ex.Version(), depts: depts}, nil
}

// fileEncryption is how files of w are encrypted, by its recipients' keys as
// they are now.
func fileEncryption(w watch.Config) (files.Encryption, error) {
	return files.Open(files.Recipients{Age: w.AgeRecipients, PGP: w.PGPRecipients, CMS: w.CMSRecipients}, time.Now())
}

// unfitRecipients says which watched folders' recipients cannot be used: what is
// to be encrypted there is held.
func unfitRecipients(cfg *config.Config) (errs []error) {
	for i, w := range cfg.Watch {
		_, err := fileEncryption(w)
		if k, ok := errors.AsType[*dlp.KeyError](err); ok {
			errs = append(errs, cfg.At(fmt.Sprintf("watch[%d].%s", i, k.Key), errors.New("expected "+k.Want)))
		}
	}
	return errs
}

// openWays reads the keys to which mail is encrypted.
func openWays(cfg *config.Config) (*ways.Ways, error) {
	w, err := ways.Open(cfg.Encrypt, time.Now)
	if e, ok := errors.AsType[*dlp.KeyError](err); ok {
		return nil, cfg.At(e.Key, errors.New(e.Want))
	}
	if err == nil && cfg.Portal.On() {
		w.HavePortal()
	}
	return w, err
}

// byName is t as rules find it; nil for none.
func byName(t *tables.Table) map[string]patterns.Table {
	if t == nil {
		return nil
	}
	return map[string]patterns.Table{t.Name: t}
}

// Decide judges, and says by what.
func (j *judges) Decide(doc *dlp.Document, found []dlp.Finding, gaps []dlp.Gap) dlp.Verdict {
	v := j.policy.Decide(doc, j.counting(doc, found), gaps)
	v.RuleSet, v.Policy, v.Reader = j.set.Digest(), j.policy.Digest(), j.reader
	return v
}

// counting is found as policies count it: what a rule found in mail from a sender that
// it lists counts as low. On record it stays as it was found.
func (j *judges) counting(doc *dlp.Document, found []dlp.Finding) []dlp.Finding {
	if doc.Channel != dlp.Mail || len(found) == 0 {
		return found
	}
	low := j.set.LowFrom(doc.Sender, time.Now())
	if len(low) == 0 {
		return found
	}
	found = slices.Clone(found)
	for i := range found {
		if slices.Contains(low, found[i].Rule) {
			found[i].Confidence = dlp.Low
		}
	}
	return found
}

// Unread judges what passes unread: by no rules.
func (j *judges) Unread(doc *dlp.Document, reason string) dlp.Verdict {
	return j.policy.Unread(doc, reason)
}

// digests are those of rules and policies; empty where nothing judges yet.
func (j *judges) digests() (rules, policies string) {
	if j == nil {
		return "", ""
	}
	return j.set.Digest(), j.policy.Digest()
}

// digest changes whenever the same file could be judged differently. Where
// nothing judges yet, it is that of no file.
func (j *judges) digest() string {
	if j == nil {
		return ""
	}
	return j.set.Digest() + "/" + j.policy.Digest() + "/" + j.reader
}

// rules is what the gateway judges by; prove is asked of servers.
func (j *judges) rules(cfg *config.Config, prove ways.Prover) *gateway.Rules {
	encrypts := map[string]watch.Config{}
	for _, w := range cfg.Watch {
		encrypts[w.Path] = w
	}
	alone := scanner.New(j.set.Alone())
	var dept func(dlp.Address) string
	if j.depts != nil {
		dept = j.depts.Of
	}
	return &gateway.Rules{
		Department: dept,
		Detect:     func() gateway.Detection { return j.scanner.Begin(scanner.Options{}) },
		Knows:      func(text string) bool { return knows(alone, text) },
		Policy:     j,
		Encrypts: func(root string, size int64) bool {
			e, err := fileEncryption(encrypts[root])
			return err == nil && e.Takes(size)
		},
		Request:  j.request,
		Ways:     j.ways.Proving(prove),
		Show:     func(found []dlp.Finding) gateway.Shower { return newShower(j.scanner, found) },
		Coaching: j.set.Coaching(),
		Types:    j.set.Types(),
	}
}

// knows reports whether s finds anything in text at medium or above, or cannot tell.
func knows(s *scanner.Scanner, text string) bool {
	d := s.Begin(scanner.Options{})
	err := errors.Join(d.Part(dlp.PartInfo{MediaType: "text/plain"}), d.Text(dlp.Window{Text: []byte(text)}))
	found, gaps := d.Finish()
	return err != nil || len(gaps) > 0 || slices.ContainsFunc(found, func(f dlp.Finding) bool { return f.Confidence >= dlp.Medium })
}
