// Package config makes one configuration of each package's own: it reads
// stanch.toml and hands the parts on.
//
// What it promises: every mistake in the file is reported at once, each as
// FILE:LINE: KEY: what was expected, with the line on which the key stands;
// a file with a mistake gives no Config; what a file leaves out has its
// documented default, and paths are absolute.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/backup"
	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/bypass"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/crypt/ways"
	"github.com/stanch-dlp/stanch/internal/department"
	"github.com/stanch-dlp/stanch/internal/dkim"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/index"
	"github.com/stanch-dlp/stanch/internal/loop"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/notify/siem"
	"github.com/stanch-dlp/stanch/internal/passkey"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/probe"
	"github.com/stanch-dlp/stanch/internal/sample"
	"github.com/stanch-dlp/stanch/internal/tomlpos"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/milter"
	"github.com/stanch-dlp/stanch/watch"
)

//go:generate go test -count=1 -run ^TestReference$ . -update

// Config is all of stanch.toml.
type Config struct {
	// File is where the configuration was read from, absolute; "" for the
	// defaults alone.
	File string `toml:"-"`

	// DataDir is the folder of vault, spool, audit log, keys and state. It is made with mode 0700, and one process owns it.
	DataDir string `toml:"data_dir"`
	// Rules says which detection rules are loaded beside the built-in ones.
	Rules Rules `toml:"rules"`
	// Site describes the site's own numbers.
	Site patterns.Site `toml:"site"`
	// Index says where the site's own patients are kept, as keyed tokens; see docs/patient-index.md. A reload takes what was built since.
	Index index.Config `toml:"index"`
	// Scan switches detection.
	Scan Scan `toml:"scan"`
	// Outbox bounds the delivery of what is stanch's own: released, split, read on in the background, notices.
	Outbox Outbox `toml:"outbox"`
	// SMTP is the mail door.
	SMTP smtp.Config `toml:"smtp"`
	// Milter is the mail door for servers that ask before they accept: Postfix and Sendmail.
	Milter milter.Config `toml:"milter"`
	// Watch are the watched folders, one [[watch]] for each.
	Watch []watch.Config `toml:"watch"`
	Policy
	// Notify says how notices to senders speak. Without a contact of their own they name that of `[smtp]`.
	Notify notify.Config `toml:"notify"`
	// SIEM are the receivers that are told of what is held, refused, encrypted and released, and of alarms, one [[siem]] for each; see docs/notify.md.
	SIEM []siem.Config `toml:"siem"`
	// Bypass says whether mail may pass unread for a while when reading it has broken down; see docs/flow.md.
	Bypass bypass.Config `toml:"bypass"`
	// DKIM says with what stanch signs its own messages, and those that it tags; see docs/flow.md. Mail that passes unchanged keeps the signatures it has.
	DKIM dkim.Config `toml:"dkim"`
	// Urgent says whose mail cannot wait; see docs/flow.md.
	Urgent gateway.UrgentConfig `toml:"urgent"`
	// Loop says when a message goes round in circles; see docs/flow.md.
	Loop loop.Config `toml:"loop"`
	// Vault says who can open what is held, and for how long it is kept; see docs/vault.md.
	Vault vault.Config `toml:"vault"`
	// Backup says who can open backups; see docs/backup.md.
	Backup backup.Config `toml:"backup"`
	// Encrypt says how mail is encrypted.
	Encrypt ways.Config `toml:"encrypt"`
	// Portal is where a recipient who has no other way opens mail in a browser; see docs/portal.md.
	Portal pickup.Config `toml:"portal"`
	// Sender is where the sender of a message that is held, or waits on a pickup page, says what becomes of it, by the link of their notice; see docs/sender.md.
	Sender gateway.SenderConfig `toml:"sender"`
	// Extract bounds the reading of documents.
	Extract extract.Config `toml:"extract"`
	// Buffer bounds what is kept of messages while they are judged.
	Buffer Buffer `toml:"buffer"`
	// Review says what decisions about held items take.
	Review gateway.ReviewConfig `toml:"review"`
	// Sample says whether some of the mail that passed is kept for a while, sealed, so that edited rules can be tried on it; see docs/rules.md.
	Sample sample.Config `toml:"sample"`
	// Console is the officer's pages.
	Console Console `toml:"console"`
	// Departments say whose department the sender of a mail is, for the figures by department; see docs/console.md. What was decided before stays with the department that it was counted for.
	Departments department.Config `toml:"departments"`
	// Metrics is the listener for measurements and health.
	Metrics metrics.Config `toml:"metrics"`
	// Doctor tries the ways out with mails and files about invented patients.
	Doctor probe.Config `toml:"doctor"`
	// Log says what is logged.
	Log Log `toml:"log"`

	named string             // File as it was given to Load, for messages
	pos   *tomlpos.Positions // of File; nil for the defaults alone
}

