package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/dossier"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Prover returns what the audit log says of documents, with its proof. It is
// satisfied by audit.Log.
type Prover interface {
	Evidence(ctx context.Context, ids []dlp.ID, since time.Time, limit int) (audit.Evidence, error)
}

const (
	// maxEvidence bounds the events of one dossier.
	maxEvidence = 2000
	// beforeDecision is how long before a document was decided about the log may
	// have spoken of it: mail is read on for hours at most.
	beforeDecision = 48 * time.Hour
	// gatherWithin bounds looking up what cases and the log say.
	gatherWithin = 5 * time.Minute
)

// Dossier is one version, and what cases and log said.
type Dossier struct {
	dossier.Version
	Record   *DossierRecord `json:"found,omitempty"`
	Numbers  []int          `json:"versions"` // the newest first
	Lacking  []string       `json:"lacking"`  // factors that say nothing yet
	TellBy   string         `json:"tell_by"`  // the last day to tell those concerned of a breach
	Prepared time.Time      `json:"prepared"`
}

// DossierRecord is what cases and log said of the documents of a dossier when
// somebody had it looked up. PHI: addresses.
type DossierRecord struct {
	At       time.Time      `json:"at"`
	By       string         `json:"by"`
	Items    []DossierItem  `json:"items"`
	Evidence audit.Evidence `json:"evidence"`
}

// DossierItem is one document.
type DossierItem struct {
	ID       dlp.ID        `json:"id"`
	Case     bool          `json:"case"` // there is a case; without one only the log speaks of it
	Channel  string        `json:"channel,omitempty"`
	Decided  time.Time     `json:"decided,omitzero"`
	Size     int64         `json:"size,omitempty"`
	State    string        `json:"state,omitempty"` // in the vault, "" where it never was
	Sender   string        `json:"sender,omitempty"`
	Folder   string        `json:"folder,omitempty"`
	Rcpts    []DossierRcpt `json:"recipients"`
	Found    []DossierKind `json:"found"`
	Patients int           `json:"patients"` // at least
	Unread   []string      `json:"unread"`   // causes for which parts were not read
}

// DossierRcpt is what became of a document for one recipient.
type DossierRcpt struct {
	Address string `json:"address"`
	Fate    string `json:"fate"` // passed, encrypted, refused, held, released, rejected, expired
}

// DossierKind is how many distinct values of one kind a document has.
type DossierKind struct {
	Type   dlp.Type `json:"type"`
	Values int      `json:"values"`
}

// Dossiers returns the newest version of each, the one begun last first. That
// somebody looks is on record.
func (g *Gateway) Dossiers(ctx context.Context, actor string) ([]dossier.Version, error) {
	if err := g.Note(ctx, audit.Event{Kind: audit.Look, Actor: actor, Reason: audit.ReasonDossiers}); err != nil {
		return nil, err
	}
	all, damaged, err := g.Deps.Dossiers.List()
	if err != nil {
		return nil, fmt.Errorf("gateway: dossiers: %w", err)
	}
	if damaged > 0 {
		g.Log.Error("a dossier does not open: it was changed, or sealed under another key")
	}
	return all, nil
}

// Dossier returns version n of id, 0 for the newest. That somebody looks is on
// record. dossier.ErrNotFound.
func (g *Gateway) Dossier(ctx context.Context, id dlp.ID, n int, actor string) (Dossier, error) {
	out, err := g.dossierAt(id, n)
	if err != nil {
		return out, err
	}
	return out, g.Note(ctx, audit.Event{Kind: audit.Look, Doc: id, Actor: actor, Reason: audit.ReasonDossier})
}

// ExportDossier is Dossier for somebody who takes it away.
func (g *Gateway) ExportDossier(ctx context.Context, id dlp.ID, actor string) (Dossier, error) {
	out, err := g.dossierAt(id, 0)
	if err != nil {
		return out, err
	}
	return out, g.Note(ctx, audit.Event{Kind: audit.Dossier, Doc: id, Actor: actor, Reason: "export:" + strconv.Itoa(out.N)})
}

func (g *Gateway) dossierAt(id dlp.ID, n int) (out Dossier, err error) {
	if out.Numbers, err = g.Deps.Dossiers.Numbers(id); err != nil {
		return out, fmt.Errorf("gateway: dossier %s: %w", id, err)
	}
	if n == 0 {
		n = out.Numbers[0]
	}
	if out.Version, err = g.Deps.Dossiers.Version(id, n); err != nil {
		return out, fmt.Errorf("gateway: dossier %s: %w", id, err)
	}
	b, err := g.Deps.Dossiers.Record(&out.Version)
	if err != nil {
		return out, fmt.Errorf("gateway: dossier %s: %w", id, err)
	}
	if b != nil {
		out.Record = new(DossierRecord)
		if json.Unmarshal(b, out.Record) != nil {
			return out, fmt.Errorf("gateway: dossier %s: %w", id, dossier.ErrDamaged)
		}
	}
	out.Lacking, out.TellBy, out.Prepared = out.Assessment.Lacking(), out.Assessment.TellBy(), g.Now()
	return out, nil
}

