package sample_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/sample"
	"github.com/stanch-dlp/stanch/internal/vault"
)

const canary = "Wilhelmina Quillfeather, social security number 536-22-8145"

// counts are of outcomes.
type counts struct {
	mu sync.Mutex
	of map[string]int // guarded by mu
}

func (c *counts) add(outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[outcome]++
}

func (c *counts) is(outcome string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[outcome]
}

// site is the keys of one, and who may open what they seal.
func site(t *testing.T, only bool) (p *age.Periods, reviewer *filippo.X25519Identity) {
	t.Helper()
	server, err := filippo.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if reviewer, err = filippo.GenerateX25519Identity(); err != nil {
		t.Fatal(err)
	}
	c := age.PeriodsConfig{Path: filepath.Join(t.TempDir(), "vault.keys"), Server: server, Reviewers: []string{reviewer.Recipient().String()}, Only: only}
	if only {
		c.Server, c.Needed = nil, 1
	}
	if p, err = age.OpenPeriods(c, nil); err != nil {
		t.Fatal(err)
	}
	return p, reviewer
}

// passed is a message that passed.
func passed(text string) *dlp.Document {
	return &dlp.Document{ID: dlp.NewID(), Channel: dlp.Mail, Sender: dlp.Address{Local: "ada", Domain: "clinic.example"}, Rcpts: []dlp.Address{{Local: "sam\xff", Domain: "partner.example"}},
		Received: time.Now(), Size: int64(len(text)), Open: func() (io.ReadSeekCloser, error) { return body{strings.NewReader(text)}, nil }}
}

type body struct{ *strings.Reader }

func (body) Close() error { return nil }

func open(dir string, c sample.Config, seal vault.Sealer) (*sample.Sample, *counts) {
	n := &counts{of: map[string]int{}}
	return sample.Open(c, sample.Deps{Dir: dir, Seal: seal, Now: time.Now, Log: slog.New(slog.DiscardHandler), Count: n.add}), n
}

func all() sample.Config {
	c := sample.Default()
	c.OneIn = 1
	return c
}

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, f := range files {
		out = append(out, f.Name())
	}
	return out
}

// TestSample: what passed is kept sealed, comes back as it was, and to a reviewer
// alone where the server has no key.
func TestSample(t *testing.T) {
	for _, only := range []bool{false, true} {
		seal, reviewer := site(t, only)
		synctest.Test(t, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "sample")
			s, n := open(dir, all(), seal)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { _ = s.Run(ctx) }()
			defer cancel()
			doc := passed(canary)
			s.Offer(doc)
			synctest.Wait()
			if n.is(sample.Kept) != 1 {
				t.Fatalf("outcomes: %v", n.of)
			}
			for _, name := range names(t, dir) {
				b, err := os.ReadFile(filepath.Join(dir, name))
				for _, secret := range []string{"Quillfeather", "536-22", "ada", "clinic.example", "partner.example"} {
					if err != nil || bytes.Contains(b, []byte(secret)) || strings.Contains(name, secret) {
						t.Errorf("%s holds %q, %v", name, secret, err)
					}
				}
			}
			es, err := s.List(doc.Received.Add(-time.Minute))
			if err != nil || len(es) != 1 || es[0].ID != doc.ID {
				t.Fatalf("list: %+v, %v", es, err)
			}
			var key []byte
			if only {
				if _, err := s.Document(&es[0], nil); !errors.Is(err, vault.ErrLocked) {
					t.Errorf("without a reviewer: %v", err)
				}
				lock, err := s.Lock(doc.ID)
				if err != nil {
					t.Fatal(err)
				}
				if key, err = age.FileKey(lock, []filippo.Identity{reviewer}); err != nil {
					t.Fatal(err)
				}
			}
			got, err := s.Document(&es[0], key)
			if err != nil {
				t.Fatal(err)
			}
			r, _ := got.Open()
			text, _ := io.ReadAll(r)
			if string(text) != canary || got.Sender != doc.Sender || len(got.Rcpts) != 1 || got.Rcpts[0] != doc.Rcpts[0] || got.Size != doc.Size {
				t.Errorf("came back: %+v, %q", got, text)
			}
			if _, err := s.Lock(dlp.NewID()); !errors.Is(err, vault.ErrNotFound) {
				t.Errorf("of another: %v", err)
			}
			// An altered file is none.
			at := filepath.Join(dir, names(t, dir)[0])
			b, _ := os.ReadFile(at)
			b[len(b)-1] ^= 1
			if err := os.WriteFile(at, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Document(&es[0], key); err == nil {
				t.Error("an altered message opens")
			}
			// Its time is over.
			time.Sleep(all().Keep.D() + 2*time.Minute)
			synctest.Wait()
			if left := names(t, dir); len(left) != 0 {
				t.Errorf("left after its time: %v", left)
			}
		})
	}
}

