package control_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/bypass"
	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/probe"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/sample"
	"github.com/stanch-dlp/stanch/internal/vault"
)

var (
	_ control.Desk = (*gateway.Gateway)(nil)
	_ control.Desk = (*control.Client)(nil)
)

// desk answers from what a test put into it.
type desk struct {
	mu     sync.Mutex
	actors []string
	err    error
	export func(io.Writer) error
	table  gateway.TableChange  // told last
	deputy gateway.DeputyChange // told last
	keys   vault.Opened         // given last
	review gateway.Review       // given last
	sealed map[dlp.ID][][]byte  // given last
	items  []dlp.ID             // of its dossier
}

func (d *desk) seen(actor string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.actors = append(d.actors, actor)
	return d.err
}

func (d *desk) ListHeld(_ context.Context, all bool, header, actor string) ([]gateway.Held, error) {
	return []gateway.Held{{ID: "a", Header: header, State: fmt.Sprint(all)}}, d.seen(actor)
}
func (d *desk) ShowHeld(_ context.Context, id dlp.ID, _ vault.Opened, actor string) (gateway.HeldDetail, error) {
	return gateway.HeldDetail{Held: gateway.Held{ID: id}}, d.seen(actor)
}
func (d *desk) ReleaseFor(_ context.Context, _ dlp.ID, keys vault.Opened, actor string, rv gateway.Review) (gateway.Released, error) {
	d.keys, d.review = keys, rv
	return gateway.Released{Unencrypted: 3}, d.seen(actor)
}
func (d *desk) RejectFor(_ context.Context, _ dlp.ID, keys vault.Opened, actor string, rv gateway.Review) error {
	d.keys, d.review = keys, rv
	return d.seen(actor)
}
func (d *desk) Locks(context.Context, dlp.ID) (vault.Locks, error) {
	return vault.Locks{Content: vault.Lock{Header: []byte("head")}}, d.err
}
func (d *desk) Sampled(_ context.Context, since time.Time) ([]sample.Entry, error) {
	return []sample.Entry{{ID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Received: since}}, d.err
}
func (d *desk) VaultPeriods(context.Context) (vault.Periods, error) {
	return vault.Periods{Readers: []string{"age1"}}, d.err
}
func (d *desk) ResealVault(_ context.Context, sealed map[dlp.ID][][]byte, actor string) error {
	d.sealed = sealed
	return d.seen(actor)
}
func (d *desk) Backup(_ context.Context, recipients []string, actor string, w io.Writer) error {
	if _, err := io.WriteString(w, strings.Join(recipients, " ")); err != nil {
		return err
	}
	return d.seen(actor)
}
func (d *desk) VaultKeyFile(context.Context) ([]byte, error)      { return []byte("keys"), d.err }
func (d *desk) RotateVault(_ context.Context, actor string) error { return d.seen(actor) }
func (d *desk) Export(_ context.Context, _ dlp.ID, keys vault.Opened, actor string, w io.Writer) error {
	d.mu.Lock()
	d.keys = keys // several at once
	d.mu.Unlock()
	if err := d.seen(actor); err != nil {
		return err
	}
	return d.export(w)
}

const queueID = dlp.ID("aaaaaaaaaaaaaaaaaaaaaaaaaa")

