package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/bypass"
	"github.com/stanch-dlp/stanch/internal/dkim"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/dossier"
	"github.com/stanch-dlp/stanch/internal/drill"
	"github.com/stanch-dlp/stanch/internal/loop"
	"github.com/stanch-dlp/stanch/internal/metrics"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/passbook"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/probe"
	"github.com/stanch-dlp/stanch/internal/sample"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Extractor turns a Document into text. What it cannot read it hands over as
// Gaps; its error means that nothing at all is known about the Document.
type Extractor interface {
	Extract(ctx context.Context, doc *dlp.Document, sink dlp.Sink) error
}

// Detection takes what extraction reads of one Document and says what it found.
type Detection interface {
	dlp.Sink
	Finish() ([]dlp.Finding, []dlp.Gap)
}

// Decider turns what is known about a Document into a Verdict. It is pure.
type Decider interface {
	Decide(doc *dlp.Document, found []dlp.Finding, gaps []dlp.Gap) dlp.Verdict
	// Unread is the verdict on what passes without being read, for reason.
	Unread(doc *dlp.Document, reason string) dlp.Verdict
}

// Recorder is the audit log. Append returns when the event is on stable
// storage; Note promises its place in the order, and storage within a second.
type Recorder interface {
	Append(ctx context.Context, e audit.Event) (uint64, error)
	Note(ctx context.Context, e audit.Event) error
}

// Deliverer tries once to deliver a message and says what became of each
// recipient, in order.
type Deliverer interface {
	Deliver(ctx context.Context, m spool.Message, open func() (io.ReadCloser, error)) []dlp.Delivery
}

// FileReleaser puts a released file back where it was, never over a newer one,
// and says what it is called now, relative to root. Called again with the same
// id after a crash it finishes what it began.
type FileReleaser interface {
	Restore(ctx context.Context, root, path string, meta dlp.FileMeta, id dlp.ID, content io.Reader, why dlp.Released) (string, error)
}

// Pseudonyms turns what names a person into keyed tokens that may stand in the
// audit log.
type Pseudonyms interface {
	Pseudonym(kind, value string) string
	MAC(kind string, parts ...[]byte) [32]byte
}

// Ways is how mail goes to its recipients encrypted.
type Ways interface {
	// Way names the way to rcpt that is none of except, "" for none.
	Way(ctx context.Context, from, rcpt dlp.Address, except ...dlp.Way) dlp.Way
	// Proof reports whether a connection that proves to lead to rcpt's server is
	// encryption enough by what is configured now. It asks nobody.
	Proof(rcpt dlp.Address) bool
	// Classes sorts recipients on the same way into those who can share a message.
	Classes(way dlp.Way, rcpts []dlp.Address) [][]dlp.Address
	// Encrypt writes to dst the message that open opens, encrypted to rcpts, who
	// are one of Classes, as a complete new message. dlp.VerifiedTLS leaves it as it
	// is, and is not asked for.
	Encrypt(dst io.Writer, open func() (io.ReadCloser, error), way dlp.Way, rcpts []dlp.Address) error
}

// Rules is what judges Documents: one consistent rule set and policy, swapped
// as a whole on reload.
type Rules struct {
	Detect func() Detection // one for each Document
	Policy Decider
	// Knows reports whether a short text has an identifier that the rules know for
	// its form alone, whatever stands around it; nil: none. It is safe for use by
	// many goroutines.
	Knows func(text string) bool
	// Encrypts reports whether a file of so many bytes in a watched root can be
	// encrypted.
	Encrypts func(root string, size int64) bool
	// Request is how a sender may ask for encryption.
	Request Request
	Ways    Ways // nil: there is no way to encrypt mail
	// Show begins to note what reviewers see of a Document in which found was; nil:
	// nothing is noted.
	Show func(found []dlp.Finding) Shower
	// Department is the name of a sender's department, "" for none; nil: there are no
	// departments.
	Department func(dlp.Address) string
	// Coaching is what senders are told of what a rule finds.
	Coaching map[dlp.RuleID]dlp.Coaching
	// Types are the kinds of data that rules find.
	Types map[dlp.RuleID]dlp.Type
}

// Shower reads a Document once more, for those who decide about it.
type Shower interface {
	dlp.Sink
	Finish() vault.Shown
}

// Config is what the conductor itself needs to know.
type Config struct {
	ScanTimeout     time.Duration // reading and detecting a message for longer than this goes on without its client
	Readers         int           // documents read at once; what waits for its turn is not timed
	PDFReaders      int           // documents with a PDF read at once, beside Readers, from their first PDF on; 0: 1
	OCRReaders      int           // documents with pictures whose words are read, read at once; 0: 1
	ScanEnabled     bool          // false: transport only, for measurements
	Request         Request       // how a sender asks for encryption while no rules are loaded
	DeliveryWorkers int           // outbox deliveries at once
	PerDestination  int           // of these, to one destination; 0: 1
	DeliverTimeout  time.Duration // one try of the outbox
	StopWithin      time.Duration // how long a try under way may go on when the outbox stops; 0: it is cut
	OutboxExpiry    time.Duration // after which an undelivered copy comes back as a DSN
	Hostname        string        // in notices and DSNs
	InternalDomains []string      // smtp.internal_domains: of whom drills may be
	Notices         notify.Config
	Urgent          UrgentConfig
	Background      Background
	Review          ReviewConfig
	Reasons         []string      // codes that a person's decision may have; none: any
	Retention       vault.Config  // how long a period of the vault lasts, and is kept
	Portal          pickup.Config // where recipients open mail in a browser
	Sender          SenderConfig  // where senders say what becomes of what is held of theirs
}