// TestSampleRolls: the oldest go first, and what was dated by a wrong clock goes.
func TestSampleRolls(t *testing.T) {
	seal, _ := site(t, false)
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "sample")
		c := all()
		c.MaxMessage, c.MaxBytes = 10<<10, 36<<10
		s, n := open(dir, c, seal)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = s.Run(ctx) }()
		defer cancel()
		wrong := passed("x")
		wrong.Received = time.Now().AddDate(1, 0, 0)
		s.Offer(wrong)
		synctest.Wait()
		var ids []dlp.ID
		for range 6 {
			doc := passed(strings.Repeat("y", 10<<10))
			s.Offer(doc)
			synctest.Wait()
			ids = append(ids, doc.ID)
			time.Sleep(time.Second)
		}
		s.Offer(passed(strings.Repeat("z", 10<<10+1)))
		es, err := s.List(time.Time{})
		if err != nil || len(es) != 3 || es[0].ID != ids[5] || es[2].ID != ids[3] {
			t.Errorf("kept %+v of %v, %v", es, ids, err)
		}
		if n.is(sample.Large) != 1 || n.is(sample.Kept) != 7 || len(names(t, dir)) != 3 {
			t.Errorf("outcomes: %v, files %v", n.of, names(t, dir))
		}
	})
}

// TestSampleIsBoundedByNumber: of small messages the oldest go, too, once a folder has
// as many as may be, though there is room for more bytes.
func TestSampleIsBoundedByNumber(t *testing.T) {
	const most = 200
	seal, _ := site(t, false)
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var old []string
		for i := range most {
			old = append(old, fmt.Sprintf("%013d-%s-%s.age", time.Now().Add(time.Duration(i)*time.Millisecond).UnixMilli(), dlp.NewID(), dlp.NewID()))
			if err := os.WriteFile(filepath.Join(dir, old[i]), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		n := &counts{of: map[string]int{}}
		s := sample.Open(all(), sample.Deps{Dir: dir, Seal: seal, Now: time.Now, Log: slog.New(slog.DiscardHandler), Count: n.add, Most: most})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = s.Run(ctx) }()
		defer cancel()
		synctest.Wait()
		for range 2 {
			s.Offer(passed("x"))
			synctest.Wait()
		}
		left := names(t, dir)
		if len(left) != most || left[0] != old[2] || n.is(sample.Kept) != 2 {
			t.Errorf("%d files, the oldest %s, %v; want %d, without the two that were oldest", len(left), left[0], n.of, most)
		}
	})
}

// stuck is a sealer on a disk that answers to nothing.
type stuck struct {
	vault.Sealer
	until chan struct{}
}

func (s stuck) Seal(dst io.Writer, kind string, id dlp.ID) (io.WriteCloser, dlp.ID, error) {
	<-s.until
	return s.Sealer.Seal(dst, kind, id)
}

