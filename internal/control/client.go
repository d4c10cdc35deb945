package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Client speaks to the serve that owns a data folder.
type Client struct {
	http *http.Client
}

// Dial returns a Client of the serve that owns dir, or ErrNotServing.
func Dial(ctx context.Context, dir string) (*Client, error) {
	dial := func(ctx context.Context) (net.Conn, error) {
		d, path, err := socketPath(dir)
		if err != nil {
			return nil, err
		}
		if d != nil {
			defer d.Close()
		}
		var nd net.Dialer
		return nd.DialContext(ctx, "unix", path)
	}
	c, err := dial(ctx)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNotServing
	}
	if err != nil {
		return nil, fmt.Errorf("control: dial: %w", err)
	}
	c.Close() // it only asked whether anybody listens
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableKeepAlives: true}
	return &Client{http: &http.Client{Transport: tr}}, nil
}

// call makes one call; the answer is decoded into out.
func (c *Client) call(ctx context.Context, method, path string, out any) error {
	res, err := c.do(ctx, method, path)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("control: answer: %w", err)
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, path string) (*http.Response, error) {
	return c.send(ctx, method, path, nil)
}

func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://stanch"+path, body)
	if err != nil {
		return nil, fmt.Errorf("control: call: %w", err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("control: call: %w", err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	e := &Error{}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(e); err != nil {
		return nil, fmt.Errorf("control: serve answered %d", res.StatusCode)
	}
	return nil, e
}

// Status asks serve what it says of itself.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.call(ctx, http.MethodGet, "/status", &s)
	return s, err
}

// ListHeld asks for the list of held documents. The actor is what the kernel
// tells serve; the argument is not sent.
func (c *Client) ListHeld(ctx context.Context, all bool, header, _ string) ([]gateway.Held, error) {
	q := url.Values{}
	if all {
		q.Set("all", "1")
	}
	if header != "" {
		q.Set("header", header)
	}
	var hs []gateway.Held
	err := c.call(ctx, http.MethodGet, "/held?"+q.Encode(), &hs)
	return hs, err
}

// ShowHeld asks why one document is held.
func (c *Client) ShowHeld(ctx context.Context, id dlp.ID, keys vault.Opened, _ string) (gateway.HeldDetail, error) {
	var d gateway.HeldDetail
	err := c.tell(ctx, heldPath(id)+"/show", keys, &d)
	return d, err
}

// ReleaseFor lets a held document go.
func (c *Client) ReleaseFor(ctx context.Context, id dlp.ID, keys vault.Opened, _ string, rv gateway.Review) (how gateway.Released, err error) {
	err = c.tell(ctx, heldPath(id)+"/release", decision{keys, rv}, &how)
	return how, err
}

// RejectFor ends a hold for good.
func (c *Client) RejectFor(ctx context.Context, id dlp.ID, keys vault.Opened, _ string, rv gateway.Review) error {
	return c.tell(ctx, heldPath(id)+"/reject", decision{keys, rv}, &struct{}{})
}

// Export writes held content to w; an error means that it is not whole.
func (c *Client) Export(ctx context.Context, id dlp.ID, keys vault.Opened, _ string, w io.Writer) error {
	res, err := c.postJSON(ctx, heldPath(id)+"/content", keys)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("control: content is not whole: %w", err)
	}
	return nil
}

// QueuePage asks for a page of the spool.
func (c *Client) QueuePage(ctx context.Context, all bool, after dlp.ID) ([]gateway.Queued, error) {
	q := url.Values{}
	if all {
		q.Set("all", "1")
	}
	if after != "" {
		q.Set("after", string(after))
	}
	var qs []gateway.Queued
	err := c.call(ctx, http.MethodGet, "/queue?"+q.Encode(), &qs)
	return qs, err
}

// ShowQueued asks for one message of the outbox.
func (c *Client) ShowQueued(ctx context.Context, id dlp.ID) (gateway.Queued, error) {
	var q gateway.Queued
	err := c.call(ctx, http.MethodGet, "/queue/"+url.PathEscape(string(id)), &q)
	return q, err
}

// RetryQueued makes a message due now.
func (c *Client) RetryQueued(ctx context.Context, id dlp.ID, _ string) error {
	return c.post(ctx, "/queue/", id, "/retry")
}

// DropQueued gives a message up.
func (c *Client) DropQueued(ctx context.Context, id dlp.ID, _ string) error {
	return c.post(ctx, "/queue/", id, "/drop")
}

// Process asks which process serves.
func (c *Client) Process(ctx context.Context) (ProcessInfo, error) {
	var p ProcessInfo
	err := c.call(ctx, http.MethodGet, "/process", &p)
	return p, err
}

// Upgrade asks serve to give way to the program that is installed now, and
// returns the process id of that once it is prepared to begin.
func (c *Client) Upgrade(ctx context.Context) (pid int, err error) {
	var p ProcessInfo
	err = c.call(ctx, http.MethodPost, "/upgrade", &p)
	return p.PID, err
}

func (c *Client) post(ctx context.Context, base string, id dlp.ID, verb string) error {
	return c.call(ctx, http.MethodPost, base+url.PathEscape(string(id))+verb, &struct{}{})
}
