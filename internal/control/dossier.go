package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/dossier"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// maxDossierAsk bounds the body of a call about a dossier, in bytes: ids and keys.
const maxDossierAsk = 1 << 20

// dossierAsk says what a dossier is about.
type dossierAsk struct {
	Title string                  `json:"title,omitempty"`
	Base  int                     `json:"base,omitempty"`
	Items []dlp.ID                `json:"items,omitempty"`
	Keys  map[dlp.ID]vault.Opened `json:"keys,omitempty"`

	Assessment *dossier.Assessment `json:"assessment,omitempty"` // what somebody filled in
}

func readDossierAsk(w http.ResponseWriter, r *http.Request) (ask dossierAsk, err error) {
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, maxDossierAsk)).Decode(&ask) != nil {
		return ask, errors.New("control: want what a dossier is about") // the decoder's text may quote a key
	}
	for _, id := range ask.Items {
		if _, err := dlp.ParseID(string(id)); err != nil {
			return ask, err
		}
	}
	return ask, nil
}

func (s *Server) dossiers(w http.ResponseWriter, r *http.Request) {
	all, err := s.desk.Dossiers(r.Context(), actor(r))
	s.answer(w, r, all, err)
}

func (s *Server) dossier(w http.ResponseWriter, r *http.Request) {
	id, err := dlp.ParseID(r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d, err := s.desk.Dossier(r.Context(), id, 0, actor(r))
	s.answer(w, r, d, err)
}

func (s *Server) exportDossier(w http.ResponseWriter, r *http.Request) {
	id, err := dlp.ParseID(r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d, err := s.desk.ExportDossier(context.WithoutCancel(r.Context()), id, actor(r))
	s.answer(w, r, d, err)
}

func (s *Server) beginDossier(w http.ResponseWriter, r *http.Request) {
	ask, err := readDossierAsk(w, r)
	var id dlp.ID
	if err == nil {
		id, err = s.desk.BeginDossier(context.WithoutCancel(r.Context()), ask.Title, ask.Items, ask.Keys, actor(r))
	}
	s.answer(w, r, id, err)
}

func (s *Server) gatherDossier(w http.ResponseWriter, r *http.Request) {
	id, err := dlp.ParseID(r.PathValue("id"))
	var ask dossierAsk
	if err == nil {
		ask, err = readDossierAsk(w, r)
	}
	if err == nil {
		err = s.desk.GatherDossier(context.WithoutCancel(r.Context()), id, ask.Base, ask.Items, ask.Keys, actor(r))
	}
	s.answer(w, r, struct{}{}, err)
}

func (s *Server) assessDossier(w http.ResponseWriter, r *http.Request) {
	id, err := dlp.ParseID(r.PathValue("id"))
	var ask dossierAsk
	if err == nil {
		ask, err = readDossierAsk(w, r)
	}
	if err == nil && ask.Assessment == nil {
		err = dossier.ErrForm
	}
	if err == nil {
		err = s.desk.AssessDossier(context.WithoutCancel(r.Context()), id, ask.Base, *ask.Assessment, actor(r))
	}
	s.answer(w, r, struct{}{}, err)
}

// Dossiers asks for the newest version of each dossier.
func (c *Client) Dossiers(ctx context.Context, _ string) (all []dossier.Version, err error) {
	err = c.call(ctx, http.MethodGet, "/dossiers", &all)
	return all, err
}

// Dossier asks for the newest version of one.
func (c *Client) Dossier(ctx context.Context, id dlp.ID, _ int, _ string) (d gateway.Dossier, err error) {
	err = c.call(ctx, http.MethodGet, "/dossiers/"+string(id), &d)
	return d, err
}

// ExportDossier asks for one to be taken away.
func (c *Client) ExportDossier(ctx context.Context, id dlp.ID, _ string) (d gateway.Dossier, err error) {
	err = c.call(ctx, http.MethodPost, "/dossiers/"+string(id)+"/export", &d)
	return d, err
}

// BeginDossier begins one about items.
func (c *Client) BeginDossier(ctx context.Context, title string, items []dlp.ID, keys map[dlp.ID]vault.Opened, _ string) (id dlp.ID, err error) {
	err = c.ask(ctx, "/dossiers", dossierAsk{Title: title, Items: items, Keys: keys}, &id)
	return id, err
}

// GatherDossier has what is known of its documents, and of items, looked up again.
func (c *Client) GatherDossier(ctx context.Context, id dlp.ID, base int, items []dlp.ID, keys map[dlp.ID]vault.Opened, _ string) error {
	return c.ask(ctx, "/dossiers/"+string(id)+"/gather", dossierAsk{Base: base, Items: items, Keys: keys}, &struct{}{})
}

// AssessDossier saves what somebody filled in.
func (c *Client) AssessDossier(ctx context.Context, id dlp.ID, base int, a dossier.Assessment, _ string) error {
	return c.ask(ctx, "/dossiers/"+string(id)+"/assess", dossierAsk{Base: base, Assessment: &a}, &struct{}{})
}

// ask posts what and reads the answer into out.
func (c *Client) ask(ctx context.Context, path string, what, out any) error {
	res, err := c.postJSON(ctx, path, what)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("control: answer: %w", err)
	}
	return nil
}
