package doctor

import (
	"context"
	"errors"

	"github.com/stanch-dlp/stanch/internal/crypt/tpm"
)

// TPM tells whether this machine has a TPM 2.0 that a reviewer's key can be made
// in. None is needed. maker asks it who made it.
func TPM(maker func(context.Context) (string, error)) Check {
	return Check{Name: "tpm", Run: func(ctx context.Context) []Finding {
		name, err := maker(ctx)
		switch {
		case err == nil:
			return []Finding{good(tpm.Device, "a TPM 2.0 (%s): `stanch reviewers key --tpm` makes a key that no other machine opens", name)}
		case errors.Is(err, tpm.ErrNone):
			return []Finding{good(tpm.Device, "no TPM; reviewers' keys on this machine are files")}
		case errors.Is(err, tpm.ErrDenied):
			return []Finding{good(tpm.Device, "a TPM, which this user may not use")}
		}
		return []Finding{poor(tpm.Device, "a TPM that does not answer as one", "Look at the kernel's log (`dmesg | grep -i tpm`) and the machine's firmware; keys that were made in it do not open.")}
	}}
}