// Policy is [[policies]] and [defaults]; the name is that of Config's field.
type Policy = policy.Config

// Rules is the [rules] table.
type Rules struct {
	// Paths are the site's own rule files, or folders of them, added to the built-in packs; a rule with the id of another replaces it.
	Paths []string `toml:"paths"`
}

// Scan is the [scan] table.
type Scan struct {
	// Enabled is false for measurements of transport alone: then nothing is read and everything passes. It is warned of at start, counted, and put on the audit log.
	Enabled bool `toml:"enabled"`
	// BackgroundTimeout is how long a message may be read that took longer than `smtp.scan_timeout` and was taken into the spool; past it the message is held. What `[extract]` bounds stays bounded.
	BackgroundTimeout dlp.Duration `toml:"background_timeout"`
	// BackgroundReaders is how many such messages are read at once. They have readers of their own beside `extract.workers`, so that they never take a turn from mail whose client waits.
	BackgroundReaders int `toml:"background_readers"`
	// BackgroundQueue is how many such messages may be in the spool; one more is asked to come again (451 4.3.2). 0 takes none: what is not read within `smtp.scan_timeout` is held.
	BackgroundQueue int `toml:"background_queue"`
	// BackgroundSize is how large those may be together.
	BackgroundSize dlp.Size `toml:"background_size"`
}

// Validate reports bounds under which nothing would ever be read.
func (s *Scan) Validate() error {
	var errs []error
	for _, k := range []struct {
		key  string
		ok   bool
		want string
	}{
		{"background_timeout", s.BackgroundTimeout > 0, `a duration above zero such as "15m"`},
		{"background_readers", s.BackgroundReaders >= 1 && s.BackgroundReaders <= 64, "a number from 1 to 64"},
		{"background_queue", s.BackgroundQueue >= 0, "a number of at least 0"},
		{"background_size", s.BackgroundSize >= 1<<20, "a size of at least 1MiB"},
	} {
		if !k.ok {
			errs = append(errs, &dlp.KeyError{Key: "scan." + k.key, Want: k.want})
		}
	}
	return errors.Join(errs...)
}

// Outbox is the [outbox] table.
type Outbox struct {
	// Workers is how many deliveries are under way at once.
	Workers int `toml:"workers"`
	// PerDestination is how many of these go to one next hop, or to one domain where DNS names the next hop. One that gave no answer gets one at a time until it does.
	PerDestination int `toml:"per_destination"`
	// Expiry is how long a message is tried before it comes back to its sender as undelivered. Time in which nothing was tried, because stanch did not run or the clock was put forward, does not count.
	Expiry dlp.Duration `toml:"expiry"`
}

// Validate reports bounds under which nothing would be delivered.
func (o *Outbox) Validate() error {
	var errs []error
	for _, k := range []struct {
		key  string
		ok   bool
		want string
	}{
		{"workers", o.Workers >= 1 && o.Workers <= 256, "a number from 1 to 256"},
		{"per_destination", o.PerDestination >= 1 && o.PerDestination <= o.Workers, "a number from 1 to workers"},
		{"expiry", o.Expiry >= dlp.Duration(time.Hour), `a duration of at least an hour such as "5d"`},
	} {
		if !k.ok {
			errs = append(errs, &dlp.KeyError{Key: "outbox." + k.key, Want: k.want})
		}
	}
	return errors.Join(errs...)
}

