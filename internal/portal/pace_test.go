package portal_test

import (
	"bytes"
	"io"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/portal"
)

// deadlines notes until when a body is read.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

// SetReadDeadline is what http.ResponseController calls.
func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

// TestReplyPace: a reply has its pause, and a second more for each 16 KiB that
// came, however long it takes, but no more than the bound of all replies.
func TestReplyPace(t *testing.T) {
	began := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	const size = 48 << 20 // longer at that pace than any reply may take
	p := portal.Paced(io.NopCloser(bytes.NewReader(make([]byte, size))), d, began)
	piece := make([]byte, 16<<10)
	for i := range size / len(piece) {
		if _, err := io.ReadFull(p, piece); err != nil {
			t.Fatal(err)
		}
		want := began.Add(min(portal.ReplyWithin, 30*time.Second+time.Duration(i)*time.Second))
		if got := d.set[len(d.set)-1]; !got.Equal(want) {
			t.Fatalf("after %d KiB it may come until %v, want %v", 16*i, got.Sub(began), want.Sub(began))
		}
	}
	if got := d.set[len(d.set)-1].Sub(began); got != portal.ReplyWithin {
		t.Errorf("the last piece may take until %v, want %v", got, portal.ReplyWithin)
	}
}
