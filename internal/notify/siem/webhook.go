package siem

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

const (
	answerWithin = 30 * time.Second
	maxAnswer    = 64 << 10 // bytes of an answer's body that are read so that its connection can be used again
	secretPrefix = "whsec_"
)

// webhook posts each event by itself, signed.
//
// Source: Standard Webhooks specification, "Signature scheme".
type webhook struct {
	url, format, version string
	secret               []byte
	client               *http.Client
}

func newWebhook(c *Config, tlsConfig *tls.Config, version string) (*webhook, error) {
	b, err := readSecret("secret_file", c.SecretFile)
	if err != nil {
		return nil, err
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(string(b)), secretPrefix))
	if err != nil || len(secret) < 24 || len(secret) > 64 {
		return nil, &dlp.KeyError{Key: "secret_file", Want: "whsec_ and base64 of 24 to 64 bytes"}
	}
	tr := &http.Transport{TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true, MaxIdleConns: 1, MaxIdleConnsPerHost: 1, MaxConnsPerHost: 1,
		IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: answerWithin, MaxResponseHeaderBytes: maxAnswer}
	return &webhook{url: c.URL, format: c.format(), version: version, secret: secret, client: &http.Client{Transport: tr, Timeout: answerWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// send posts events until one is not taken, and returns how many were.
func (w *webhook) send(ctx context.Context, events []event) (int, error) {
	for i := range events {
		if err := w.post(ctx, &events[i]); err != nil {
			return i, err
		}
	}
	return len(events), nil
}

func (w *webhook) post(ctx context.Context, e *event) error {
	body, err := e.body(w.format, w.version)
	if err != nil {
		return failure("form")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return failure("url")
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "stanch/"+w.version)
	req.Header.Set("webhook-id", e.ID)
	req.Header.Set("webhook-timestamp", at)
	req.Header.Set("webhook-signature", "v1,"+sign(w.secret, e.ID, at, body))
	res, err := w.client.Do(req)
	if err != nil {
		return reached(err)
	}
	defer res.Body.Close()                           // what it says is not wanted
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // the status says whether it was taken
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return failure("status_" + strconv.Itoa(res.StatusCode))
	}
	return nil
}

// sign is base64 of HMAC-SHA-256 over ID.TIMESTAMP.BODY.
func sign(secret []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	for _, b := range [][]byte{[]byte(id), []byte("."), []byte(at), []byte("."), body} {
		mac.Write(b) // a Hash never returns an error
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (w *webhook) close() { w.client.CloseIdleConnections() }
