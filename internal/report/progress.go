package report

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/survey"
)

// barEvery is how often the bar is drawn anew.
const barEvery = 100 * time.Millisecond

// barWidth is its width in characters.
const barWidth = 24

// Bar draws on a terminal how far p has come, until stop is called; stop
// removes it and waits. What is printed to the terminal meanwhile goes through
// Between.
func Bar(w io.Writer, p *survey.Progress) *ProgressBar {
	b := &ProgressBar{w: w, p: p, start: time.Now(), quit: make(chan struct{})}
	b.done.Go(func() {
		t := time.NewTicker(barEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				b.Between(func() {})
			case <-b.quit:
				return
			}
		}
	})
	return b
}

// ProgressBar is one bar on one terminal line.
type ProgressBar struct {
	w     io.Writer
	p     *survey.Progress
	start time.Time
	quit  chan struct{}
	done  sync.WaitGroup

	mu    sync.Mutex
	drawn bool // guarded by mu
}

// clearLine returns to the line's start and erases it (ECMA-48 8.3.41, EL).
const clearLine = "\r\x1b[K"

// Between runs print with the bar out of the way.
func (b *ProgressBar) Between(print func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drawn {
		fmt.Fprint(b.w, clearLine)
	}
	print()
	fmt.Fprint(b.w, clearLine, b.line())
	b.drawn = true
}

// Stop ends the bar and leaves its line empty.
func (b *ProgressBar) Stop() {
	close(b.quit)
	b.done.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drawn {
		fmt.Fprint(b.w, clearLine)
	}
	b.drawn = false
}

func (b *ProgressBar) line() string {
	files, done, bytes := b.p.Files.Load(), b.p.Done.Load(), b.p.Bytes.Load()
	share := 0
	if files > 0 {
		share = int(done * barWidth / files)
	}
	more := ""
	if !b.p.AllFound.Load() {
		more = "+"
	}
	rate := float64(bytes) / 1e6 / max(time.Since(b.start).Seconds(), 0.001)
	return fmt.Sprintf("[%s%s] %d of %d%s files  %.1f MB  %.1f MB/s",
		strings.Repeat("=", share), strings.Repeat(" ", barWidth-share), done, files, more, float64(bytes)/1e6, rate)
}
