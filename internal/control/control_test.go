package control_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

// desk is a Desk whose exports last until goOn is closed.
type desk struct {
	control.Desk // what no test calls
	begun        chan struct{}
	goOn         chan struct{}
}

func (*desk) ListHeld(context.Context, bool, string, string) ([]gateway.Held, error) {
	return []gateway.Held{{State: "held"}}, nil
}

func (d *desk) Export(_ context.Context, _ dlp.ID, _ string, w io.Writer) error {
	d.begun <- struct{}{}
	<-d.goOn
	_, err := io.WriteString(w, "content")
	return err
}

func (*desk) Release(context.Context, dlp.ID, string) error     { return nil }
func (*desk) Reject(context.Context, dlp.ID, string) error      { return nil }
func (*desk) RetryQueued(context.Context, dlp.ID, string) error { return nil }
func (*desk) DropQueued(context.Context, dlp.ID, string) error  { return nil }
func (*desk) ShowQueued(context.Context, dlp.ID) (gateway.Queued, error) {
	return gateway.Queued{}, nil
}

// serve answers on a socket in dir until the test ends.
func serve(t *testing.T, dir string, d control.Desk) *control.Client {
	t.Helper()
	ln, err := control.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := control.NewServer(d, safelog.Discard())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ln); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
	c, err := control.Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestExportsLeaveRoom: readers of content that do not read keep nobody from
// the queue.
func TestExportsLeaveRoom(t *testing.T) {
	const exports = 8
	d := &desk{begun: make(chan struct{}), goOn: make(chan struct{})}
	c := serve(t, t.TempDir(), d)
	var wg sync.WaitGroup
	for range exports {
		wg.Go(func() {
			var b bytes.Buffer
			if err := c.Export(t.Context(), dlp.NewID(), "", &b); err != nil || b.String() != "content" {
				t.Errorf("export: %q, %v", b.String(), err)
			}
		})
	}
	for range exports {
		<-d.begun
	}
	if err := c.Export(t.Context(), dlp.NewID(), "", io.Discard); !errors.Is(err, gateway.ErrBusy) {
		t.Errorf("one export more: got %v, want %v", err, gateway.ErrBusy)
	}
	if hs, err := c.ListHeld(t.Context(), false, "", ""); err != nil || len(hs) != 1 {
		t.Errorf("list beside them: got %+v, %v, want one item", hs, err)
	}
	close(d.goOn)
	wg.Wait()
}

func TestSocketIsPrivate(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, &desk{})
	info, err := os.Stat(filepath.Join(dir, control.Name))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}
