package portal

import (
	"net/http"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/passkey"
	"github.com/stanch-dlp/stanch/internal/pickup"
)

// maxOfParcel is how many ceremonies of one parcel wait for an answer at most.
const maxOfParcel = 20

// newPasskeySite returns nil where there are no passkeys.
func newPasskeySite(cfg *pickup.Config) *passkey.Site {
	if cfg.PasskeyExpiry == 0 {
		return nil
	}
	return passkey.NewSite(cfg.URL, cfg.Site)
}

func credentialsOf(keys []pickup.Passkey) (out []passkey.Credential) {
	for _, k := range keys {
		out = append(out, passkey.Credential{Handle: k.Handle, Key: k.Key, Count: k.Count, Flags: k.Flags, Transports: k.Transports})
	}
	return out
}

// used returns that of keys which has answered c, as it is to be kept now.
// pickup.ErrPasskey.
func (s *Server) used(c passkey.Ceremony, keys []pickup.Passkey, credential []byte) (pickup.Passkey, error) {
	got, err := s.site.EndUse(c, credentialsOf(keys), credential)
	if err != nil {
		return pickup.Passkey{}, pickup.ErrPasskey
	}
	k := keys[slices.IndexFunc(keys, func(k pickup.Passkey) bool { return slices.Equal(k.Handle, got.Handle) })]
	k.Count, k.Flags = got.Count, got.Flags
	return k, nil
}

// bearer is the token of the session that r comes of.
func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}
