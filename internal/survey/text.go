package survey

import (
	"context"
	"io"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TextSink takes the parts of one document; Close ends it.
type TextSink interface {
	dlp.Sink
	io.Closer
}

// Extract reads everything that paths lead to, one document after the other,
// and hands each one's text to a sink of its own. It returns the documents
// that could not be read at all; its error is ctx's or a sink's.
func Extract(ctx context.Context, ex Extractor, stdin func() (func() (io.ReadSeekCloser, error), int64, error),
	paths []string, begin func(path string) TextSink) (broken []Document, err error) {
	ctx, cancel := context.WithCancel(ctx)
	items := make(chan item)
	go func() { // ends with items drained or ctx over, both of which this function sees to
		defer close(items)
		walk(ctx, paths, items)
	}()
	defer func() {
		cancel()
		for range items { // wait for the walk
		}
	}()
	s := &Survey{Extract: ex, Stdin: stdin}
	for it := range items {
		d, err := s.text(ctx, it, begin)
		if err != nil {
			return broken, err
		}
		if d != nil {
			broken = append(broken, *d)
		}
	}
	return broken, ctx.Err()
}

// text extracts one document. A Document comes back for what could not be read.
func (s *Survey) text(ctx context.Context, it item, begin func(string) TextSink) (*Document, error) {
	fail := func(err error) (*Document, error) {
		d := failed(it.path, err)
		return &d, ctx.Err()
	}
	if it.err != nil {
		return fail(it.err)
	}
	open, size, err := s.source(it.path)
	if err != nil {
		return fail(err)
	}
	sink := &guarded{TextSink: begin(it.path)}
	err = s.Extract.Extract(ctx, &dlp.Document{ID: dlp.NewID(), Channel: dlp.File, Name: it.path, Size: size, Open: open}, sink)
	if sink.err != nil {
		return nil, sink.err
	}
	if cerr := sink.Close(); cerr != nil {
		return nil, cerr
	}
	if err != nil {
		return fail(err)
	}
	return nil, nil
}

// guarded remembers the sink's own error, which ends everything, apart from
// the extractor's, which ends one document.
type guarded struct {
	TextSink
	err error
}

func (g *guarded) keep(err error) error {
	if err != nil {
		g.err = err
	}
	return err
}

func (g *guarded) Part(p dlp.PartInfo) error { return g.keep(g.TextSink.Part(p)) }
func (g *guarded) Text(w dlp.Window) error   { return g.keep(g.TextSink.Text(w)) }
func (g *guarded) Gap(x dlp.Gap) error       { return g.keep(g.TextSink.Gap(x)) }