// TestSampleIsInNobodysWay: a disk that hangs or fails, a document that cannot be
// read, and no sample at all keep no mail waiting and break nothing.
func TestSampleIsInNobodysWay(t *testing.T) {
	seal, _ := site(t, false)
	synctest.Test(t, func(t *testing.T) {
		hang := stuck{seal, make(chan struct{})}
		s, n := open(filepath.Join(t.TempDir(), "sample"), all(), hang)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		for range 100 {
			s.Offer(passed(canary)) // comes back, or this test ends in a deadlock
			synctest.Wait()
		}
		if n.is(sample.Busy) != 92 {
			t.Errorf("outcomes: %v", n.of)
		}
		close(hang.until)
		synctest.Wait()
		if n.is(sample.Kept) != 8 {
			t.Errorf("once the disk answers: %v", n.of)
		}
		cancel()
		wg.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s, n := open(filepath.Join(file, "sample"), all(), seal)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = s.Run(ctx) }()
		defer cancel()
		broken, panics, short := passed(canary), passed(canary), passed(canary)
		broken.Open = func() (io.ReadSeekCloser, error) { return nil, errors.New("gone") }
		panics.Open = func() (io.ReadSeekCloser, error) { panic("broken") }
		short.Size++
		for _, doc := range []*dlp.Document{passed(canary), broken, panics, short} {
			s.Offer(doc)
		}
		synctest.Wait()
		if n.is(sample.Failed) != 4 || n.is(sample.Kept) != 0 {
			t.Errorf("outcomes: %v", n.of)
		}
		for range 20 { // places come back
			s.Offer(passed(canary))
			synctest.Wait()
		}
		if n.is(sample.Failed) != 24 {
			t.Errorf("afterwards: %v", n.of)
		}
	})
	off, _ := open(t.TempDir(), sample.Default(), seal)
	off.Offer(passed(canary))
	if es, err := off.List(time.Time{}); off != nil || es != nil || err != nil {
		t.Errorf("off: %v, %v", es, err)
	}
}

// TestSampleEndsWithItsKey: what is sealed to a period's key is nobody's to open once
// that is destroyed, and goes at the next look, whatever keep says.
func TestSampleEndsWithItsKey(t *testing.T) {
	seal, _ := site(t, false)
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "sample")
		s, _ := open(dir, all(), seal)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = s.Run(ctx) }()
		defer cancel()
		s.Offer(passed(canary))
		synctest.Wait()
		var ended dlp.ID
		for _, p := range seal.Stands(false).Periods {
			if p.Kind == vault.KindContent {
				ended = p.ID
			}
		}
		if err := errors.Join(seal.Rotate(), seal.Destroy(ended)); err != nil {
			t.Fatal(err)
		}
		later := passed(canary)
		s.Offer(later)
		synctest.Wait()
		es, err := s.List(time.Time{})
		if err != nil || len(es) != 2 {
			t.Fatalf("list: %+v, %v", es, err)
		}
		for i := range es {
			_, err := s.Document(&es[i], nil)
			_, lerr := s.Lock(es[i].ID)
			if es[i].ID == later.ID {
				if err != nil || lerr != nil {
					t.Errorf("of the new period: %v, %v", err, lerr)
				}
			} else if !errors.Is(err, vault.ErrNoContent) || !errors.Is(lerr, vault.ErrNoContent) {
				t.Errorf("of the period that ended: %v, %v; want %v", err, lerr, vault.ErrNoContent)
			}
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if es, err = s.List(time.Time{}); err != nil || len(es) != 1 || es[0].ID != later.ID {
			t.Errorf("at the next look: %+v, %v; want the one whose key stands", es, err)
		}
	})
}

// TestErase: what was kept goes once no sample is wanted.
func TestErase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sample")
	for range 2 {
		if err := sample.Erase(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConfig(t *testing.T) {
	for name, change := range map[string]func(*sample.Config){
		"one_in": func(c *sample.Config) { c.OneIn = -1 }, "keep": func(c *sample.Config) { c.Keep = 0 }, "max_message": func(c *sample.Config) { c.MaxMessage = 11 << 20 },
		"max_bytes": func(c *sample.Config) { c.MaxBytes = 1 << 10 },
	} {
		c := sample.Default()
		if err := c.Validate(); err != nil {
			t.Errorf("the defaults: %v", err)
		}
		change(&c)
		if e, ok := errors.AsType[*dlp.KeyError](c.Validate().(interface{ Unwrap() []error }).Unwrap()[0]); !ok || e.Key != "sample."+name {
			t.Errorf("%s: %v", name, e)
		}
	}
}