// BeginDossier begins a dossier about items and looks up what is known of them.
// keys are those of their cases, where the server has none.
func (g *Gateway) BeginDossier(ctx context.Context, title string, items []dlp.ID, keys map[dlp.ID]vault.Opened, actor string) (dlp.ID, error) {
	v := dossier.Version{ID: dlp.NewID(), By: actor, At: g.Now(), Items: sortedItems(items), Assessment: dossier.Assessment{Title: title}}
	if len(v.Items) == 0 {
		return "", dossier.ErrForm
	}
	return v.ID, g.gather(ctx, 0, v, v.Items, keys)
}

// GatherDossier adds items to the dossier id and looks up again what is known of
// all of them. base is the version that somebody saw: dossier.ErrChanged.
func (g *Gateway) GatherDossier(ctx context.Context, id dlp.ID, base int, items []dlp.ID, keys map[dlp.ID]vault.Opened, actor string) error {
	v, err := g.Deps.Dossiers.Newest(id)
	if err != nil {
		return fmt.Errorf("gateway: dossier %s: %w", id, err)
	}
	added := slices.DeleteFunc(slices.Clone(items), func(id dlp.ID) bool { return slices.Contains(v.Items, id) })
	v.By, v.At, v.Items = actor, g.Now(), sortedItems(append(v.Items, items...))
	return g.gather(ctx, base, v, added, keys)
}

// AssessDossier saves what somebody filled in.
func (g *Gateway) AssessDossier(ctx context.Context, id dlp.ID, base int, a dossier.Assessment, actor string) error {
	v, err := g.Deps.Dossiers.Newest(id)
	if err != nil {
		return fmt.Errorf("gateway: dossier %s: %w", id, err)
	}
	v.By, v.At, v.Assessment = actor, g.Now(), a
	return g.saveDossier(ctx, base, v, nil, "save")
}

func sortedItems(items []dlp.ID) []dlp.ID {
	items = slices.Clone(items)
	slices.Sort(items)
	return slices.Compact(items)
}

// saveDossier saves v, on record before it is written.
func (g *Gateway) saveDossier(ctx context.Context, base int, v dossier.Version, record []byte, what string) error {
	e := audit.Event{Kind: audit.Dossier, Doc: v.ID, Actor: v.By}
	_, err := g.Deps.Dossiers.Save(base, v, record, func(n int) error {
		e.Reason = what + ":" + strconv.Itoa(n)
		return g.Note(ctx, e)
	})
	if err != nil && e.Reason != "" {
		e.Result = audit.ResultFailed
		err = errors.Join(err, g.Note(ctx, e))
	}
	if err != nil {
		return fmt.Errorf("gateway: dossier %s: %w", v.ID, err)
	}
	return nil
}

// gather looks up what is known of v's items and saves it with v. Each case that
// is read is a look of its own. Of those that are added something is known:
// dossier.ErrItem.
func (g *Gateway) gather(ctx context.Context, base int, v dossier.Version, added []dlp.ID, keys map[dlp.ID]vault.Opened) error {
	if len(v.Items) > dossier.MaxItems {
		return dossier.ErrLarge
	}
	var err error
	if v.Items, err = g.noDrills(ctx, v.Items); err != nil {
		return err
	}
	rec, err := g.dossierRecord(ctx, v, keys)
	if err == nil {
		err = rec.knows(added)
	}
	if err != nil {
		return err
	}
	b, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("gateway: dossier %s: %w", v.ID, err)
	}
	what := "gather"
	if base == 0 {
		what = "begin"
	}
	return g.saveDossier(ctx, base, v, b, what)
}

// dossierRecord is what cases and log say now of v's items. dossier.ErrSlow.
func (g *Gateway) dossierRecord(ctx context.Context, v dossier.Version, keys map[dlp.ID]vault.Opened) (rec DossierRecord, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, gatherWithin, dossier.ErrSlow)
	defer cancel()
	defer func() {
		if err != nil && errors.Is(context.Cause(ctx), dossier.ErrSlow) {
			err = dossier.ErrSlow
		}
	}()
	rec = DossierRecord{At: v.At, By: v.By, Items: []DossierItem{}}
	since := v.At
	for _, id := range v.Items {
		look := audit.Event{Kind: audit.Look, Doc: id, Of: v.ID, Actor: v.By, Reason: audit.ReasonDossier}
		if err := g.Note(ctx, look); err != nil {
			return rec, err
		}
		it, err := g.dossierItem(ctx, id, keys[id])
		if err != nil {
			return rec, err
		}
		if it.Decided.Before(since) {
			since = it.Decided // the zero time of an item without a case: all of the log
		}
		rec.Items = append(rec.Items, it)
	}
	if !since.IsZero() {
		since = since.Add(-beforeDecision)
	}
	if rec.Evidence, err = g.Prove.Evidence(ctx, append(slices.Clone(v.Items), v.ID), since, maxEvidence); err != nil {
		return rec, fmt.Errorf("gateway: dossier %s: %w", v.ID, err)
	}
	return rec, nil
}