func (d *desk) QueuePage(_ context.Context, all bool, after dlp.ID) ([]gateway.Queued, error) {
	return []gateway.Queued{{ID: after, Kind: "copy", Damaged: all}}, d.err
}
func (d *desk) ShowQueued(_ context.Context, id dlp.ID) (gateway.Queued, error) {
	return gateway.Queued{ID: id}, d.err
}
func (d *desk) ListPickups(_ context.Context, all bool) ([]gateway.Picked, error) {
	return []gateway.Picked{{ID: queueID, Replies: 2}}, d.err
}
func (d *desk) RevokePickup(_ context.Context, _ dlp.ID, actor string) error { return d.seen(actor) }
func (d *desk) ListPasskeys(context.Context) ([]gateway.ListedPasskey, error) {
	return []gateway.ListedPasskey{{ID: queueID, Of: "bob@partner.example"}}, d.err
}
func (d *desk) RemovePasskey(_ context.Context, _ dlp.ID, actor string) error { return d.seen(actor) }
func (d *desk) Routes(context.Context) ([]probe.Status, error) {
	return []probe.Status{{Route: "out", Result: probe.Caught}}, d.err
}
func (d *desk) SendProbes(_ context.Context, names []string, actor string) ([]probe.Status, error) {
	return []probe.Status{{Route: names[0]}}, d.seen(actor)
}
func (d *desk) RetryQueued(_ context.Context, _ dlp.ID, actor string) error { return d.seen(actor) }
func (d *desk) DropQueued(_ context.Context, _ dlp.ID, actor string) error  { return d.seen(actor) }
func (d *desk) PlaceLegalHold(_ context.Context, _ dlp.ID, why, actor string) error {
	if why != "subpoena" {
		return gateway.ErrNoWhy
	}
	return d.seen(actor)
}
func (d *desk) LiftLegalHold(_ context.Context, _ dlp.ID, why, actor string) error {
	if why != "settled" {
		return gateway.ErrNoWhy
	}
	return d.seen(actor)
}
func (d *desk) LegalHolds(context.Context, int) ([]gateway.LegalHold, error) {
	return []gateway.LegalHold{{ID: queueID, Why: "subpoena"}}, d.err
}
func (d *desk) LiftedHolds(_ context.Context, limit int) ([]gateway.LegalHold, error) {
	return []gateway.LegalHold{{ID: queueID, Why: "subpoena", LiftWhy: fmt.Sprint("settled, of ", limit)}}, d.err
}
func (d *desk) NoteAccount(_ context.Context, _, actor string) error { return d.seen(actor) }

func (d *desk) NoteDeputy(_ context.Context, c gateway.DeputyChange, actor string) error {
	d.deputy = c
	return d.seen(actor)
}

func (d *desk) NoteTable(_ context.Context, c gateway.TableChange, actor string) error {
	d.table = c
	return d.seen(actor)
}
func (d *desk) BeginBypass(_ context.Context, last time.Duration, reason, actor string) (gateway.Bypassed, error) {
	return gateway.Bypassed{Reason: reason, Passed: int64(last / time.Second)}, d.seen(actor)
}
func (d *desk) EndBypass(_ context.Context, actor string) (gateway.Bypassed, error) {
	return gateway.Bypassed{How: "stopped"}, d.seen(actor)
}
func (d *desk) Bypasses(_ context.Context, all bool) ([]gateway.Bypassed, error) {
	return []gateway.Bypassed{{Active: all}}, nil
}

