package extract_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract"
)

// starts counts the children that a pool starts.
type starts struct {
	n   atomic.Int64
	all chan struct{} // one for each
}

func (*starts) ExtractSandbox(string, int) {}
func (*starts) ExtractKill(dlp.Cause)      {}
func (s *starts) ExtractStarted() {
	s.n.Add(1)
	s.all <- struct{}{}
}

// wait waits for the next start.
func (s *starts) wait(t *testing.T, what string) {
	t.Helper()
	select {
	case <-s.all:
	case <-time.After(time.Minute):
		t.Fatalf("%s was not started", what)
	}
}

// TestSuccessor: the child that takes another's place is started before that has
// read all it may, once, and takes it also where the other breaks; one that is not
// needed any more ends with the pool.
func TestSuccessor(t *testing.T) {
	const most = 8
	for name, last := range map[string][]byte{ // the document at which the first child ends; nil: there is none
		"read all it may": mail("Subject: x", "", "the last"),
		"breaks":          brokenMail("break-by-exit"),
		"closed":          nil,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := extract.Default()
			cfg.Workers, cfg.RecycleDocuments, cfg.OCR.Enabled = 1, most, extract.OCROff
			s := &starts{all: make(chan struct{}, 100)}
			p, err := extract.NewPool(cfg, extract.Deps{CacheDir: cacheDir(t), Metrics: s})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}()
			for range most - 1 {
				get(t, p, dlp.Mail, mail("Subject: x", "", "one of several"))
			}
			s.wait(t, "the first")
			s.wait(t, "its successor")
			if last != nil {
				get(t, p, dlp.Mail, last)
				if got := get(t, p, dlp.Mail, mail("Subject: x", "", "after it")); got.text("1") != "after it" {
					t.Errorf("the next document: got %q", got.all())
				}
			}
			if n := s.n.Load(); n != 2 {
				t.Errorf("%d children were started, want 2", n)
			}
		})
	}
}