// Buffer is the [buffer] table.
type Buffer struct {
	// MemoryEach is how much of one message stays in memory; past it the message moves to an unlinked file, sealed under a key that lives in memory.
	MemoryEach dlp.Size `toml:"memory_each"`
	// MemoryAll is how much of all messages together stays in memory.
	MemoryAll dlp.Size `toml:"memory_all"`
	// DiskAll is how much all those files together may take; past it the client is asked to try again.
	DiskAll dlp.Size `toml:"disk_all"`
}

// Pool returns the bounds of a buffer pool whose files lie in dir.
func (b Buffer) Pool(dir string) buffer.Config {
	return buffer.Config{MemoryEach: int64(b.MemoryEach), MemoryAll: int64(b.MemoryAll), DiskAll: int64(b.DiskAll), Dir: dir}
}

// Console is the [console] table.
type Console struct {
	// Listen is the host:port of the reviewer's pages (docs/console.md), on this machine: others reach them through a proxy that
	// speaks TLS. "" for no console.
	Listen string `toml:"listen"`
	// URL is where the console is in reviewers' browsers, such as `https://desk.clinic.example`: passkeys are for this name and port
	// alone, so that another means setting them anew. By https, or on `localhost`; an IP address has none. "" takes `oidc.url`.
	URL string `toml:"url"`
	// Reasons are the codes of which a reviewer gives one with every decision. They stand in the audit log, and on the page with
	// blanks for underscores: small letters, digits and `_`, at most 40 of them.
	Reasons []string `toml:"reasons"`
	// Proxies are the networks from which `X-Forwarded-For` is believed, for the limits of sign-ins by address. Without them all who
	// come through a proxy share its address.
	Proxies []string `toml:"proxies"`
	// SecondFactor are the roles that must sign in with a code beside the password: `viewer`, `officer`, `admin`, `auditor`. Others
	// may. Who has none sets one up before anything else.
	SecondFactor []string `toml:"second_factor"`
	// AcceptOwn lets an admin accept a change of rules that they proposed themselves from an item (*not PHI*). False: another admin
	// does.
	AcceptOwn bool `toml:"accept_own"`
	// OIDC is signing in by an OpenID Connect provider, beside the accounts kept here.
	OIDC console.OIDCConfig `toml:"oidc"`
}

// Log is the [log] table. Logs hold no PHI, whatever the level.
type Log struct {
	// Level is the least that is logged: `debug`, `info`, `warn` or `error`.
	Level string `toml:"level"`
}

// Default returns the configuration of an empty file: no door, the built-in
// rules, the starter policy.
func Default() Config {
	b := buffer.Default()
	return Config{
		DataDir: "var",
		Scan: Scan{Enabled: true, BackgroundTimeout: dlp.Duration(15 * time.Minute), BackgroundReaders: 1, BackgroundQueue: 100,
			BackgroundSize: 1 << 30},
		Outbox:      Outbox{Workers: 16, PerDestination: 4, Expiry: dlp.Duration(5 * 24 * time.Hour)}, // RFC 5321 4.5.4.1
		SMTP:        smtp.Default(),
		Milter:      milter.Default(),
		Policy:      policy.Starter(),
		Notify:      notify.Default(),
		Console:     Console{Reasons: []string{"payment", "treatment", "patient_asked", "not_phi", "sent_in_error", "other"}, OIDC: console.DefaultOIDC()},
		Review:      gateway.DefaultReview(),
		Sample:      sample.Default(),
		Bypass:      bypass.Default(),
		Urgent:      gateway.DefaultUrgent(),
		Loop:        loop.Default(),
		Vault:       vault.DefaultConfig(),
		Encrypt:     ways.Default(),
		Portal:      pickup.Default(),
		Sender:      gateway.DefaultSender(),
		Extract:     extract.Default(),
		Buffer:      Buffer{MemoryEach: dlp.Size(b.MemoryEach), MemoryAll: dlp.Size(b.MemoryAll), DiskAll: dlp.Size(b.DiskAll)},
		Departments: department.Default(),
		Metrics:     metrics.Default(),
		Log:         Log{Level: "info"},
	}
}

