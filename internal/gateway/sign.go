package gateway

import (
	"context"
	"io"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// sign returns the site's signature on a message of the gateway's own or one
// that it changed, about doc; none where none is asked for. Mail flows unsigned
// rather than not at all, and that is told.
func (g *Gateway) sign(ctx context.Context, doc dlp.ID, open func() (io.ReadCloser, error)) []byte {
	if g.Sign == nil {
		return nil
	}
	field, err := g.Sign.Field(open)
	if err != nil {
		g.warn(ctx, "message not signed", doc, err)
		return nil
	}
	return field
}

// signTagged signs a message that leaves with a tag in front, unless a
// signature of the site's stands on it already, which a field above it does not
// break. Mail that is passed on as it came is never signed.
func (m *mail) signTagged(ctx context.Context, tag string) []byte {
	if m.Sign == nil || tag == "" {
		return nil
	}
	if !m.signable(ctx, func() (io.ReadCloser, error) { return m.doc.Open() }) {
		return nil
	}
	return m.sign(ctx, m.doc.ID, func() (io.ReadCloser, error) {
		body, err := m.doc.Open()
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(strings.NewReader(tag), body), body}, nil
	})
}

// signable reports whether the site's signature belongs on what open opens.
func (m *mail) signable(ctx context.Context, open func() (io.ReadCloser, error)) bool {
	wanted, err := m.Sign.Wanted(open)
	if err != nil {
		m.warn(ctx, "message not signed", m.doc.ID, err)
	}
	return wanted && err == nil
}

// signOwned signs a new message made of m, where its From is the site's.
func (m *mail) signOwned(ctx context.Context, open func() (io.ReadCloser, error)) []byte {
	if m.Sign == nil || !m.signable(ctx, open) {
		return nil
	}
	return m.sign(ctx, m.doc.ID, open)
}
