package doctor

import (
	"context"
	"fmt"
)

// MailKeysSeen counts the certificates and keys in the folders of [encrypt] that
// mail is encrypted to. Whose they are, their names say: PHI.
type MailKeysSeen struct {
	All        int
	Usable     int // can be encrypted to
	Secret     int // OpenPGP or PEM with a secret key
	Unreadable int
	Poor       int // passphrases that others may read, or too short
	Ended      int // expired, or not valid yet
	Ending     int // not yet, within 30 days
	Changed    int // seen in mail in the place of others, within 30 days
}

// MailKeys tells what is wrong with the certificates and keys that mail is encrypted
// to. look reads the folders.
func MailKeys(look func() (MailKeysSeen, error)) Check {
	return Check{Name: "encrypt", Run: func(context.Context) []Finding {
		seen, err := look()
		if err != nil {
			return []Finding{bad("encrypt", err.Error(), "Let the folder be read by the user that serves: a reload changes nothing until then.")}
		}
		out := []Finding{good("encrypt", "%d certificates, keys and passphrases, %d of which mail can be encrypted to", seen.All, seen.Usable)}
		for _, c := range []struct {
			n             int
			found, remedy string
		}{
			{seen.Secret, "hold a secret key: somebody else's mail can be read with it", "Take the file away, tell its owner, and ask for the public key: see `stanch keys list`."},
			{seen.Unreadable, "cannot be read: mail to their owners goes another way, or is held", "See `stanch keys list`, and put the certificate or key there anew with `stanch keys import`."},
			{seen.Poor, "are passphrases that others may read, too short, or not plain text: mail to their owners goes another way, or is held", "See `stanch keys list`: `chmod 600` the files that are exposed, and agree on longer ones for those that are weak."},
			{seen.Ended, "have expired, or are not valid yet: mail to their owners goes another way, or is held", "See `stanch keys list`, and ask the owners for new ones."},
			{seen.Changed, "came in mail in the place of others within 30 days: their owners may have changed them, or somebody else has", "See `stanch keys list`, and compare the fingerprints with their owners: `stanch keys pin`, or `keys revoke`."},
			{seen.Ending, "expire within 30 days: after that mail to their owners goes another way, or is held", "See `stanch keys list`, and ask the owners for new ones."},
		} {
			if c.n > 0 {
				out = append(out, poor("encrypt", fmt.Sprintf("%d of them %s", c.n, c.found), c.remedy))
			}
		}
		return out
	}}
}