// dial serves d on a socket in dir and returns a client of it.
func dial(t *testing.T, dir string, d control.Desk) *control.Client {
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
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
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

func TestAnswersCrossTheSocket(t *testing.T) {
	d := &desk{export: func(w io.Writer) error { _, err := io.WriteString(w, "as it came\r\n"); return err }}
	dir := t.TempDir()
	c := dial(t, dir, d)
	fi, err := os.Stat(filepath.Join(dir, control.Name))
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v; want 0600", fi.Mode(), err)
	}
	id := dlp.NewID()
	hs, err := c.ListHeld(t.Context(), true, "X-A", "forged")
	if err != nil || len(hs) != 1 || hs[0].Header != "X-A" || hs[0].State != "true" {
		t.Errorf("ListHeld = %+v, %v", hs, err)
	}
	if h, err := c.ShowHeld(t.Context(), id, vault.Opened{}, "forged"); err != nil || h.ID != id {
		t.Errorf("ShowHeld = %+v, %v", h, err)
	}
	if q, err := c.ShowQueued(t.Context(), id); err != nil || q.ID != id {
		t.Errorf("ShowQueued = %+v, %v", q, err)
	}
	if qs, err := c.QueuePage(t.Context(), true, queueID); err != nil || len(qs) != 1 || qs[0].Kind != "copy" || qs[0].ID != queueID || !qs[0].Damaged {
		t.Errorf("QueuePage = %+v, %v", qs, err)
	}
	for name, act := range map[string]func(context.Context, dlp.ID, string) error{"RevokePickup": c.RevokePickup, "RemovePasskey": c.RemovePasskey, "RetryQueued": c.RetryQueued, "DropQueued": c.DropQueued} {
		if err := act(t.Context(), id, "forged"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.PlaceLegalHold(t.Context(), id, "subpoena", "forged"); err != nil {
		t.Errorf("PlaceLegalHold: %v", err)
	}
	if err := c.LiftLegalHold(t.Context(), id, "settled", "forged"); err != nil {
		t.Errorf("LiftLegalHold: %v", err)
	}
	for name, do := range map[string]func(context.Context, dlp.ID, string, string) error{"PlaceLegalHold": c.PlaceLegalHold, "LiftLegalHold": c.LiftLegalHold} {
		if err := do(t.Context(), id, "", "forged"); !errors.Is(err, gateway.ErrNoWhy) {
			t.Errorf("%s without a reason: %v, want %v", name, err, gateway.ErrNoWhy)
		}
	}
	if ls, err := c.LiftedHolds(t.Context(), 0); err != nil || len(ls) != 1 || ls[0].LiftWhy != "settled, of 1000" {
		t.Errorf("LiftedHolds = %+v, %v", ls, err)
	}
	if ls, err := c.LegalHolds(t.Context(), 0); err != nil || len(ls) != 1 || ls[0].Why != "subpoena" {
		t.Errorf("LegalHolds = %+v, %v", ls, err)
	}
	keys := vault.Opened{Content: []byte{1, 2}, Case: []byte{3}}
	review := gateway.Review{Code: "payment", Words: "as agreed", Note: "a note", Encrypted: true, Unencrypted: true, Only: []string{"a@b.example"}}
	for name, act := range map[string]func(context.Context, dlp.ID, vault.Opened, string, gateway.Review) error{"Release": func(ctx context.Context, id dlp.ID, keys vault.Opened, actor string, rv gateway.Review) error {
		how, err := c.ReleaseFor(ctx, id, keys, actor, rv)
		if err == nil && how.Unencrypted != 3 {
			t.Errorf("Release = %+v, want what the desk said", how)
		}
		return err
	}, "Reject": c.RejectFor} {
		d.keys, d.review = vault.Opened{}, gateway.Review{}
		if err := act(t.Context(), id, keys, "forged", review); err != nil || !bytes.Equal(d.keys.Content, keys.Content) || !bytes.Equal(d.keys.Case, keys.Case) || !reflect.DeepEqual(d.review, review) {
			t.Errorf("%s: %v, keys %v, review %+v", name, err, d.keys, d.review)
		}
	}
	if l, err := c.Locks(t.Context(), id); err != nil || string(l.Content.Header) != "head" {
		t.Errorf("Locks = %+v, %v", l, err)
	}
	if p, err := c.VaultPeriods(t.Context()); err != nil || len(p.Readers) != 1 {
		t.Errorf("VaultPeriods = %+v, %v", p, err)
	}
	sealed := map[dlp.ID][][]byte{id: {{1}, {2}}}
	if err := c.ResealVault(t.Context(), sealed, "forged"); err != nil || len(d.sealed[id]) != 2 {
		t.Errorf("ResealVault: %v, %v", err, d.sealed)
	}
	var copied bytes.Buffer
	if err := c.Backup(t.Context(), []string{"age1", "age2"}, "forged", &copied); err != nil || copied.String() != "age1 age2" {
		t.Errorf("Backup = %q, %v", copied.String(), err)
	}
	if b, err := c.VaultKeyFile(t.Context()); err != nil || string(b) != "keys" {
		t.Errorf("VaultKeyFile = %q, %v", b, err)
	}
	if err := c.RotateVault(t.Context(), "forged"); err != nil {
		t.Errorf("RotateVault: %v", err)
	}
	if ps, err := c.ListPickups(t.Context(), true); err != nil || len(ps) != 1 || ps[0].Replies != 2 {
		t.Errorf("ListPickups = %+v, %v", ps, err)
	}
	if ks, err := c.ListPasskeys(t.Context()); err != nil || len(ks) != 1 || ks[0].Of != "bob@partner.example" {
		t.Errorf("ListPasskeys = %+v, %v", ks, err)
	}
	if rs, err := c.Routes(t.Context()); err != nil || len(rs) != 1 || rs[0].Result != probe.Caught {
		t.Errorf("Routes = %+v, %v", rs, err)
	}
	if rs, err := c.SendProbes(t.Context(), []string{"a b"}, "forged"); err != nil || len(rs) != 1 || rs[0].Route != "a b" {
		t.Errorf("SendProbes = %+v, %v", rs, err)
	}
	var b bytes.Buffer
	if err := c.Export(t.Context(), id, vault.Opened{}, "forged", &b); err != nil || b.String() != "as it came\r\n" {
		t.Errorf("Export = %q, %v", b.String(), err)
	}
	if b, err := c.BeginBypass(t.Context(), time.Minute, "broken, \"really\"", "forged"); err != nil || b.Passed != 60 || b.Reason != "broken, \"really\"" {
		t.Errorf("BeginBypass = %+v, %v", b, err)
	}
	if b, err := c.EndBypass(t.Context(), "forged"); err != nil || b.How != "stopped" {
		t.Errorf("EndBypass = %+v, %v", b, err)
	}
	if bs, err := c.Bypasses(t.Context(), true); err != nil || len(bs) != 1 || !bs[0].Active {
		t.Errorf("Bypasses = %+v, %v", bs, err)
	}
	change := gateway.TableChange{Do: "import", Version: "2027", Digest: "00112233445566778899aabbccddeeff", Failed: true}
	if err := c.NoteTable(t.Context(), change, "forged"); err != nil || d.table != change {
		t.Errorf("NoteTable told the desk of %+v, %v; want %+v", d.table, err, change)
	}
	for _, a := range d.actors {
		if a != control.Actor(os.Getuid()) {
			t.Errorf("the desk was told the actor is %q, want who the kernel says", a)
		}
	}
}

func TestErrorsKeepTheirIdentity(t *testing.T) {
	for _, want := range []error{vault.ErrNotFound, gateway.ErrNotHeld, gateway.ErrNotQueued, gateway.ErrBusy, gateway.ErrSecond, gateway.ErrSame, gateway.ErrNotFor, gateway.ErrNoWay, gateway.ErrUnencrypted, gateway.ErrReason, gateway.ErrNoRoot, vault.ErrNoContent, pickup.ErrEnded, pickup.ErrNoPasskey,
		bypass.ErrOff, bypass.ErrOn, bypass.ErrNone, bypass.ErrTooLong, bypass.ErrReason} {
		t.Run(want.Error(), func(t *testing.T) {
			c := dial(t, t.TempDir(), &desk{err: fmt.Errorf("gateway: some step: %w", want)})
			_, err := c.ReleaseFor(t.Context(), dlp.NewID(), vault.Opened{}, "", gateway.Review{})
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
	c := dial(t, t.TempDir(), &desk{})
	if _, err := c.ReleaseFor(t.Context(), "../../etc", vault.Opened{}, "", gateway.Review{}); !errors.Is(err, dlp.ErrBadID) {
		t.Errorf("a path for an id: %v, want %v", err, dlp.ErrBadID)
	}
}

func TestExportThatBreaksIsAnError(t *testing.T) {
	d := &desk{export: func(w io.Writer) error {
		if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
			return err
		}
		return errors.New("tampered")
	}}
	c := dial(t, t.TempDir(), d)
	if err := c.Export(t.Context(), dlp.NewID(), vault.Opened{}, "", io.Discard); err == nil {
		t.Error("a content that broke off was taken for whole")
	}
	c = dial(t, t.TempDir(), &desk{err: errors.New("no room")})
	if err := c.Backup(t.Context(), []string{"age1"}, "", io.Discard); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("a backup that broke off at once: %v, want it said why", err)
	}
	if err := c.Backup(t.Context(), []string{strings.Repeat("x", 100<<10)}, "", io.Discard); err == nil {
		t.Error("a backup that broke off later was taken for whole")
	}
}

// TestCallThatPanicsIsAnError: told where nothing was answered, else cut; and serve
// goes on.
func TestCallThatPanicsIsAnError(t *testing.T) {
	d := &desk{}
	c := dial(t, t.TempDir(), d)
	for name, size := range map[string]int{"at once": 0, "later": 1 << 20} {
		d.export = func(w io.Writer) error {
			if _, err := w.Write(make([]byte, size)); err != nil {
				return err
			}
			panic("Mira Testcase")
		}
		err := c.Export(t.Context(), dlp.NewID(), vault.Opened{}, "", io.Discard)
		if err == nil || strings.Contains(err.Error(), "Mira") || size == 0 && !strings.Contains(err.Error(), "its log says when") {
			t.Errorf("%s: %v", name, err)
		}
	}
	d.export = func(io.Writer) error { return nil }
	if err := c.Export(t.Context(), dlp.NewID(), vault.Opened{}, "", io.Discard); err != nil {
		t.Error(err)
	}
}

func TestDataFolderWithALongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := dial(t, dir, &desk{})
	if _, err := c.QueuePage(t.Context(), false, ""); err != nil {
		t.Error(err)
	}
}

func TestNobodyServes(t *testing.T) {
	if _, err := control.Dial(t.Context(), t.TempDir()); !errors.Is(err, control.ErrNotServing) {
		t.Errorf("no socket: %v, want %v", err, control.ErrNotServing)
	}
	dir := t.TempDir()
	ln, err := control.Listen(dir) // what a killed serve leaves: a socket that nobody answers on
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if _, err := control.Dial(t.Context(), dir); !errors.Is(err, control.ErrNotServing) {
		t.Errorf("a dead socket: %v, want %v", err, control.ErrNotServing)
	}
	if ln, err = control.Listen(dir); err != nil {
		t.Fatalf("listen over a dead socket: %v", err)
	}
	ln.Close()
}

// TestExportsLeaveRoom: readers of content that do not read keep nobody from
// the queue.
func TestExportsLeaveRoom(t *testing.T) {
	const exports = 8
	begun, goOn := make(chan struct{}), make(chan struct{})
	d := &desk{export: func(w io.Writer) error {
		begun <- struct{}{}
		<-goOn
		_, err := io.WriteString(w, "content")
		return err
	}}
	c := dial(t, t.TempDir(), d)
	var wg sync.WaitGroup
	for range exports {
		wg.Go(func() {
			var b bytes.Buffer
			if err := c.Export(t.Context(), dlp.NewID(), vault.Opened{}, "", &b); err != nil || b.String() != "content" {
				t.Errorf("export: %q, %v", b.String(), err)
			}
		})
	}
	for range exports {
		<-begun
	}
	if err := c.Export(t.Context(), dlp.NewID(), vault.Opened{}, "", io.Discard); !errors.Is(err, gateway.ErrBusy) {
		t.Errorf("one export more: got %v, want %v", err, gateway.ErrBusy)
	}
	if hs, err := c.ListHeld(t.Context(), false, "", ""); err != nil || len(hs) != 1 {
		t.Errorf("list beside them: got %+v, %v, want one item", hs, err)
	}
	close(goOn)
	wg.Wait()
}
