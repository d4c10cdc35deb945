package console

import (
	"context"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
)

const (
	othersFor   = 30 * 24 * time.Hour
	othersShown = 10
)

// others is what else the sender of an item had held.
type others struct {
	Asked bool // false: nobody sent it
	Count int
	Cut   bool // there may be more
	Rows  []row
}

// others looks for what else the sender of h had held.
func (c *Console) others(ctx context.Context, h *gateway.Held, u User) (o others, err error) {
	if h.Channel != dlp.Mail.String() || h.Sender == "" || h.Damaged {
		return o, nil
	}
	from, err := c.Desk.HeldFrom(ctx, h.ID, c.Now().Add(-othersFor), othersShown)
	if err != nil {
		return o, err
	}
	o.Asked, o.Count, o.Cut = true, from.Count, from.Cut
	rules := c.rulesByID()
	for i := range from.Held {
		o.Rows = append(o.Rows, c.row(&from.Held[i], rules, u))
	}
	return o, nil
}