// Validate reports all that is wrong, each as a *dlp.KeyError, joined: what
// each package says of its own part, and what none of them can see alone.
func (c *Config) Validate() error {
	errs := []error{
		c.SMTP.Validate(),
		c.Scan.Validate(),
		c.Milter.Validate(),
		c.validateMilter(),
		c.Outbox.Validate(),
		watch.ValidateAll(c.Watch),
		c.Policy.Validate(),
		c.Notify.Validate(),
		siem.ValidateAll(c.SIEM),
		c.Bypass.Validate(),
		c.Loop.Validate(),
		c.DKIM.Validate(),
		c.validateSigned(),
		c.Urgent.Validate(len(c.Notify.Officers) > 0),
		c.Extract.Validate(),
		c.Departments.Validate(),
		c.Metrics.Validate(),
		c.Vault.Validate(),
		c.Backup.Validate(),
		publicKeys("vault.reviewers", c.Vault.Reviewers),
		publicKeys("backup.recipients", c.Backup.Recipients),
		c.validateAgeRecipients(),
		c.Encrypt.Validate(),
		c.Portal.Validate(),
		c.Sender.Validate(),
		c.Buffer.Validate(),
		c.Review.Validate(),
		c.Sample.Validate(),
		c.Console.Validate(),
		c.Log.Validate(),
		c.validateDoctor(),
		c.validateDataDir(),
		c.validateIndex(),
	}
	if k, ok := errors.AsType[*dlp.KeyError](c.Site.Validate()); ok {
		errs = append(errs, &dlp.KeyError{Key: "site." + k.Key, Want: k.Want})
	}
	return errors.Join(errs...)
}

// validateMilter sees to it that what the milter door holds can leave: released
// mail, notices and delivery status notifications have no other way out than
// the next hop.
func (c *Config) validateMilter() error {
	if len(c.Milter.Listen) == 0 {
		return nil
	}
	var errs []error
	want := func(key, want string) { errs = append(errs, &dlp.KeyError{Key: key, Want: want}) }
	if c.SMTP.NextHop == "" && len(c.SMTP.AllDoors()) == 0 { // with a mail door smtp says so
		want("smtp.next_hop", "host:port or maildir:DIR, with milter.listen too: released mail and notices leave there")
	}
	if c.SMTP.Hostname == "" && len(c.SMTP.AllDoors()) == 0 {
		want("smtp.hostname", "a host name such as gw.example, with milter.listen too: it stands in what leaves")
	}
	if c.SMTP.ScanTimeout >= c.Milter.AnswerTimeout && c.Milter.AnswerTimeout > 0 {
		want("milter.answer_timeout", "more than smtp.scan_timeout")
	}
	return errors.Join(errs...)
}

// validateDataDir keeps the data folder and the watched folders apart: a
// watched vault would be judged, taken away and sealed into itself.
func (c *Config) validateDataDir() error {
	if c.DataDir == "" {
		return &dlp.KeyError{Key: "data_dir", Want: "a folder"}
	}
	data := real(c.DataDir)
	for i, w := range c.Watch {
		if root := real(w.Path); w.Path != "" && (within(data, root) || within(root, data)) {
			return &dlp.KeyError{Key: fmt.Sprintf("watch[%d].path", i), Want: "a folder neither inside nor around data_dir"}
		}
	}
	return nil
}

