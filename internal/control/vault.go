package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/sample"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// maxResealed bounds a body of keys that were sealed anew, in bytes.
const maxResealed = 64 << 20

// unlocking reads which held document a call is about and, from its body, the
// keys that open it. A call without a body has none.
func unlocking(w http.ResponseWriter, r *http.Request) (id dlp.ID, keys vault.Opened, err error) {
	if id, err = dlp.ParseID(r.PathValue("id")); err != nil {
		return id, keys, err
	}
	err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAsked)).Decode(&keys)
	if errors.Is(err, io.EOF) {
		return id, keys, nil
	}
	if err != nil {
		return id, keys, errors.New("control: want keys") // the decoder's text may quote one
	}
	return id, keys, nil
}

// decision is what a call says of a person's decision. Older programs send keys alone.
type decision struct {
	vault.Opened
	gateway.Review
}

// deciding reads which held document a decision is about, and the decision.
func deciding(w http.ResponseWriter, r *http.Request) (id dlp.ID, d decision, err error) {
	if id, err = dlp.ParseID(r.PathValue("id")); err != nil {
		return id, d, err
	}
	err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAsked)).Decode(&d)
	if err != nil && !errors.Is(err, io.EOF) {
		return id, d, errors.New("control: want a decision") // the decoder's text may quote a key
	}
	return id, d, nil
}

func (s *Server) reject(w http.ResponseWriter, r *http.Request) {
	id, d, err := deciding(w, r)
	if err == nil {
		err = s.desk.RejectFor(context.WithoutCancel(r.Context()), id, d.Opened, actor(r), d.Review)
	}
	s.answer(w, r, struct{}{}, err)
}

func (s *Server) release(w http.ResponseWriter, r *http.Request) {
	id, d, err := deciding(w, r)
	var how gateway.Released
	if err == nil {
		how, err = s.desk.ReleaseFor(context.WithoutCancel(r.Context()), id, d.Opened, actor(r), d.Review)
	}
	s.answer(w, r, how, err)
}

func (s *Server) locks(w http.ResponseWriter, r *http.Request) {
	id, err := dlp.ParseID(r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	l, err := s.desk.Locks(r.Context(), id)
	s.answer(w, r, l, err)
}

func (s *Server) vaultPeriods(w http.ResponseWriter, r *http.Request) {
	p, err := s.desk.VaultPeriods(r.Context())
	s.answer(w, r, p, err)
}

func (s *Server) resealVault(w http.ResponseWriter, r *http.Request) {
	var sealed map[dlp.ID][][]byte
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxResealed)).Decode(&sealed); err != nil {
		s.fail(w, r, errors.New("control: want sealed keys"))
		return
	}
	s.answer(w, r, struct{}{}, s.desk.ResealVault(context.WithoutCancel(r.Context()), sealed, actor(r)))
}

func (s *Server) rotateVault(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, struct{}{}, s.desk.RotateVault(context.WithoutCancel(r.Context()), actor(r)))
}

func heldPath(id dlp.ID) string { return "/held/" + url.PathEscape(string(id)) }

// postJSON makes a call with a body.
func (c *Client) postJSON(ctx context.Context, path string, body any) (*http.Response, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("control: call: %w", err)
	}
	return c.send(ctx, http.MethodPost, path, bytes.NewReader(b))
}

// tell makes a call with a body and decodes the answer into out.
func (c *Client) tell(ctx context.Context, path string, body, out any) error {
	res, err := c.postJSON(ctx, path, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("control: answer: %w", err)
	}
	return nil
}

// Locks asks for what a reviewer's program needs to open one held document.
func (c *Client) Locks(ctx context.Context, id dlp.ID) (l vault.Locks, err error) {
	err = c.call(ctx, http.MethodGet, heldPath(id)+"/locks", &l)
	return l, err
}

// sampled answers with the sample of passed mail since a time.
func (s *Server) sampled(w http.ResponseWriter, r *http.Request) {
	since, err := time.Parse(time.RFC3339, r.URL.Query().Get("since"))
	if err != nil {
		s.fail(w, r, errors.New("control: want since when"))
		return
	}
	all, err := s.desk.Sampled(r.Context(), since)
	s.answer(w, r, all, err)
}

// Sampled asks for the sample of passed mail since then.
func (c *Client) Sampled(ctx context.Context, since time.Time) (all []sample.Entry, err error) {
	err = c.call(ctx, http.MethodGet, "/sample?since="+url.QueryEscape(since.UTC().Format(time.RFC3339)), &all)
	return all, err
}

// VaultPeriods asks how the keys of the vault stand.
func (c *Client) VaultPeriods(ctx context.Context) (p vault.Periods, err error) {
	err = c.call(ctx, http.MethodGet, "/vault", &p)
	return p, err
}

// ResealVault hands over keys that were sealed anew.
func (c *Client) ResealVault(ctx context.Context, sealed map[dlp.ID][][]byte, _ string) error {
	return c.tell(ctx, "/vault/keys", sealed, &struct{}{})
}

func (s *Server) vaultKeyFile(w http.ResponseWriter, r *http.Request) {
	b, err := s.desk.VaultKeyFile(r.Context())
	s.answer(w, r, b, err)
}

// VaultKeyFile asks for the keys of the vault as they are kept.
func (c *Client) VaultKeyFile(ctx context.Context) (b []byte, err error) {
	err = c.call(ctx, http.MethodGet, "/vault/file", &b)
	return b, err
}

// RotateVault has a new period begin.
func (c *Client) RotateVault(ctx context.Context, _ string) error {
	return c.tell(ctx, "/vault/rotate", struct{}{}, &struct{}{})
}

// backup streams an encrypted copy of everything. It may last for hours, and one
// is made at a time: gateway.ErrBusy.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	var recipients []string
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRecipients)).Decode(&recipients); err != nil {
		s.fail(w, r, errors.New("control: want recipients"))
		return
	}
	s.stream(w, r, func(w io.Writer) error { return s.desk.Backup(r.Context(), recipients, actor(r), w) })
}

// maxRecipients bounds a body of public keys, in bytes; a post-quantum one has
// 2,000.
const maxRecipients = 256 << 10

// Backup asks for an encrypted copy of everything; an error means that what was
// written to w is none.
func (c *Client) Backup(ctx context.Context, recipients []string, _ string, w io.Writer) error {
	res, err := c.postJSON(ctx, "/backup", recipients)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("control: backup is not whole: %w", err)
	}
	return nil
}
