package gateway

import (
	"context"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// turns bounds how many documents are read at once. Under load messages wait
// here, where no scan time-out runs: it is for documents that are slow to read,
// not for a gateway that is busy. Files leave one place to the mail, for whose
// reading a client waits.
type turns struct {
	all   chan struct{}
	files chan struct{}
}

func newTurns(n int) turns {
	n = max(1, n)
	return turns{all: make(chan struct{}, n), files: make(chan struct{}, max(1, n-1))}
}

// take waits for a turn; done gives it back. Its error is ctx's.
func (t *turns) take(ctx context.Context, channel dlp.Channel) (done func(), err error) {
	places := []chan struct{}{t.all}
	if channel == dlp.File {
		places = []chan struct{}{t.files, t.all}
	}
	done = func() {}
	for _, p := range places {
		select {
		case p <- struct{}{}:
		case <-ctx.Done():
			done()
			return nil, ctx.Err()
		}
		before := done
		done = func() { <-p; before() }
	}
	return done, nil
}
