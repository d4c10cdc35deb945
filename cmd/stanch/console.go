package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/passkey"
	"github.com/stanch-dlp/stanch/internal/rulefile"
	"github.com/stanch-dlp/stanch/internal/survey"
	"github.com/stanch-dlp/stanch/internal/tally"
	"github.com/stanch-dlp/stanch/internal/web"
	"github.com/stanch-dlp/stanch/scanner"
)

// buildConsole makes the reviewer's pages, and an account for the first start.
func (s *server) buildConsole() error {
	s.tally = tally.New(s.audit, s.db, time.Now, s.log, s.isDrill)
	if s.cfg.Console.Listen == "" {
		return nil
	}
	users := console.OpenUsers(consoleDir(s.cfg.DataDir))
	shown := s.app.printPassword || onTerminal(s.app.out)
	password, err := users.FirstAccount(!shown)
	switch {
	case err != nil:
		return err
	case password != "" && shown:
		s.firstSignIn = "sign in as admin, password " + password + " (printed this once; you set your own first)"
	case password != "": // what is printed may go to a journal
		s.firstSignIn = "sign in as admin; the password is in " + abs(users.FirstPasswordPath()) + " until you set your own"
	}
	proxies, err := web.Networks(s.cfg.Console.Proxies)
	if err != nil {
		return &dlp.KeyError{Key: "console.proxies", Want: "networks"}
	}
	var roles []console.Role
	for _, r := range s.cfg.Console.SecondFactor {
		roles = append(roles, console.Role(r))
	}
	provider, err := openOIDC(s.cfg)
	if err != nil {
		return err
	}
	s.ruleFile = rulefile.Open(s.cfg.DataDir)
	var pickups console.Pickups
	if s.cfg.Portal.On() {
		pickups = s.gateway
	}
	s.console, err = console.New(console.Deps{
		Desk: s.gateway, Reader: rereading{s}, Users: users, Views: console.OpenViews(consoleDir(s.cfg.DataDir), s.ring), Deputy: console.OpenDeputies(consoleDir(s.cfg.DataDir), time.Now), Keys: s.ring, Vault: s.gateway, SecondFor: roles, Rules: s.consoleRules, Book: rulebook{s}, Editor: rulebook{s}, Exempt: rulebook{s}, AcceptOwn: s.cfg.Console.AcceptOwn, RuleFile: s.ruleFile, Reasons: s.cfg.Console.Reasons, Proxies: proxies, Now: time.Now, Log: s.log,
		OIDC: provider, Site: passkey.NewSite(cmp.Or(s.cfg.Console.URL, s.cfg.Console.OIDC.URL), "stanch"), Trail: s.audit, Prover: s.audit, Legal: s.gateway, Persons: s.persons,
		Dossiers:    s.gateway,
		Rollout:     rollouts{s},
		Drills:      s.gateway,
		Pickups:     pickups,
		Departments: s.departments,
		Figures:     s.tally, HeldBefore: s.db.HeldBefore, Health: s.conditions, Probed: s.probed,
		Held: func(ctx context.Context) (int, error) {
			_, held, err := s.db.Counts(ctx)
			return held, err
		},
	})
	return err
}

// openOIDC reads what signing in by a provider takes; nil where there is none.
func openOIDC(cfg *config.Config) (*console.OIDC, error) {
	o, err := console.OpenOIDC(cfg.Console.OIDC, time.Now)
	if e, ok := errors.AsType[*dlp.KeyError](err); ok {
		return nil, cfg.At(e.Key, errors.New("expected "+e.Want))
	}
	return o, err
}

// inForce returns the rules in force, or nil.
func (s *server) inForce() *judges {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.judges
}

// departments are those of the configuration in force.
func (s *server) departments() console.Departments {
	j := s.inForce()
	if j == nil || j.depts == nil {
		return console.Departments{}
	}
	return departmentsOf(j.depts.Names(), j.cfg.Departments.LeastSenders, s.ring.Pseudonym)
}

// departmentsOf names departments by what stands for them in the audit log.
func departmentsOf(names []string, least int, pseudonym func(kind, value string) string) console.Departments {
	d := console.Departments{Names: map[string]string{}, Least: least, None: pseudonym(gateway.DepartmentKind, "")}
	for _, name := range names {
		d.Names[pseudonym(gateway.DepartmentKind, name)] = name
	}
	return d
}

