package console

import (
	"context"
	"net/http"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/pickup"
)

// Pickups are the messages that recipients open in a browser.
type Pickups interface {
	// ListPickups returns at most pickup.MaxList, the newest first; ended ones with all.
	ListPickups(ctx context.Context, all bool) ([]gateway.Picked, error)
	// RevokePickup takes one back, on record before it is done. pickup.ErrEnded.
	RevokePickup(ctx context.Context, id dlp.ID, actor string) error
}

func (c *Console) pickupRoutes() []route {
	return []route{
		{"GET /pickups", see, c.pickups},
		{"POST /pickups/{id}/revoke", decide, c.revokePickup},
	}
}

// pickedRow is one message: people by what the reader may see of them, and nothing of
// its subject.
type pickedRow struct {
	ID, Doc          dlp.ID
	From, To         string
	State            string
	Created, Expires time.Time
	Opened           *time.Time
	Replies          int
	Waits            bool
}

type pickupsPage struct {
	frame
	None bool // there are no pickup pages
	All  bool
	Full bool // there may be more
	Rows []pickedRow
}

func (c *Console) pickups(w http.ResponseWriter, r *http.Request, u User) {
	p := pickupsPage{None: c.Pickups == nil, All: r.URL.Query().Has("all")}
	if !p.None {
		ps, err := c.Pickups.ListPickups(r.Context(), p.All)
		if err != nil {
			c.fail(w, r, u, err)
			return
		}
		p.Full = len(ps) >= pickup.MaxList
		for _, x := range ps {
			p.Rows = append(p.Rows, c.pickedRow(x, u))
		}
	}
	p.frame = c.frame(r, u, "Pickup messages")
	c.render(w, r, http.StatusOK, "pickups", p)
}

func (c *Console) pickedRow(x gateway.Picked, u User) pickedRow {
	row := pickedRow{ID: x.ID, Doc: x.Doc, From: x.Sender, To: x.Recipient, State: x.State, Created: x.Created, Expires: x.Expires, Replies: x.Replies,
		Waits: x.State == string(pickup.Waiting) && c.Now().Before(x.Expires)}
	if !x.Opened.IsZero() {
		row.Opened = &x.Opened
	}
	if !u.may(names) {
		row.From, row.To = domainOf(x.Sender), domainOf(x.Recipient)
	}
	return row
}

func (c *Console) revokePickup(w http.ResponseWriter, r *http.Request, u User) {
	id, err := itemID(r)
	if err == nil && c.Pickups == nil {
		err = pickup.ErrEnded
	}
	if err == nil {
		err = c.Pickups.RevokePickup(r.Context(), id, u.Actor())
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	c.sessions.say(r, "It is taken back: its link opens nothing any more, and its content is gone.")
	http.Redirect(w, r, "/pickups", http.StatusSeeOther)
}
