package gateway

import (
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// A link of a sender is signed, not stored: it says which message, until when
// and what may be done by it, under a MAC that is keyed by what the link is for.

// ErrNoChoice says that a link gives no choice: it is not ours, or its time is
// over.
var ErrNoChoice = errors.New("gateway: the link is not good, or not any more")

// Bounds of what stands in a link.
const (
	macBytes = 16
	maxToken = 200
)

// link is the address of the page on which token is good.
func (c *SenderConfig) link(page, token string) string {
	return strings.TrimSuffix(c.URL, "/") + "/" + page + "/" + token
}

func (g *Gateway) linkMAC(kind, text string) []byte {
	sum := g.Names.MAC(kind, []byte(text))
	return sum[:macBytes]
}

// signLink is what stands in a link about id that is good until then. may, which
// has no full stop, says what else it is good for.
func (g *Gateway) signLink(kind string, id dlp.ID, until time.Time, may string) string {
	text := string(id) + "." + strconv.FormatInt(until.Unix(), 36) + "." + may
	return text + "." + base64.RawURLEncoding.EncodeToString(g.linkMAC(kind, text))
}

// openLink reads what signLink wrote for the same kind. ErrNoChoice.
func (g *Gateway) openLink(kind, token string) (id dlp.ID, until time.Time, may string, err error) {
	at := strings.LastIndexByte(token, '.')
	if at < 0 || len(token) > maxToken {
		return "", until, "", ErrNoChoice
	}
	text := token[:at]
	given, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	f := strings.Split(text, ".")
	if err != nil || !hmac.Equal(given, g.linkMAC(kind, text)) || len(f) != 3 {
		return "", until, "", ErrNoChoice
	}
	sec, err := strconv.ParseInt(f[1], 36, 64)
	until = time.Unix(sec, 0)
	if err != nil || !g.Now().Before(until) {
		return "", until, "", ErrNoChoice
	}
	return dlp.ID(f[0]), until, f[2], nil
}