// Background bounds the reading that no client waits for.
type Background struct {
	Timeout time.Duration // reading and detecting a message for longer than this holds it
	Readers int           // messages read so at once, beside Config.Readers; 0: 1
	Queue   int           // how many may be in the spool for it; 0: none, and scan_timeout holds
	Bytes   int64         // how large those may be together
}

// Deps are the neighbours of the gateway.
type Deps struct {
	Extract Extractor
	Audit   Recorder
	Store   store.Store
	Vault   *vault.Vault
	Keys    VaultKeys // of the vault; nil: they neither change nor end
	Copy    Copier    // nil: nothing is backed up
	Spool   *spool.Spool
	Pickup  *pickup.Book // nil: nobody opens mail in a browser
	Names   Pseudonyms
	People  People // nil: an actor is a person, whose address nobody knows
	Deliver Deliverer
	Hand    *spool.Hand // what is being delivered; nil: it is not noted
	Outages string      // the file in which the outbox notes when it ran; "": it is not noted
	// Destinations tells where each recipient goes next, by a name of its own
	// for each that can be reached or not by itself. Nil: there is one.
	Destinations func(from dlp.Address, rcpts []dlp.Address) []string
	Files        FileReleaser   // nil: no watched folder
	Loop         *loop.Guard    // nil: mail that leaves is not marked
	Caller       Caller         // nil: calls are made by mail alone
	Texter       Caller         // sends codes as text messages; nil: they go by mail alone
	Sign         *dkim.Signer   // nil: what the gateway writes or changes is not signed
	Bypass       *bypass.Switch // nil: no mail ever passes unread
	Probes       *probe.Book    // nil: no way out is tried
	Submit       Submitter      // hands probes in; nil: none are sent
	// Passwords keeps what mails name, for others between the same two; nil:
	// nothing is kept.
	Passwords *passbook.Book
	Sample    *sample.Sample // of mail that passed; nil: none is kept
	Buffers   *buffer.Pool   // of messages while they are encrypted; nil: none can be
	Log       *slog.Logger
	Metrics   *metrics.Set
	// Dossiers are of what may have been disclosed, and Prove what the log says of it.
	Dossiers *dossier.Store
	Prove    Prover
	Drills   *drill.Book      // nil: there are none
	Now      func() time.Time // nil: time.Now
	// Elapsed is how long the process runs, by a clock that nobody sets; nil: the
	// system's monotonic one.
	Elapsed func() time.Duration
	OnStep  func(step string) // nil, or called before each durable step; for crash tests
}

// Gateway is safe for use by many goroutines.
type Gateway struct {
	Deps
	cfg   Config
	rules atomic.Pointer[Rules]

	reading *turns // who is being read
	slow    *turns // who is being read by a slow reader

	pictures  *turns   // whose pictures are being read
	repeats   repeats  // unacknowledged holds and splits
	notices   throttle // when each sender was last told, per policy
	storage   storage  // whether files find room
	wake      chan struct{}
	begun     chan struct{}  // a bypass has
	probing   chan struct{}  // probes were sent on demand
	drilling  chan struct{}  // a drill was begun, or somebody decided about an item of one
	calls     chan struct{}  // urgent mail was held, or decided about
	waiting   atomic.Int64   // urgent messages that wait for a decision
	urgent    policy.Senders // whose mail is
	outages   outages        // times in which the outbox tried nothing
	unread    backlog        // messages on their way into the spool, to be read on
	copying   sync.Mutex     // held while a backup is made
	replaying sync.Mutex     // held while rules are replayed
	setting   sync.Mutex     // held while a passkey of a reader is set
	placing   sync.Mutex     // held while a legal hold is placed, and while a key is destroyed
	// over are the periods of the vault whose time is over, by when they were
	// first seen so, as Elapsed. It is Retain's.
	over map[dlp.ID]time.Duration
	// trimmed are the periods of which all is gone but what a legal hold keeps. It is Retain's.
	trimmed map[dlp.ID]bool
	due     map[dlp.ID]time.Duration // the same of items that wait for a decision; Expire's
	handing sync.Map                 // routes on which a probe is being handed in: name → struct{}
	busy    sync.Map                 // ids being delivered or decided about: dlp.ID → struct{}
}

// recordTimeout bounds a record that is written after its client has gone.
const recordTimeout = 30 * time.Second

