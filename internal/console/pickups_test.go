package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/pickup"
)

// ListPickups has each item wait at the portal too.
func (d *desk) ListPickups(_ context.Context, all bool) (out []gateway.Picked, err error) {
	for i, h := range d.held {
		p := gateway.Picked{ID: h.ID, Doc: dlp.NewID(), State: "waiting", Created: h.Received, Expires: h.Received.Add(24 * time.Hour), Sender: h.Sender, Recipient: hostile + "@partner.example"}
		if i == 0 {
			p.Opened, p.Replies, p.Recipient = h.Received.Add(time.Minute), 2, "ward.person@partner.example"
		}
		out = append(out, p)
	}
	if all {
		for _, state := range []pickup.State{pickup.Revoked, pickup.Expired, pickup.Undelivered} {
			out = append(out, gateway.Picked{ID: dlp.NewID(), State: string(state)})
		}
	}
	return out, d.fails
}

func (d *desk) RevokePickup(_ context.Context, id dlp.ID, actor string) error {
	if _, err := d.find(id); err != nil {
		return fmt.Errorf("gateway: %w", pickup.ErrEnded)
	}
	d.did("revoke " + string(id) + " " + actor)
	return nil
}

// TestPickupsPage: who may see it sees what waits, people by domain but for who may see
// more; who decides takes one back, and nobody from another site's form.
func TestPickupsPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	for name, role := range map[string]console.Role{"vera": console.Viewer, "dana": console.Officer} {
		s.add(t, name, role, false)
	}
	vera, dana := s.signedIn(t, "vera"), s.signedIn(t, "dana")
	_, body, _ := vera.do(http.MethodGet, "/pickups", nil)
	for want, times := range map[string]int{"<td class=\"long\">partner.example</td>": 2, "opened 26 Nov 2026": 1, "answered 2 times": 1, "not opened": 1, "Take back": 0, "ward.person": 0, "<script>x": 0} {
		if got := strings.Count(body, want); got != times {
			t.Errorf("a viewer sees %q %d times, want %d", want, got, times)
		}
	}
	_, body, _ = dana.do(http.MethodGet, "/pickups?all=1", nil)
	for want, times := range map[string]int{"ward.person@partner.example": 1, "/revoke\"": 2, "taken back</td>": 1, "its notice reached nobody": 1, ">over</td>": 1, "cannot be read": 3, "<script>x": 0} {
		if got := strings.Count(body, want); got != times {
			t.Errorf("an officer sees %q %d times, want %d", want, got, times)
		}
	}
	one := "/pickups/" + string(s.desk.held[0].ID) + "/revoke"
	if code, _, _ := dana.do(http.MethodPost, one, url.Values{}, "Sec-Fetch-Site", "cross-site"); code != http.StatusForbidden {
		t.Errorf("another site's form: %d", code)
	}
	if code, _, _ := vera.do(http.MethodPost, one, url.Values{}); code != http.StatusForbidden {
		t.Errorf("a viewer: %d", code)
	}
	for _, path := range []string{"/pickups/" + string(dlp.NewID()) + "/revoke", "/pickups/x/revoke"} {
		if code, _, _ := dana.do(http.MethodPost, path, url.Values{}); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	if got := s.desk.log(); len(got) != 0 {
		t.Fatalf("and yet the desk was asked %q", got)
	}
	code, _, to := dana.do(http.MethodPost, one, url.Values{})
	if got := s.desk.log(); code != http.StatusSeeOther || to != "/pickups" || !slices.Equal(got, []string{"revoke " + string(s.desk.held[0].ID) + " user:dana"}) {
		t.Errorf("%d to %q, the desk was asked %q", code, to, got)
	}
	if _, body, _ := dana.do(http.MethodGet, "/queue", nil); !strings.Contains(body, `href="/pickups"`) {
		t.Error("the queue does not lead there")
	}
}

// TestNoPickupPages: without a portal the page says so, and the queue does not lead there.
func TestNoPickupPages(t *testing.T) {
	t.Parallel()
	s := newSiteWith(t, 1, func(_ *site, d *console.Deps) { d.Pickups = nil })
	s.add(t, "dana", console.Officer, false)
	dana := s.signedIn(t, "dana")
	if _, body, _ := dana.do(http.MethodGet, "/pickups", nil); !strings.Contains(body, "Nobody opens mail in a browser here") {
		t.Errorf("the page says %s", body)
	}
	if code, _, _ := dana.do(http.MethodPost, "/pickups/"+string(s.desk.held[0].ID)+"/revoke", url.Values{}); code != http.StatusNotFound {
		t.Errorf("taken back: %d", code)
	}
	if _, body, _ := dana.do(http.MethodGet, "/queue", nil); strings.Contains(body, `href="/pickups"`) {
		t.Error("the queue leads there")
	}
}
