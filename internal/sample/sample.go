// Package sample keeps some of the mail that passed, sealed, for a while: so that
// edited rules can be tried on what nobody held.
//
// It promises that no mail waits for it, and none is lost or changed by it: what is
// offered while it has no time or no room is not kept. Nothing of it is on the disk
// in the clear, and what is older than its time is erased.
package sample

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/vault"
)

const (
	waiting    = 8           // messages in memory that are still to be sealed
	every      = time.Minute // how often what is too old is looked for
	ahead      = time.Hour   // what is dated later than now and this came while the clock was wrong
	maxHead    = 1 << 20     // bytes of an envelope
	maxKept    = 20_000      // messages: a folder of more takes long to list
	fileSuffix = ".age"
)

// What becomes of a message that was chosen.
const (
	Kept   = "kept"
	Large  = "large"  // larger than a message may be
	Busy   = "busy"   // others were still to be sealed
	Failed = "failed" // it could not be read, sealed or written
)

// Outcomes are all of these.
func Outcomes() []string { return []string{Kept, Large, Busy, Failed} }

// Deps are its neighbours.
type Deps struct {
	Dir   string // made when something is first kept
	Seal  vault.Sealer
	Now   func() time.Time
	Log   *slog.Logger
	Count func(outcome string) // nil: nothing is counted
	Most  int                  // messages that are kept; 0: 20,000
}

// Sample is safe for use by many goroutines. A nil one keeps nothing.
type Sample struct {
	cfg  Config
	d    Deps
	free chan struct{} // a place for each message that waits
	come chan offered
	fail sync.Once // the first failure is told of; others are counted

	// What is kept, as the last sweep left it and what came since; Run's.
	kept  int
	bytes int64
}

// offered is a message in memory.
type offered struct {
	envelope envelope
	id       dlp.ID
	at       time.Time
	content  []byte
}

// envelope is the first line of what is sealed. PHI.
type envelope struct {
	V      int                `json:"v"`
	Sender dlp.AddressBytes   `json:"sender"`
	Rcpts  []dlp.AddressBytes `json:"rcpts"`
}

// Open returns the sample of cfg, nil where it keeps none.
func Open(cfg Config, d Deps) *Sample {
	if cfg.OneIn == 0 {
		return nil
	}
	if d.Most == 0 {
		d.Most = maxKept
	}
	if d.Count == nil {
		d.Count = func(string) {}
	}
	s := &Sample{cfg: cfg, d: d, free: make(chan struct{}, waiting), come: make(chan offered, waiting)}
	for range waiting {
		s.free <- struct{}{}
	}
	return s
}

// Offer takes a copy of doc, which has passed, where chance and room will have it. It
// waits for nothing but the reading of doc, and nothing comes of its failure.
func (s *Sample) Offer(doc *dlp.Document) {
	if s == nil || s.cfg.OneIn > 1 && rand.IntN(s.cfg.OneIn) != 0 {
		return
	}
	if doc.Size > int64(s.cfg.MaxMessage) {
		s.d.Count(Large)
		return
	}
	select {
	case <-s.free:
	default:
		s.d.Count(Busy)
		return
	}
	o, err := take(doc)
	if err != nil {
		s.free <- struct{}{}
		s.d.Count(Failed)
		return
	}
	s.come <- o // there is a place for each that has one of free
}

// take reads doc. Its caller has answered for it, so that it must not panic.
func take(doc *dlp.Document) (o offered, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("sample: reading broke")
		}
	}()
	r, err := doc.Open()
	if err != nil {
		return o, err
	}
	defer r.Close() // only read from
	content := make([]byte, doc.Size)
	if _, err := io.ReadFull(r, content); err != nil {
		return o, err
	}
	o = offered{envelope: envelope{V: 1, Sender: doc.Sender.Bytes()}, id: doc.ID, at: doc.Received, content: content}
	for _, a := range doc.Rcpts {
		o.envelope.Rcpts = append(o.envelope.Rcpts, a.Bytes())
	}
	return o, nil
}