// knows reports the first of added of which neither a case nor the log knows
// anything: an id that somebody mistyped. That a dossier was to be about it does not
// count.
func (rec *DossierRecord) knows(added []dlp.ID) error {
	if rec.Evidence.Cut { // older lines may tell of it
		return nil
	}
	known := map[dlp.ID]bool{}
	for _, it := range rec.Items {
		known[it.ID] = it.Case || it.State != ""
	}
	for i := range rec.Evidence.Events {
		e, err := rec.Evidence.Events[i].Event()
		if err != nil {
			return fmt.Errorf("gateway: dossier: %w", err)
		}
		if e.Kind != audit.Look || e.Reason != audit.ReasonDossier {
			known[e.Doc], known[e.Of] = true, true
		}
	}
	for _, it := range rec.Items {
		if !known[it.ID] && slices.Contains(added, it.ID) {
			return fmt.Errorf("gateway: dossier: %s: %w", it.ID, dossier.ErrItem)
		}
	}
	return nil
}

// noDrills is items without those of drills that are over: nothing was disclosed.
// vault.ErrNotFound where there are no others.
func (g *Gateway) noDrills(ctx context.Context, items []dlp.ID) (out []dlp.ID, err error) {
	for _, id := range items {
		if g.isDrill(id) {
			e, err := g.Vault.Get(ctx, id)
			if err != nil && !errors.Is(err, vault.ErrNotFound) {
				return nil, fmt.Errorf("gateway: dossier: %w", err)
			}
			if err != nil || e.State != vault.Held {
				continue
			}
		}
		out = append(out, id)
	}
	if len(out) == 0 && len(items) > 0 {
		return nil, fmt.Errorf("gateway: dossier: %w", vault.ErrNotFound)
	}
	return out, nil
}

// dossierItem reads what vault and case know of id. Of what has no case the log
// alone speaks.
func (g *Gateway) dossierItem(ctx context.Context, id dlp.ID, keys vault.Opened) (DossierItem, error) {
	it := DossierItem{ID: id, Rcpts: []DossierRcpt{}, Found: []DossierKind{}, Unread: []string{}}
	e, err := g.Vault.Get(ctx, id)
	held := err == nil
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return it, fmt.Errorf("gateway: dossier: %w", err)
	}
	c, err := g.Vault.Case(ctx, id, keys.Case)
	if errors.Is(err, vault.ErrNotFound) {
		if held { // its case was not kept as long
			it.State, it.Decided, it.Channel, it.Sender = string(e.State), e.Received, e.Channel.String(), e.Envelope.Sender.String()
			it.Rcpts = fates(nil, &e)
		}
		return it, nil
	}
	if err != nil {
		return it, fmt.Errorf("gateway: dossier: %w", err)
	}
	it.Case, it.Channel, it.Decided, it.Size = true, c.Channel.String(), c.Decided, c.Size
	it.Sender, it.Folder, it.Patients = c.Envelope.Sender.String(), c.Envelope.Root, policy.Patients(c.Findings)
	it.Found, it.Unread = kinds(c)
	if held {
		it.State = string(e.State)
		it.Rcpts = fates(c.Verdict.Rcpts, &e)
	} else {
		it.Rcpts = fates(c.Verdict.Rcpts, nil)
	}
	return it, nil
}

// kinds counts distinct values of each kind, and lists why parts were not read.
func kinds(c vault.Case) (found []DossierKind, unread []string) {
	values := map[dlp.Type]map[dlp.ValueKey]bool{}
	for _, f := range c.Findings {
		if values[f.Type] == nil {
			values[f.Type] = map[dlp.ValueKey]bool{}
		}
		values[f.Type][f.ValueKey] = true
	}
	found = []DossierKind{}
	for _, t := range slices.Sorted(maps.Keys(values)) {
		found = append(found, DossierKind{t, len(values[t])})
	}
	unread = []string{}
	for _, gap := range c.Gaps {
		if cause := gap.Cause.String(); !slices.Contains(unread, cause) {
			unread = append(unread, cause)
		}
	}
	return found, unread
}

// fates says what became of a document for each of those it was meant for: by the
// vault where it was held, else as was decided then.
func fates(decided []dlp.RcptVerdict, e *vault.Entry) []DossierRcpt {
	out := []DossierRcpt{}
	told := map[dlp.Address]bool{}
	add := func(a dlp.Address, fate string) {
		if !told[a] {
			told[a] = true
			out = append(out, DossierRcpt{a.String(), fate})
		}
	}
	if e != nil {
		for _, a := range e.Envelope.Released {
			add(a, string(vault.Released))
		}
		for _, a := range e.Envelope.Rcpts {
			add(a, string(e.State))
		}
	}
	for _, r := range decided {
		switch r.Action {
		case dlp.Allow, dlp.AddTag:
			add(r.Rcpt, "passed")
		case dlp.Encrypt:
			add(r.Rcpt, "encrypted")
		case dlp.Reject:
			add(r.Rcpt, "refused")
		default:
			add(r.Rcpt, "held")
		}
	}
	return out
}