func (s *server) consoleRules() []console.Rule {
	j := s.inForce()
	if j == nil {
		return nil
	}
	var out []console.Rule
	for _, r := range j.set.Rules() {
		out = append(out, console.Rule{ID: r.ID, Type: r.Type, Name: r.Description, Severity: r.Severity})
	}
	return out
}

// rereading reads held documents again for the console, by the rules in force.
type rereading struct{ s *server }

// errNotRead says that there is nothing to read a document with, or that it
// could not be read.
var errNotRead = errors.New("the document could not be read again")

// maxPartsShown bounds the parts that a page lists.
const maxPartsShown = 500

// Masked reads doc and masks what is found.
func (c rereading) Masked(ctx context.Context, doc *dlp.Document) (survey.Document, []console.Part, error) {
	j := c.s.inForce()
	if j == nil {
		return survey.Document{}, nil, errNotRead
	}
	var parts []console.Part
	v := &survey.Survey{
		Extract: noted{c.s.extract, func(p dlp.PartInfo) {
			if len(parts) < maxPartsShown {
				parts = append(parts, console.Part{Path: p.Path, MediaType: p.MediaType, Name: p.Name})
			}
		}},
		Detect: func(seen func(dlp.Finding, []byte)) survey.Detection {
			return j.scanner.Begin(scanner.Options{OnFinding: seen})
		},
		Policy: asGateway{j}, Mask: scanner.MaskFindings, RuleSet: j.set.Digest(), Jobs: 1,
		Stdin:   func() (func() (io.ReadSeekCloser, error), int64, error) { return doc.Open, doc.Size, nil },
		Explain: explainsFindings(j.scanner, false),
	}
	var out survey.Document
	err := v.Run(ctx, []string{"-"}, &survey.Progress{}, func(d survey.Document) error {
		out = d
		return nil
	})
	if err == nil && out.Error != "" {
		err = errNotRead
	}
	n := len(parts)
	for i := range parts { // explaining reads it once more
		if i > 0 && parts[i].Path == parts[0].Path {
			n = i
			break
		}
	}
	return out, parts[:n], err
}

// noted is an extractor that tells of the parts it comes by.
type noted struct {
	*extract.Pool
	part func(dlp.PartInfo)
}

// Extract reads doc into sink.
func (n noted) Extract(ctx context.Context, doc *dlp.Document, sink dlp.Sink) error {
	return n.Pool.Extract(ctx, doc, notedSink{sink, n.part})
}

type notedSink struct {
	dlp.Sink
	part func(dlp.PartInfo)
}

// Part notes p and passes it on.
func (s notedSink) Part(p dlp.PartInfo) error {
	s.part(p)
	return s.Sink.Part(p)
}

// Text returns the text of one part.
func (c rereading) Text(ctx context.Context, doc *dlp.Document, part string, limit int) (string, bool, error) {
	t := &partText{want: part, limit: limit}
	err := c.s.extract.Extract(ctx, doc, t)
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return "", false, errNotRead
	case !t.seen || t.locked && len(t.text) == 0:
		return "", false, console.ErrNoPart
	}
	return string(t.text), t.whole || err == nil, nil
}

// errEnough stops an extraction: the part that was asked for is there.
var errEnough = errors.New("enough read")

// partText keeps the text of one part.
type partText struct {
	want  string
	limit int
	in    bool // the part is open
	seen  bool
	whole bool
	text  []byte

	locked bool // it is encrypted, and was not read
}

// Part notes whether the part is the one.
func (t *partText) Part(p dlp.PartInfo) error {
	if t.seen {
		t.whole = true
		return errEnough
	}
	t.in = p.Path == t.want
	t.seen = t.in
	return nil
}

// Text keeps what belongs to the part.
func (t *partText) Text(w dlp.Window) error {
	if !t.in {
		return nil
	}
	if room := t.limit - len(t.text); len(w.Text) > room {
		t.text = append(t.text, w.Text[:room]...)
		return errEnough
	}
	t.text = append(t.text, w.Text...)
	return nil
}

// Gap notes that the part is encrypted; others are told on the item's page.
func (t *partText) Gap(g dlp.Gap) error {
	t.locked = t.locked || g.Path == t.want && g.Cause == dlp.Encrypted
	return nil
}