// New makes a Gateway and loads what an earlier run left unacknowledged. With
// nil rules it serves the desk only: every Document is to be tried again.
func New(ctx context.Context, cfg Config, d Deps, r *Rules) (*Gateway, error) {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Elapsed == nil {
		began := time.Now() // with its monotonic reading
		d.Elapsed = func() time.Duration { return time.Since(began) }
	}
	if d.OnStep == nil {
		d.OnStep = func(string) {}
	}
	g := &Gateway{Deps: d, cfg: cfg, reading: newTurns(cfg.Readers), slow: newTurns(cfg.PDFReaders), pictures: newTurns(cfg.OCRReaders), wake: make(chan struct{}, 1), begun: make(chan struct{}, 1),
		calls: make(chan struct{}, 1), probing: make(chan struct{}, 1), drilling: make(chan struct{}, 1)}
	g.Audit = telling{d.Audit, g}
	g.unread.wake = make(chan struct{}, 1)
	g.rules.Store(r)
	var err error
	if g.urgent, err = policy.ParseSenders(cfg.Urgent.Senders); err != nil {
		return nil, fmt.Errorf("gateway: urgent senders: %w", err)
	}
	left, err := d.Store.Unacknowledged(ctx, d.Now().Add(-store.RepeatKept))
	if err != nil {
		return nil, fmt.Errorf("gateway: load unacknowledged holds: %w", err)
	}
	g.repeats.load(left)
	if d.Bypass != nil { // one of an earlier run may be in force before the first message
		_, on := d.Bypass.Status()
		d.Metrics.BypassActive(on)
	}
	return g, nil
}

// SetRules puts r in force for every Document judged from now on.
func (g *Gateway) SetRules(r *Rules) { g.rules.Store(r) }

// lasting returns a context for work that must end although its client has
// hung up: recording, holding, telling.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
}

// event starts an audit event about doc. It carries pseudonyms only.
func (g *Gateway) event(kind audit.Kind, doc *dlp.Document) audit.Event {
	e := audit.Event{Time: g.Now(), Kind: kind, Doc: doc.ID, Channel: doc.Channel, Rcpts: len(doc.Rcpts)}
	if doc.Channel == dlp.Mail {
		e.Sender = g.pseudonym(doc.Sender)
		e.RcptKeys = g.rcptKeys(doc.Rcpts)
	}
	return e
}

// maxRcptKeys bounds an audit event; Rcpts still counts all of them.
const maxRcptKeys = 100

// AddressKind is the kind of the pseudonyms that stand for addresses in the audit log.
const AddressKind = "address"

// pseudonym stands for a in the audit log. However its letters are written it is one
// person's there, as it is to policies, exceptions and departments.
func (g *Gateway) pseudonym(a dlp.Address) string {
	return g.Names.Pseudonym(AddressKind, dlp.FoldAddress(a.String()))
}

// department stands for the department of who sent doc; "" where there are none.
func (g *Gateway) department(doc *dlp.Document) string {
	rules := g.rules.Load()
	if doc.Channel != dlp.Mail || rules == nil || rules.Department == nil {
		return ""
	}
	return g.Names.Pseudonym(DepartmentKind, rules.Department(doc.Sender))
}

// DepartmentKind is the kind of the pseudonyms that stand for departments in the
// audit log. The empty name has one too: that of who is in none.
const DepartmentKind = "department"

// decide puts the decision on record and returns its sequence number.
func (g *Gateway) decide(ctx context.Context, doc *dlp.Document, j judgement) (uint64, error) {
	e := g.event(audit.Decision, doc)
	s := j.verdict.Strictest()
	e.Action, e.Policy, e.Reason = s.Action.String(), s.Policy, s.Reason
	e.Of, e.Department = j.bypass, g.department(doc)
	e.Rules, e.Findings, e.Gaps = s.Rules, len(j.found), len(j.gaps)
	for _, c := range s.Causes {
		e.Causes = append(e.Causes, c.String())
	}
	e.RuleSet, e.PolicyDigest = j.verdict.RuleSet, j.verdict.Policy
	e.Ways = waysOf(j.verdict)
	if m := j.verdict.Monitors(); m.MonitoredPolicy != "" {
		e.Monitored, e.MonitoredPolicy, e.MonitoredRules = m.Monitored.String(), m.MonitoredPolicy, m.MonitoredRules
	}
	g.OnStep("decision")
	ctx, cancel := lasting(ctx)
	defer cancel()
	start := g.Now()
	seq, err := g.Audit.Append(ctx, e)
	g.Metrics.AuditSync(g.Now().Sub(start))
	return seq, err
}

// outcome puts on record what became of the decision seq. The act is done:
// when only this record fails, it is not repeated.
func (g *Gateway) outcome(ctx context.Context, doc *dlp.Document, seq uint64, result string) {
	e := audit.Event{Time: g.Now(), Kind: audit.Outcome, Doc: doc.ID, Channel: doc.Channel, Ref: seq, Result: result}
	ctx, cancel := lasting(ctx)
	defer cancel()
	if err := g.Audit.Note(ctx, e); err != nil {
		g.warn(ctx, "outcome not recorded", doc.ID, err)
	}
}
