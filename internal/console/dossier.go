package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/dossier"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Dossiers are what officers write down when something may have been disclosed.
// It is satisfied by gateway.Gateway.
type Dossiers interface {
	Dossiers(ctx context.Context, actor string) ([]dossier.Version, error)
	Dossier(ctx context.Context, id dlp.ID, n int, actor string) (gateway.Dossier, error)
	ExportDossier(ctx context.Context, id dlp.ID, actor string) (gateway.Dossier, error)
	BeginDossier(ctx context.Context, title string, items []dlp.ID, keys map[dlp.ID]vault.Opened, actor string) (dlp.ID, error)
	GatherDossier(ctx context.Context, id dlp.ID, base int, items []dlp.ID, keys map[dlp.ID]vault.Opened, actor string) error
	AssessDossier(ctx context.Context, id dlp.ID, base int, a dossier.Assessment, actor string) error
}

func (c *Console) dossierRoutes() []route {
	return []route{
		{"GET /dossiers", dossiers, c.dossiers},
		{"POST /dossiers", dossiers, c.beginDossier},
		{"POST /dossiers/find", dossiers, c.findForDossier},
		{"GET /dossiers/{id}", dossiers, c.dossier},
		{"POST /dossiers/{id}", dossiers, c.assessDossier},
		{"POST /dossiers/{id}/gather", dossiers, c.gatherDossier},
		{"POST /dossiers/{id}/export", dossiers, c.exportDossier},
	}
}

type dossiersPage struct {
	frame
	All     []dossier.Version
	Items   string // to begin one about
	Looked  bool   // for documents
	Found   []told
	More    bool
	Address string
	From    string
	To      string
	Amiss   string
}

// shortID is how people speak of a document or a dossier.
func shortID(id dlp.ID) string { return strings.ToUpper(string(id[:min(8, len(id))])) }

func (c *Console) dossiers(w http.ResponseWriter, r *http.Request, u User) {
	p := dossiersPage{}
	if id, err := dlp.ParseID(r.URL.Query().Get("item")); err == nil {
		p.Items = string(id)
	}
	c.showDossiers(w, r, u, http.StatusOK, p)
}

func (c *Console) showDossiers(w http.ResponseWriter, r *http.Request, u User, status int, p dossiersPage) {
	var err error
	if p.All, err = c.Dossiers.Dossiers(r.Context(), u.Actor()); err != nil {
		c.fail(w, r, u, err)
		return
	}
	p.frame = c.frame(r, u, "Dossiers")
	c.render(w, r, status, "dossiers", p)
}

// findForDossier looks in the log for what somebody sent or got: in it they are
// keyed pseudonyms, and the address stands in no URL.
func (c *Console) findForDossier(w http.ResponseWriter, r *http.Request, u User) {
	p := dossiersPage{Looked: true, Address: strings.TrimSpace(r.PostFormValue("address")), From: r.PostFormValue("from"), To: r.PostFormValue("to")}
	q, amiss := asked{From: p.From, To: p.To}.search()
	if amiss == "" {
		var err error
		if q.Persons, err = c.Persons(p.Address); err != nil {
			amiss = "That is no address. It is such as name@clinic.example."
		}
	}
	if p.Amiss = amiss; amiss != "" {
		c.showDossiers(w, r, u, http.StatusBadRequest, p)
		return
	}
	q.Kinds = []audit.Kind{audit.Decision}
	if err := c.note(r.Context(), audit.Event{Kind: audit.Look, Actor: u.Actor(), Reason: "dossier_find"}); err != nil {
		c.fail(w, r, u, err)
		return
	}
	found, more, err := c.Trail.Search(r.Context(), q, 0, trailRows)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	p.More = more > 0
	for i := range found {
		if c.wasDrill(r.Context(), found[i].Doc) { // nothing was disclosed
			continue
		}
		p.Found = append(p.Found, told{found[i], codeWords(string(found[i].Kind)), detail(&found[i])})
	}
	c.showDossiers(w, r, u, http.StatusOK, p)
}

