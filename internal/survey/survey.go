package survey

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/mail"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// Survey judges files as the gateway would judge them.
type Survey struct {
	Extract Extractor
	// Detect begins the detection of one Document; it calls seen with every
	// finding and the matched bytes, which are valid during the call only.
	Detect func(seen func(f dlp.Finding, raw []byte)) Detection
	Policy Decider
	// Mask masks the values of all findings of a Document.
	Mask    func(found []dlp.Finding, values []string) []string
	RuleSet string // digest
	// Stdin gives the bytes of "-" and how many they are.
	Stdin func() (open func() (io.ReadSeekCloser, error), size int64, err error)

	Jobs          int            // documents at once, at least 1
	MinConfidence dlp.Confidence // of what is reported; policy sees all
	Reveal        bool

	// Places asks for Finding.Place. It reads files with findings once more.
	Places bool
	// Explain begins to explain the n findings of these rules in a Document, which
	// is extracted once more for it; nil: no, here or as its answer.
	Explain func(rules []dlp.RuleID, n int) Explainer
}

// Progress is how far a Run has come. Its fields are read while it runs.
type Progress struct {
	Files, Done, Bytes atomic.Int64
	AllFound           atomic.Bool // Files will not grow any more
}

// Run judges everything that paths lead to and hands each Document to emit as
// it is ready, one at a time and in no order. It returns ctx's error, or emit's.
func (s *Survey) Run(ctx context.Context, paths []string, p *Progress, emit func(Document) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	items := make(chan item, 64)
	docs := make(chan Document)
	var walker, workers, printer sync.WaitGroup
	walker.Go(func() {
		defer close(items)
		counted := make(chan item)
		var w sync.WaitGroup
		w.Go(func() { defer close(counted); walk(ctx, paths, counted) })
		for it := range counted {
			p.Files.Add(1)
			select {
			case items <- it:
			case <-ctx.Done():
			}
		}
		w.Wait()
		p.AllFound.Store(true)
	})
	for range max(1, s.Jobs) {
		workers.Go(func() {
			for it := range items {
				d := s.one(ctx, it)
				select {
				case docs <- d:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	printer.Go(func() {
		for d := range docs {
			p.Done.Add(1)
			p.Bytes.Add(d.Size)
			if err := emit(d); err != nil {
				cancel(err)
			}
		}
	})
	walker.Wait()
	workers.Wait()
	close(docs)
	printer.Wait()
	return context.Cause(ctx)
}

func failed(path string, err error) Document {
	text := err.Error()
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		text = pe.Op + ": " + pe.Err.Error() // the path stands beside it
	}
	return Document{Path: path, Status: Failed, Error: text, Verdict: dlp.Hold.String(), Findings: []Finding{}, Gaps: []Gap{}}
}

// one judges one file.
func (s *Survey) one(ctx context.Context, it item) Document {
	if it.err != nil {
		return failed(it.path, it.err)
	}
	start := time.Now()
	open, size, err := s.source(it.path)
	if err != nil {
		return failed(it.path, err)
	}
	doc := &dlp.Document{ID: dlp.NewID(), Channel: dlp.File, Name: it.path, Received: start, Size: size, Open: open}
	sum, err := digest(doc)
	if err != nil {
		return failed(it.path, err)
	}
	c := &collector{names: map[string]string{}, survey: s, seen: map[findingKey]string{}}
	if s.Places {
		c.sum = sha256.New()
	}
	c.Detection = s.Detect(c.note)
	if err := s.Extract.Extract(ctx, doc, c); err != nil {
		d := failed(it.path, err)
		d.Size, d.SHA256 = size, sum
		return d
	}
	found, gaps := c.Finish()
	d := Document{Path: it.path, Type: c.kind, Size: size, SHA256: sum, RuleSet: s.RuleSet, Status: Scanned}
	s.judge(&d, doc, found, gaps)
	d.Findings, d.Gaps = c.findings(found), c.gaps(gaps)
	if s.Places && len(d.Findings) > 0 && hex.EncodeToString(c.sum.Sum(nil)) == sum {
		s.place(doc, d.Findings)
	}
	if s.Explain != nil && len(d.Findings) > 0 {
		s.explain(ctx, doc, d.Findings)
	}
	if len(gaps) > 0 {
		d.Status = Partial
		if !c.anyText {
			d.Status = Failed
		}
	}
	d.ElapsedMS = float64(time.Since(start).Microseconds()) / 1000
	return d
}

// judge fills in what would become of the document: a mail as if it left for
// everyone in its To, Cc and Bcc, anything else as in a watched folder.
func (s *Survey) judge(d *Document, doc *dlp.Document, found []dlp.Finding, gaps []dlp.Gap) {
	if d.Type == mailType {
		doc.Channel = dlp.Mail
		doc.Sender, doc.Rcpts = addressed(doc)
	}
	v := s.Policy.Decide(doc, found, gaps)
	top := v.Strictest()
	d.Verdict, d.Policy, d.Reason = top.Action.String(), top.Policy, top.Reason
	if top.MonitoredPolicy != "" {
		d.Monitored, d.MonitoredPolicy = top.Monitored.String(), top.MonitoredPolicy
	}
	if doc.Channel != dlp.Mail {
		return
	}
	for _, r := range v.Rcpts {
		x := Verdict{Recipient: r.Rcpt.String(), Verdict: r.Action.String(), Policy: r.Policy}
		if r.MonitoredPolicy != "" {
			x.Monitored = r.Monitored.String()
		}
		d.Verdicts = append(d.Verdicts, x)
	}
}

const mailType = "message/rfc822"

// nobody stands for the one external recipient of a mail that names none.
var nobody = dlp.Address{Local: "recipient", Domain: "external.invalid"}

// addressed reads whom a mail is from and to, as its header says.
func addressed(doc *dlp.Document) (dlp.Address, []dlp.Address) {
	rcpts := []dlp.Address{}
	var sender dlp.Address
	r, err := doc.Open()
	if err != nil {
		return sender, []dlp.Address{nobody}
	}
	defer r.Close()
	head, err := message.ReadHeader(r, maxHeader)
	if err != nil {
		return sender, []dlp.Address{nobody}
	}
	if from := addresses(head.Get("From")); len(from) > 0 {
		sender = from[0]
	}
	for _, f := range head {
		if !f.Is("To") && !f.Is("Cc") && !f.Is("Bcc") {
			continue
		}
		for _, a := range addresses(f.Value()) {
			if !slices.Contains(rcpts, a) {
				rcpts = append(rcpts, a)
			}
		}
	}
	if len(rcpts) == 0 {
		rcpts = append(rcpts, nobody)
	}
	return sender, rcpts
}

const maxHeader = 1 << 20

func addresses(value string) []dlp.Address {
	list, err := mail.ParseAddressList(value)
	if err != nil {
		return nil
	}
	out := make([]dlp.Address, 0, len(list))
	for _, a := range list {
		if i := strings.LastIndexByte(a.Address, '@'); i > 0 {
			out = append(out, dlp.Address{Local: a.Address[:i], Domain: strings.ToLower(a.Address[i+1:])})
		}
	}
	return out
}

// source returns how to open the file, and its size.
func (s *Survey) source(path string) (func() (io.ReadSeekCloser, error), int64, error) {
	if path == "-" {
		if s.Stdin == nil {
			return nil, 0, errors.New("standard input cannot be read here")
		}
		return s.Stdin()
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("not a regular file")
	}
	return func() (io.ReadSeekCloser, error) { return os.Open(path) }, info.Size(), nil
}

func digest(doc *dlp.Document) (string, error) {
	r, err := doc.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return "", err
	}
	if n != doc.Size {
		return "", fmt.Errorf("size changed while it was read: %d bytes, then %d", doc.Size, n)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// collector stands between extraction and detection and remembers what only
// the person at the terminal is to see.
type collector struct {
	Detection
	survey  *Survey
	kind    string // of the whole document
	anyText bool
	sum     hash.Hash             // of the text of part "", nil: not asked
	part    string                // that is open
	names   map[string]string     // part path → declared name
	seen    map[findingKey]string // the matched text
}

type findingKey struct {
	rule       dlp.RuleID
	path       string
	start, end int64
}

// Part notes the declared names, and what the document itself is.
func (c *collector) Part(p dlp.PartInfo) error {
	c.part = p.Path
	if p.Name != "" {
		c.names[p.Path] = p.Name
	}
	if c.kind == "" {
		c.kind = p.MediaType
		if p.Path == "HEADER" {
			c.kind = mailType
		}
	}
	return c.Detection.Part(p)
}

// Text notes that something could be read.
func (c *collector) Text(w dlp.Window) error {
	c.anyText = c.anyText || len(w.Text) > 0
	if c.sum != nil && c.part == "" {
		c.sum.Write(w.Text)
	}
	return c.Detection.Text(w)
}

func (c *collector) note(f dlp.Finding, raw []byte) {
	c.seen[findingKey{f.Rule, f.Path, f.Start, f.End}] = string(raw)
}

func (c *collector) findings(found []dlp.Finding) []Finding {
	values := make([]string, len(found))
	for i, f := range found {
		values[i] = c.seen[findingKey{f.Rule, f.Path, f.Start, f.End}]
	}
	masked := c.survey.Mask(found, values)
	out := []Finding{}
	for i, f := range found {
		if f.Confidence < c.survey.MinConfidence {
			continue
		}
		var value *string
		if c.survey.Reveal {
			value = &values[i]
		}
		tags := append([]dlp.Tag{}, f.Tags...) // never null
		out = append(out, Finding{Rule: f.Rule, Type: f.Type, Tags: tags, Confidence: f.Confidence, Severity: f.Severity,
			Part: f.Path, Name: c.names[f.Path], Start: f.Start, End: f.End, Line: f.Line, Masked: masked[i], Value: value})
	}
	return out
}

func (c *collector) gaps(gaps []dlp.Gap) []Gap {
	out := []Gap{}
	for _, g := range gaps {
		out = append(out, Gap{Part: g.Path, Name: cmp.Or(g.Name, c.names[g.Path]), Cause: g.Cause.String(), Detail: g.Detail})
	}
	return out
}
