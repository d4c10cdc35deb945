package portal_test

import (
	"context"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/pickup"
)

func (d *desk) PickupPasskeys(ctx context.Context, id dlp.ID) ([]pickup.Passkey, []byte, error) {
	_, err := d.PickupOf(ctx, id)
	return nil, []byte("user"), err
}
func (d *desk) SetPasskey(context.Context, dlp.ID, pickup.Credential) error {
	d.asked++
	return nil
}
func (d *desk) OpenByPasskey(context.Context, dlp.ID, func([]pickup.Passkey) (pickup.Passkey, error)) (int, error) {
	d.asked++
	return 0, pickup.ErrPasskey
}
func (d *desk) ForgetPasskey(context.Context, dlp.ID, dlp.ID) error {
	d.asked++
	return nil
}
