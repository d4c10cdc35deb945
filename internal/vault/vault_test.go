package vault_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// shelf is a store and contents in memory, which a test may damage.
type shelf struct {
	rows  []vault.Row
	small map[dlp.ID][]byte
	large map[dlp.ID][]byte
	cases map[dlp.ID]vault.Record
}

func newShelf() *shelf {
	return &shelf{small: map[dlp.ID][]byte{}, large: map[dlp.ID][]byte{}, cases: map[dlp.ID]vault.Record{}}
}

func (s *shelf) put(it vault.Item) {
	s.rows = append(s.rows, vault.Row{ID: it.ID, Channel: it.Channel, State: vault.Held, Policy: it.Policy, Size: it.Size, Sealed: it.Sealed})
	s.small[it.ID], s.cases[it.ID] = it.Inline, it.Case
}

func (s *shelf) Holds(context.Context, vault.Filter) ([]vault.Row, error) { return s.rows, nil }

func (s *shelf) Find(context.Context, vault.Query, [][]vault.Term) ([]vault.Row, dlp.ID, error) {
	return s.rows, "", nil
}

func (s *shelf) Count(context.Context, vault.Query, [][]vault.Term) (int, bool, error) {
	return 0, true, nil
}

func (s *shelf) CountTerm(context.Context, vault.Term, time.Time, int) (int, error) { return 0, nil }

func (s *shelf) Unindexed(context.Context, int) ([]vault.Row, error) { return nil, nil }

func (s *shelf) Index(context.Context, []vault.Terms) error { return nil }

func (s *shelf) Hold(_ context.Context, id dlp.ID) (vault.Row, error) {
	for _, r := range s.rows {
		if r.ID == id {
			return r, nil
		}
	}
	return vault.Row{}, vault.ErrNotFound
}

func (s *shelf) HoldContent(_ context.Context, id dlp.ID) ([]byte, error) { return s.small[id], nil }

func (s *shelf) CaseRecord(_ context.Context, id dlp.ID) (vault.Record, error) {
	return s.cases[id], nil
}

func (s *shelf) AskOf(context.Context, dlp.ID) (vault.Ask, error) {
	return vault.Ask{}, vault.ErrNotFound
}

func (s *shelf) Wanted(context.Context, []dlp.ID) ([]dlp.ID, error) { return nil, nil }

func (s *shelf) Put(_ context.Context, id dlp.ID, inline int, write func(io.Writer) error) ([]byte, error) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return nil, err
	}
	if b.Len() <= inline {
		return b.Bytes(), nil
	}
	s.large[id] = b.Bytes()
	return nil, nil
}

func (s *shelf) Open(_ context.Context, id dlp.ID) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s.large[id])), nil
}

func (s *shelf) Remove(_ context.Context, id dlp.ID) error {
	delete(s.large, id)
	return nil
}

// clear seals nothing: what the vault verifies by itself shows through it.
type clear struct{}

var errBound = errors.New("bound elsewhere")

func (clear) Seal(dst io.Writer, kind string, id dlp.ID) (io.WriteCloser, dlp.ID, error) {
	_, err := io.WriteString(dst, kind+string(id))
	return struct {
		io.Writer
		io.Closer
	}{dst, io.NopCloser(nil)}, "", err
}

func (clear) Lock(io.Reader, dlp.ID) (vault.Lock, error) { return vault.Lock{}, nil }

func (clear) Open(src io.Reader, _ dlp.ID, kind string, id dlp.ID, _ []byte) (io.Reader, error) {
	want := kind + string(id)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(src, got); err != nil || string(got) != want {
		return nil, errBound
	}
	return src, nil
}

type fields struct{}

func (fields) Seal(ad string, b []byte) ([]byte, error) { return []byte(ad + "\x00" + string(b)), nil }

func (fields) Open(ad string, b []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(b, []byte(ad+"\x00"))
	if !ok {
		return nil, errBound
	}
	return rest, nil
}

func (fields) MAC(kind string, parts ...[]byte) [32]byte {
	return sha256.Sum256(bytes.Join(append([][]byte{[]byte(kind)}, parts...), []byte{0}))
}

func document(body string) *dlp.Document {
	return &dlp.Document{ID: dlp.NewID(), Channel: dlp.Mail, Open: func() (io.ReadSeekCloser, error) {
		return struct {
			*strings.Reader
			io.Closer
		}{strings.NewReader(body), io.NopCloser(nil)}, nil
	}}
}

func hold(t *testing.T, s *shelf, body string) (*vault.Vault, dlp.ID) {
	t.Helper()
	v := vault.New(s, s, fields{}, clear{})
	doc := document(body)
	it, err := v.Seal(t.Context(), doc, vault.Case{})
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	s.put(it)
	return v, doc.ID
}

