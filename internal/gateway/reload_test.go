package gateway_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// badgeScan scans a badge number for whatever part it is told of.
type badgeScan struct{ *scanner.Scan }

func (s badgeScan) Part(p dlp.PartInfo) error {
	return scanner.Feed(s.Scan, p, []byte("badge B-12345 lost"))
}

// oneSet decides about what its own rules found, and about nothing else.
type oneSet struct {
	t      *testing.T
	name   string
	judged chan<- string
}

func (s oneSet) Decide(doc *dlp.Document, found []dlp.Finding, _ []dlp.Gap) dlp.Verdict {
	if len(found) != 1 || string(found[0].Rule) != s.name {
		s.t.Errorf("the policy of %s has findings %v, want one of its own rules", s.name, found)
	}
	s.judged <- s.name
	v := dlp.Verdict{RuleSet: s.name, Policy: s.name}
	for _, r := range doc.Rcpts {
		v.Rcpts = append(v.Rcpts, dlp.RcptVerdict{Rcpt: r, Action: dlp.Allow})
	}
	return v
}

func (oneSet) Unread(*dlp.Document, string) dlp.Verdict { return dlp.Verdict{} }

// TestReloadWhileMessagesAreJudged: rules are loaded and put in force again and
// again while messages are scanned; each message is judged by one set alone, its
// rules and its policies, and every set comes into force.
func TestReloadWhileMessagesAreJudged(t *testing.T) { // long: one race, and what must hold after it
	b := newBench(t)
	judged := make(chan string)
	dir := t.TempDir()
	load := func(name string) (*gateway.Rules, error) {
		path := filepath.Join(dir, name+".toml")
		rule := fmt.Sprintf("schema = 1\n[[rules]]\nid = %q\ntype = \"CUSTOM\"\n[[rules.patterns]]\nconfidence = \"high\"\nregex = '''B-\\d{5}'''\n", name)
		if err := os.WriteFile(path, []byte(rule), 0o600); err != nil {
			return nil, err
		}
		set, err := patterns.Load(t.Context(), patterns.Source{Paths: []string{path}}, nil)
		if err != nil {
			return nil, err
		}
		s := scanner.New(set)
		return &gateway.Rules{Detect: func() gateway.Detection { return badgeScan{s.Begin(scanner.Options{})} }, Policy: oneSet{t, name, judged}}, nil
	}
	rules, err := load("set-0")
	if err != nil {
		t.Fatal(err)
	}
	b.SetRules(rules)
	stop := make(chan struct{})
	var sending, counting sync.WaitGroup
	for range 4 {
		sending.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := b.Message(t.Context(), mail(out), &hop{reply: dlp.Reply{Code: 250}}); got.Kind != dlp.Passed {
					t.Errorf("outcome %v, want it passed", got.Kind)
				}
			}
		})
	}
	messages := 0
	for n := range 12 {
		name := fmt.Sprintf("set-%d", n+1)
		loaded := make(chan error, 1)
		go func() { // mail is judged while rules are read
			var err error
			rules, err = load(name)
			loaded <- err
		}()
		for waiting := true; waiting; {
			select {
			case err := <-loaded:
				if err != nil {
					t.Fatal(err)
				}
				waiting = false
			case <-judged:
				messages++
			}
		}
		b.SetRules(rules)
		for <-judged != name { // what was begun before ends by the rules it began with
			messages++
		}
		messages++
	}
	close(stop)
	counting.Go(func() {
		for range judged {
			messages++
		}
	})
	sending.Wait()
	close(judged)
	counting.Wait()
	decided := 0
	for _, e := range b.audit.events {
		if e.Kind == audit.Decision {
			decided++
			if e.RuleSet != e.PolicyDigest {
				t.Errorf("on record by rules %s and policies %s, want those of one set", e.RuleSet, e.PolicyDigest)
			}
		}
	}
	if decided != messages || decided < 13 {
		t.Errorf("%d decisions on record of %d messages", decided, messages)
	}
}