// publicKeys reports what is no public key, by its place: what stands there may
// be a secret key, and is not repeated.
func publicKeys(key string, list []string) error {
	if len(list) > age.MaxRecipients {
		return &dlp.KeyError{Key: key, Want: fmt.Sprintf("at most %d keys", age.MaxRecipients)}
	}
	for i, r := range list {
		if _, err := age.ParseRecipients([]string{r}); err != nil {
			return &dlp.KeyError{Key: fmt.Sprintf("%s[%d]", key, i), Want: `an age public key, whole and unaltered, that begins with "age1"`}
		}
	}
	return nil
}

// validateAgeRecipients looks at the keys to which the watched folders' files are
// encrypted.
func (c *Config) validateAgeRecipients() error {
	var errs []error
	for i, w := range c.Watch {
		errs = append(errs, publicKeys(fmt.Sprintf("watch[%d].age_recipients", i), w.AgeRecipients))
	}
	return errors.Join(errs...)
}

// validateIndex keeps the patient index and its key apart, and both out of the
// watched folders.
func (c *Config) validateIndex() error {
	dir, key := c.Index.Places(c.DataDir)
	if within(real(key), real(dir)) {
		return &dlp.KeyError{Key: "index.key", Want: "a file outside of index.dir: who has the index with its key can try numbers"}
	}
	for _, w := range c.Watch {
		root := real(w.Path) // data_dir itself is looked after by validateDataDir
		if w.Path != "" && (c.Index.Dir != "" && within(real(dir), root) || c.Index.Key != "" && within(real(key), root)) {
			return &dlp.KeyError{Key: "index.dir", Want: "a folder, and a key, that is not inside a watched folder"}
		}
	}
	return nil
}

// validateDoctor reports a route by a folder that nobody watches.
func (c *Config) validateDoctor() error {
	if err := c.Doctor.Validate(); err != nil {
		return err
	}
	for i, r := range c.Doctor.Routes {
		if r.Folder != "" && !slices.ContainsFunc(c.Watch, func(w watch.Config) bool { return within(real(r.Folder), real(w.Path)) }) {
			return &dlp.KeyError{Key: fmt.Sprintf("doctor.routes[%d].folder", i), Want: "a watched folder, or one below it"}
		}
	}
	return nil
}

// validateSigned sees to it that the signature speaks for who stanch writes as:
// else DMARC takes its notices for forged.
func (c *Config) validateSigned() error {
	from := c.Notify.From
	if from == "" {
		from = "postmaster@" + c.SMTP.Hostname
	}
	_, host, _ := strings.Cut(from, "@")
	if c.DKIM.On() && !c.DKIM.Covers(host) {
		return &dlp.KeyError{Key: "dkim.domain", Want: "the domain of notify.from (or of smtp.hostname, without it), or one above it"}
	}
	return nil
}

// real returns path absolute, and without symbolic links if it exists.
func real(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return path
}

// within reports whether path is dir or lies below it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// Validate reports bounds in which no message fits.
func (b *Buffer) Validate() error {
	if b.MemoryAll < b.MemoryEach {
		return &dlp.KeyError{Key: "buffer.memory_all", Want: "at least memory_each"}
	}
	return nil
}

// reasonCode is what the audit log takes as a constant.
var reasonCode = regexp.MustCompile(`^[a-z][a-z_]*[0-9]{0,2}$`)