func TestOpenVerifiesWhatIsKept(t *testing.T) {
	small, large := "a held letter", strings.Repeat("a held book ", vault.InlineMax/8)
	for _, c := range []struct {
		name, body string
		damage     func(s *shelf, id dlp.ID)
		want       error
	}{
		{"small, whole", small, func(*shelf, dlp.ID) {}, nil},
		{"large, whole", large, func(*shelf, dlp.ID) {}, nil},
		{"small, altered", small, func(s *shelf, id dlp.ID) { s.small[id][len(s.small[id])-1] ^= 1 }, vault.ErrTampered},
		{"large, altered", large, func(s *shelf, id dlp.ID) { s.large[id][9000] ^= 1 }, vault.ErrTampered},
		{"cut short", large, func(s *shelf, id dlp.ID) { s.large[id] = s.large[id][:9000] }, vault.ErrTampered},
		{"something after it", large, func(s *shelf, id dlp.ID) { s.large[id] = append(s.large[id], 'x') }, vault.ErrTampered},
		{"another's envelope", small, func(s *shelf, id dlp.ID) {
			s.rows[0].Sealed = bytes.ReplaceAll(s.rows[0].Sealed, []byte(id), []byte(dlp.NewID()))
		}, errBound},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShelf()
			v, id := hold(t, s, c.body)
			c.damage(s, id)
			got, err := read(t, v, id)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if c.want == nil && got != c.body {
				t.Errorf("got %d bytes, want %d", len(got), len(c.body))
			}
		})
	}
}

func read(t *testing.T, v *vault.Vault, id dlp.ID) (string, error) {
	t.Helper()
	r, err := v.Open(t.Context(), id, nil)
	if err != nil {
		return "", err
	}
	defer r.Close() // only read from
	b, err := io.ReadAll(iotest.HalfReader(r))
	return string(b), err
}

func TestADamagedEntryHidesNoOther(t *testing.T) {
	s := newShelf()
	_, first := hold(t, s, "one")
	v, second := hold(t, s, "two")
	s.rows[0].Sealed = []byte("rotten")
	got, err := v.List(t.Context(), vault.Filter{})
	if err != nil || len(got) != 2 {
		t.Fatalf("got %d entries, %v; want 2", len(got), err)
	}
	if got[0].ID != first || !got[0].Damaged || got[1].ID != second || got[1].Damaged {
		t.Errorf("got %+v, want the first damaged, the second not", got)
	}
	if _, err := v.Get(t.Context(), first); !errors.Is(err, errBound) {
		t.Errorf("Get: got %v, want the error itself", err)
	}
}

func TestSealFillsInDigestAndSize(t *testing.T) {
	s := newShelf()
	v, id := hold(t, s, "four")
	want := sha256.Sum256([]byte("four"))
	c, err := v.Case(t.Context(), id, nil)
	if err != nil || c.SHA256 != want || c.Size != 4 || c.Channel != dlp.Mail {
		t.Errorf("case: got %x, %d, %v, %v", c.SHA256, c.Size, c.Channel, err)
	}
	e, err := v.Get(t.Context(), id)
	if err != nil || e.SHA256 != want || e.Size != 4 {
		t.Errorf("entry: got %x, %d, %v", e.SHA256, e.Size, err)
	}
}

func TestACaseIsBounded(t *testing.T) {
	s := newShelf()
	v := vault.New(s, s, fields{}, clear{})
	var c vault.Case
	for i := range vault.MaxFindings + 10 {
		c.Findings = append(c.Findings, dlp.Finding{Rule: "us-phone", Start: int64(i)})
	}
	c.Findings = append(c.Findings, dlp.Finding{Rule: "us-ssn"}, dlp.Finding{Rule: "us-ssn", Start: 1})
	for i := range vault.MaxGaps + 10 {
		c.Gaps = append(c.Gaps, dlp.Gap{Path: fmt.Sprint(i), Cause: dlp.Image})
	}
	id := dlp.NewID()
	rec, err := v.SealCase(t.Context(), id, c)
	if err != nil {
		t.Fatalf("SealCase: %v", err)
	}
	s.cases[id] = rec
	got, err := v.Case(t.Context(), id, nil)
	if err != nil {
		t.Fatalf("Case: %v", err)
	}
	if n := len(got.Findings); n != vault.MaxFindings+1 || got.Findings[n-1].Rule != "us-ssn" {
		t.Errorf("findings: got %d, want %d, the last the first of its rule", n, vault.MaxFindings+1)
	}
	if len(got.Gaps) != vault.MaxGaps || got.GapsTotal != vault.MaxGaps+10 || got.FindingsTotal != vault.MaxFindings+12 {
		t.Errorf("got %d gaps, totals %d and %d", len(got.Gaps), got.FindingsTotal, got.GapsTotal)
	}
}

func TestTransitions(t *testing.T) {
	v := vault.New(newShelf(), newShelf(), fields{}, clear{})
	states := []vault.State{vault.Held, vault.Released, vault.Rejected, vault.Expired, "other"}
	may := map[vault.State]string{vault.Held: "released rejected expired", vault.Released: "expired", vault.Rejected: "expired"}
	for _, from := range states {
		for _, to := range states {
			_, err := v.Transition(dlp.NewID(), from, to, time.Now(), "officer", "")
			want := strings.Contains(may[from], string(to))
			if (err == nil) != want || (err != nil && !errors.Is(err, vault.ErrState)) {
				t.Errorf("%s to %s: got %v, want allowed %v", from, to, err, want)
			}
		}
	}
}