// Run seals what was offered, and erases what is too old, until ctx ends. What waits
// then is not kept.
func (s *Sample) Run(ctx context.Context) error {
	if s == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	s.sweep(ctx, 0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.sweep(ctx, 0)
		case o := <-s.come:
			if err := s.keep(ctx, &o); err != nil {
				s.d.Count(Failed)
				s.fail.Do(func() {
					s.d.Log.LogAttrs(ctx, slog.LevelWarn, "a message that passed was not kept for the sample; further ones are counted alone", safelog.Err(err))
				})
			} else {
				s.d.Count(Kept)
			}
			clear(o.content)
			s.free <- struct{}{}
		}
	}
}

// keep seals o, once there is room for it.
func (s *Sample) keep(ctx context.Context, o *offered) error {
	head, err := json.Marshal(o.envelope)
	if err != nil || len(head) > maxHead {
		return errors.New("sample: envelope")
	}
	var sealed bytes.Buffer
	w, period, err := s.d.Seal.Seal(&sealed, vault.KindContent, o.id)
	if err != nil {
		return err
	}
	for _, b := range [][]byte{head, {'\n'}, o.content} {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if int64(sealed.Len()) > int64(s.cfg.MaxBytes) {
		return errors.New("sample: no room for it")
	}
	size := int64(sealed.Len())
	if s.kept >= s.d.Most || s.bytes+size > int64(s.cfg.MaxBytes) {
		s.sweep(ctx, size)
	}
	if err := safefile.MkdirAll(s.d.Dir); err != nil {
		return err
	}
	if err := safefile.WriteFile(filepath.Join(s.d.Dir, name(o.at, o.id, period)), sealed.Bytes(), 0o600); err != nil {
		return err
	}
	s.kept, s.bytes = s.kept+1, s.bytes+size
	return nil
}

// name sorts by when the message came.
func name(at time.Time, id, period dlp.ID) string {
	return fmt.Sprintf("%013d-%s-%s%s", at.UnixMilli(), id, period, fileSuffix)
}

// Entry is one message that is kept.
type Entry struct {
	ID       dlp.ID    `json:"id"`
	Received time.Time `json:"received"`
	period   dlp.ID
	name     string
	size     int64
}

// all lists what is kept, the oldest first. What is not ours, or a write that broke
// off, has no entry.
func (s *Sample) all() ([]Entry, error) {
	files, err := os.ReadDir(s.d.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, safefile.Classify("list sample", err)
	}
	var out []Entry
	for _, f := range files {
		p := strings.Split(strings.TrimSuffix(f.Name(), fileSuffix), "-")
		if len(p) != 3 || !strings.HasSuffix(f.Name(), fileSuffix) {
			continue
		}
		ms, err := strconv.ParseInt(p[0], 10, 64)
		id, err2 := dlp.ParseID(p[1])
		period, err3 := dlp.ParseID(p[2])
		info, err4 := f.Info()
		if errors.Join(err, err2, err3, err4) == nil {
			out = append(out, Entry{ID: id, Received: time.UnixMilli(ms).UTC(), period: period, name: f.Name(), size: info.Size()})
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// over reports whether e's time is over.
func (s *Sample) over(e *Entry) bool {
	age := s.d.Now().Sub(e.Received)
	return age > s.cfg.Keep.D() || age < -ahead
}

// keyless reports whether the key of period is destroyed, so that nobody opens what is
// sealed to it any more. known are the answers so far.
func (s *Sample) keyless(known map[dlp.ID]bool, period dlp.ID) bool {
	gone, ok := known[period]
	if !ok {
		_, err := s.d.Seal.Lock(strings.NewReader(""), period) // which has no header, where the period has a key
		gone = errors.Is(err, vault.ErrNoContent)
		known[period] = gone
	}
	return gone
}

// sweep erases what is too old, or sealed to a key that is destroyed, and of the rest the oldest until there is room for
// one message of more bytes, 0 for none.
func (s *Sample) sweep(ctx context.Context, more int64) {
	all, err := s.all()
	s.kept, s.bytes = len(all), 0
	for i := range all {
		s.bytes += all[i].size
	}
	lost := map[dlp.ID]bool{}
	most := s.d.Most
	if more > 0 {
		most--
	}
	for i := range all {
		if !s.over(&all[i]) && !s.keyless(lost, all[i].period) && s.bytes+more <= int64(s.cfg.MaxBytes) && s.kept <= most {
			continue
		}
		err = errors.Join(err, safefile.Remove(filepath.Join(s.d.Dir, all[i].name)))
		s.kept, s.bytes = s.kept-1, s.bytes-all[i].size
	}
	if err == nil {
		err = safefile.RemoveTemps(s.d.Dir) // only what has the data folder's lock may
	}
	if err != nil {
		s.d.Log.LogAttrs(ctx, slog.LevelError, "what is too old in the sample of passed mail was not erased; it is tried again", safelog.Err(err))
	}
}

// Erase removes all that was kept in dir: no sample is wanted any more.
func Erase(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return safefile.Classify("erase sample", err)
	}
	return nil
}

// List returns what is kept and came since then, the newest first.
func (s *Sample) List(since time.Time) ([]Entry, error) {
	if s == nil {
		return nil, nil
	}
	all, err := s.all()
	all = slices.DeleteFunc(all, func(e Entry) bool { return e.Received.Before(since) || s.over(&e) })
	slices.Reverse(all)
	return all, err
}

// find returns the entry of id, or vault.ErrNotFound.
func (s *Sample) find(id dlp.ID) (Entry, error) {
	all, err := s.List(time.Time{})
	for _, e := range all {
		if e.ID == id {
			return e, nil
		}
	}
	return Entry{}, errors.Join(err, vault.ErrNotFound)
}

// sealed opens e as it is kept.
func (s *Sample) sealed(e *Entry) (io.ReadCloser, error) {
	f, err := os.Open(filepath.Join(s.d.Dir, e.name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, vault.ErrNoContent
	}
	if err != nil {
		return nil, safefile.Classify("open sample", err)
	}
	return f, nil
}

// Lock returns what a reviewer needs to open what is kept of id. vault.ErrNotFound,
// vault.ErrNoContent.
func (s *Sample) Lock(id dlp.ID) (vault.Lock, error) {
	e, err := s.find(id)
	if err != nil {
		return vault.Lock{}, err
	}
	f, err := s.sealed(&e)
	if err != nil {
		return vault.Lock{}, err
	}
	defer f.Close() // only read from
	return s.d.Seal.Lock(f, e.period)
}

// Document opens e, in memory: key is its own, nil for the server's.
// vault.ErrLocked, vault.ErrNoContent.
func (s *Sample) Document(e *Entry, key []byte) (*dlp.Document, error) {
	f, err := s.sealed(e)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read from
	r, err := s.d.Seal.Open(f, e.period, vault.KindContent, e.ID, key)
	if err != nil {
		return nil, err
	}
	b := bufio.NewReader(io.LimitReader(r, maxHead+1+maxMessage))
	head, err := b.ReadBytes('\n')
	if err != nil {
		return nil, vault.ErrTampered
	}
	var env envelope
	if err := json.Unmarshal(head, &env); err != nil || env.V != 1 {
		return nil, vault.ErrTampered
	}
	content, err := io.ReadAll(b)
	if err != nil {
		return nil, err
	}
	doc := &dlp.Document{ID: e.ID, Channel: dlp.Mail, Sender: env.Sender.Address(), Received: e.Received, Size: int64(len(content)),
		Open: dlp.OpenBytes(content)}
	for _, p := range env.Rcpts {
		doc.Rcpts = append(doc.Rcpts, p.Address())
	}
	return doc, nil
}
