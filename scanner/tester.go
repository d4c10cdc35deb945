package scanner

import (
	"context"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
)

// Tester runs the tests inside rules. It satisfies patterns.Tester.
type Tester struct {
	csv func(ctx context.Context, text string, sink dlp.Sink) error

	mu   sync.Mutex
	last *Scanner // of the Set tested last, guarded by mu
}

// NewTester returns a Tester that has tables read by csv, which hands the
// parts of the CSV text to the sink as extraction would. With a nil csv such
// tests are answered by patterns.ErrUntested.
func NewTester(csv func(ctx context.Context, text string, sink dlp.Sink) error) *Tester {
	return &Tester{csv: csv}
}

// Test returns what set finds in text.
func (t *Tester) Test(ctx context.Context, set *patterns.Set, text, as string) ([]dlp.Finding, error) {
	scan := t.scanner(set).Begin(Options{testing: true})
	switch {
	case as == "csv" && t.csv != nil:
		if err := t.csv(ctx, text, scan); err != nil {
			return nil, fmt.Errorf("scanner: read a test as csv: %w", err)
		}
	case as != "":
		return nil, patterns.ErrUntested
	default:
		if err := Feed(scan, dlp.PartInfo{MediaType: "text/plain"}, []byte(text)); err != nil {
			return nil, err
		}
	}
	found, _ := scan.Finish()
	return found, nil
}

func (t *Tester) scanner(set *patterns.Set) *Scanner {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil || t.last.set != set {
		t.last = New(set)
	}
	return t.last
}

// Feed hands text to sink as one part in windows of at most dlp.MaxWindow
// bytes.
func Feed(sink dlp.Sink, p dlp.PartInfo, text []byte) error {
	if err := sink.Part(p); err != nil {
		return fmt.Errorf("scanner: open part: %w", err)
	}
	for at := 0; at < len(text); {
		end := min(at+dlp.MaxWindow, len(text))
		for end < len(text) && end > at+dlp.MaxWindow-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		if err := sink.Text(dlp.Window{Offset: int64(at), Text: text[at:end]}); err != nil {
			return fmt.Errorf("scanner: feed text: %w", err)
		}
		at = end
	}
	return nil
}