// itemsOf reads which documents a form names: marked ones, and ids in a text.
func itemsOf(r *http.Request) (ids []dlp.ID, ok bool) {
	named := append(strings.Fields(r.PostFormValue("items")), r.PostForm["item"]...)
	for _, s := range named {
		id, err := dlp.ParseID(strings.Trim(s, ",;"))
		if err != nil {
			return nil, false
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, len(ids) <= dossier.MaxItems
}

// casesOf are the keys that the open key of u's session has of ids' cases. What it
// does not open is left to the server's own key.
func (c *Console) casesOf(r *http.Request, u User, ids []dlp.ID) (map[dlp.ID]vault.Opened, error) {
	out := map[dlp.ID]vault.Opened{}
	for _, id := range ids {
		keys, err := c.opened(r, u, id)
		if errors.Is(err, vault.ErrNotFound) { // it was never held
			continue
		}
		if err != nil {
			return nil, err
		}
		out[id] = keys
	}
	return out, nil
}

const noItems = "Nothing was begun: mark or name documents by their ids, at most 100, and give it a title."

func (c *Console) beginDossier(w http.ResponseWriter, r *http.Request, u User) {
	ids, ok := itemsOf(r)
	title := strings.TrimSpace(r.PostFormValue("title"))
	if !ok || len(ids) == 0 || title == "" {
		c.showDossiers(w, r, u, http.StatusBadRequest, dossiersPage{Items: joined(ids), Amiss: noItems})
		return
	}
	keys, err := c.casesOf(r, u, ids)
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	id, err := c.Dossiers.BeginDossier(context.WithoutCancel(r.Context()), title, ids, keys, u.Actor())
	if err != nil {
		c.dossierFailed(w, r, u, err)
		return
	}
	http.Redirect(w, r, "/dossiers/"+string(id), http.StatusSeeOther)
}

func joined(ids []dlp.ID) string {
	var out []string
	for _, id := range ids {
		out = append(out, string(id))
	}
	return strings.Join(out, "\n")
}

// dossierFailed answers what was not saved.
func (c *Console) dossierFailed(w http.ResponseWriter, r *http.Request, u User, err error) {
	for _, known := range []struct {
		is         error
		status     int
		what, more string
	}{
		{dossier.ErrNotFound, http.StatusNotFound, "There is no such dossier.", ""},
		{dossier.ErrChanged, http.StatusConflict, "Somebody saved this dossier meanwhile.", "Nothing was overwritten. Go back, keep what you wrote, and save it into the newest version."},
		{dossier.ErrForm, http.StatusBadRequest, "Nothing was saved.", "A dossier has a title, days are such as 2026-01-31, and low risk or a breach is concluded from all four factors, each with words and a rating. Go back: what you wrote is still there."},
		{dossier.ErrLarge, http.StatusBadRequest, "Nothing was saved: it is too long.", "A text has 8000 bytes at most, and a dossier a hundred documents."},
		{dossier.ErrItem, http.StatusNotFound, "Nothing was saved: neither a case nor the log knows one of these documents.", ""},
		{dossier.ErrSlow, http.StatusServiceUnavailable, "Nothing was saved: looking up what cases and the log say took more than five minutes.", "Try again when the server has less to do, or with fewer documents."},
		{dossier.ErrFull, http.StatusConflict, "Nothing was saved: there are as many dossiers or versions as are kept.", ""},
	} {
		if errors.Is(err, known.is) {
			c.say(w, r, u, known.status, known.what, known.more)
			return
		}
	}
	c.fail(w, r, u, err)
}

// factorView is one factor in the form.
type factorView struct {
	dossier.Asked
	dossier.Factor
	Missing bool
}

type dossierPage struct {
	frame
	D           gateway.Dossier
	Short       string
	Newest      bool
	Factors     []factorView
	Conclusions []dossier.Conclusion
	Trail       []told
	Verified    string // "" where the proof does not hold
}

// Risks are the ratings of a factor.
func (dossierPage) Risks() []string { return []string{"low", "medium", "high"} }

func (c *Console) dossier(w http.ResponseWriter, r *http.Request, u User) {
	id, err := itemID(r)
	n := 0
	if s := r.URL.Query().Get("version"); s != "" && err == nil {
		if n, err = strconv.Atoi(s); err != nil || n <= 0 {
			err = dossier.ErrNotFound
		}
	}
	var d gateway.Dossier
	if err == nil {
		d, err = c.Dossiers.Dossier(r.Context(), id, n, u.Actor())
	}
	if err != nil {
		c.dossierFailed(w, r, u, err)
		return
	}
	p := dossierPage{D: d, Short: shortID(id), Newest: len(d.Numbers) == 0 || d.N == d.Numbers[0], Conclusions: dossier.Conclusions()}
	for i, a := range dossier.Factors() {
		p.Factors = append(p.Factors, factorView{a, d.Factors[i], slices.Contains(d.Lacking, a.Name)})
	}
	if d.Record != nil {
		ev := &d.Record.Evidence
		for i := range ev.Events {
			x, err := ev.Events[i].Event()
			if err != nil {
				c.fail(w, r, u, err)
				return
			}
			p.Trail = append(p.Trail, told{x, codeWords(string(x.Kind)), detail(&x)})
		}
		if ev.Check(ev.PublicKey) == nil {
			p.Verified = fmt.Sprintf("%d of %d", len(ev.Events), len(ev.Events))
		}
	}
	p.frame = c.frame(r, u, "Dossier "+p.Short)
	c.render(w, r, http.StatusOK, "dossier", p)
}

// baseOf reads which version a form was made from.
func baseOf(r *http.Request) int {
	n, err := strconv.Atoi(r.PostFormValue("base"))
	if err != nil || n <= 0 {
		return -1 // none is
	}
	return n
}

// assessDossier saves what somebody filled in.
func (c *Console) assessDossier(w http.ResponseWriter, r *http.Request, u User) {
	id, err := itemID(r)
	if err != nil {
		c.dossierFailed(w, r, u, err)
		return
	}
	text := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	a := dossier.Assessment{Title: text("title"), Happened: text("happened"), Discovered: text("discovered"), Conclusion: dossier.Conclusion(text("conclusion")), Because: text("because")}
	if s := text("people"); s != "" {
		if a.People, err = strconv.Atoi(s); err != nil {
			a.People = -1 // which is none
		}
	}
	for i, f := range dossier.Factors() {
		a.Factors[i] = dossier.Factor{Words: text(f.Key), Risk: text(f.Key + "-risk")}
	}
	if err := c.Dossiers.AssessDossier(context.WithoutCancel(r.Context()), id, baseOf(r), a, u.Actor()); err != nil {
		c.dossierFailed(w, r, u, err)
		return
	}
	c.sessions.say(r, "Saved as a new version.")
	http.Redirect(w, r, "/dossiers/"+string(id), http.StatusSeeOther)
}

// gatherDossier looks up again what cases and log say, of more documents perhaps.
func (c *Console) gatherDossier(w http.ResponseWriter, r *http.Request, u User) {
	id, err := itemID(r)
	if err != nil {
		c.dossierFailed(w, r, u, err)
		return
	}
	ids, ok := itemsOf(r)
	if !ok {
		c.say(w, r, u, http.StatusBadRequest, "Nothing was looked up: an item's id has 26 letters and digits.", "At most a hundred of them.")
		return
	}
	d, err := c.Dossiers.Dossier(r.Context(), id, 0, u.Actor())
	if err != nil {
		c.dossierFailed(w, r, u, err)
		return
	}
	keys, err := c.casesOf(r, u, slices.Concat(d.Items, ids))
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	if err := c.Dossiers.GatherDossier(context.WithoutCancel(r.Context()), id, baseOf(r), ids, keys, u.Actor()); err != nil {
		c.dossierFailed(w, r, u, err)
		return
	}
	c.sessions.say(r, "Looked up again. What you had filled in and not saved is not in it.")
	http.Redirect(w, r, "/dossiers/"+string(id), http.StatusSeeOther)
}

// exportDossier hands the dossier out with its proof, on record first.
func (c *Console) exportDossier(w http.ResponseWriter, r *http.Request, u User) {
	id, err := itemID(r)
	if err != nil {
		c.dossierFailed(w, r, u, err)
		return
	}
	d, err := c.Dossiers.ExportDossier(context.WithoutCancel(r.Context()), id, u.Actor())
	if err != nil {
		c.dossierFailed(w, r, u, err)
		return
	}
	handOut(w, fmt.Sprintf("dossier-%s-%d.json", strings.ToLower(shortID(id)), d.N), d)
}