// Validate reports what is no address of this machine to listen on, and reasons
// that cannot stand in the audit log.
func (c *Console) Validate() error {
	if len(c.Reasons) == 0 || len(c.Reasons) > 50 || slices.ContainsFunc(c.Reasons, func(r string) bool { return len(r) > 40 || !reasonCode.MatchString(r) }) {
		return &dlp.KeyError{Key: "console.reasons", Want: "1 to 50 codes such as \"not_phi\""}
	}
	for i, r := range c.SecondFactor {
		if !slices.Contains([]string{"viewer", "officer", "admin", "auditor"}, r) {
			return &dlp.KeyError{Key: fmt.Sprintf("console.second_factor[%d]", i), Want: `"viewer", "officer", "admin" or "auditor"`}
		}
	}
	for _, p := range c.Proxies {
		if _, err := netip.ParsePrefix(p); err != nil {
			return &dlp.KeyError{Key: "console.proxies", Want: `networks such as "127.0.0.0/8"`}
		}
	}
	if err := c.OIDC.Validate(); err != nil {
		return err
	}
	if c.URL != "" && passkey.NewSite(c.URL, "") == nil {
		return &dlp.KeyError{Key: "console.url", Want: "an address by https and a name, such as https://desk.clinic.example, or on localhost: passkeys are for it"}
	}
	if c.Listen == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return &dlp.KeyError{Key: "console.listen", Want: "host:port"}
	}
	if ip := net.ParseIP(host); host != "localhost" && !ip.IsLoopback() {
		return &dlp.KeyError{Key: "console.listen", Want: "an address of this machine such as 127.0.0.1:8025: passwords and patients' data go there, and TLS is a proxy's to speak"}
	}
	return nil
}

// Validate reports an unknown level.
func (l *Log) Validate() error {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, l.Level) {
		return &dlp.KeyError{Key: "log.level", Want: `"debug", "info", "warn" or "error"`}
	}
	return nil
}

// maildirPrefix marks a next hop that is a folder.
const maildirPrefix = "maildir:"

// resolve makes every path of c absolute; relative ones are relative to dir.
func (c *Config) resolve(dir string) {
	abs := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	for _, p := range []*string{&c.DataDir, &c.SMTP.TLSCert, &c.SMTP.TLSKey, &c.SMTP.Auth.Users, &c.SMTP.NextHopCA, &c.SMTP.NextHopCert, &c.SMTP.NextHopKey,
		&c.SMTP.NextHopAuth, &c.DKIM.Key, &c.Portal.TLSCert, &c.Portal.TLSKey, &c.Console.OIDC.ClientSecretFile, &c.Console.OIDC.TLSCA, &c.Sender.TLSCert, &c.Sender.TLSKey, &c.Index.Dir, &c.Index.Key, &c.Encrypt.SMIMEDir, &c.Encrypt.OpenPGPDir, &c.Encrypt.PDFDir, &c.Encrypt.SeenDir, &c.Encrypt.SMIMERoots, &c.Encrypt.SMIMESignCert, &c.Encrypt.SMIMESignKey, &c.Extract.PasswordsFile, &c.Departments.File} {
		abs(p)
	}
	for i := range c.SIEM {
		for _, p := range c.SIEM[i].Paths() {
			abs(p)
		}
	}
	for i := range c.Vault.ReviewerCertificates {
		abs(&c.Vault.ReviewerCertificates[i])
	}
	for i := range c.Encrypt.LDAP {
		abs(&c.Encrypt.LDAP[i].CA)
		abs(&c.Encrypt.LDAP[i].PasswordFile)
	}
	for i := range c.Rules.Paths {
		abs(&c.Rules.Paths[i])
	}
	for i := range c.SMTP.Routes {
		for _, p := range c.SMTP.Routes[i].Paths() {
			abs(p)
		}
		c.SMTP.Routes[i].MapFolders(func(folder string) string {
			abs(&folder)
			return folder
		})
	}
	for i := range c.Watch {
		w := &c.Watch[i]
		abs(&w.Path)
		for _, list := range [][]string{w.PGPRecipients, w.CMSRecipients} {
			for k := range list {
				abs(&list[k])
			}
		}
	}
	for i := range c.Doctor.Routes {
		abs(&c.Doctor.Routes[i].Folder)
	}
	for i := range c.Policies {
		for _, m := range []*policy.Match{&c.Policies[i].Where, &c.Policies[i].Except} {
			for j := range m.Folders {
				abs(&m.Folders[j])
			}
		}
	}
	if folder, ok := strings.CutPrefix(c.SMTP.NextHop, maildirPrefix); ok && folder != "" {
		abs(&folder)
		c.SMTP.NextHop = maildirPrefix + folder
	}
}
