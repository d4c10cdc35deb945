package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Errors of a reviewer's note to the sender, after which nothing was decided.
var (
	ErrNote       = errors.New("the note says what points at a patient: it goes out in the clear, so say it without")
	ErrNoteUnread = errors.New("the note is read by the rules before it goes out, and none are loaded: start `stanch serve`, or leave it out")
)

// notePart is the path of what a reviewer writes.
const notePart = "NOTE"

// noteGoes reports whether a note may go out: the rules find nothing in it that points
// at a patient, nor a secret. It is read as all that leaves is.
func (g *Gateway) noteGoes(ctx context.Context, note string) (err error) {
	rules := g.rules.Load()
	switch {
	case note == "" || rules != nil && !g.cfg.ScanEnabled:
		return nil
	case rules == nil:
		return ErrNoteUnread
	}
	defer func() {
		if p := recover(); p != nil { // its value may quote the note
			g.Log.LogAttrs(ctx, slog.LevelError, "reading a note broke", slog.String("stack", string(debug.Stack())))
			err = ErrNoteUnread
		}
	}()
	d := rules.Detect()
	if err := d.Part(dlp.PartInfo{Path: notePart, MediaType: "text/plain"}); err != nil {
		return fmt.Errorf("gateway: read a note: %w", err)
	}
	text := []byte(strings.ToValidUTF8(note, "?"))
	for at := 0; at < len(text); at += dlp.MaxWindow {
		if err := d.Text(dlp.Window{Offset: int64(at), Text: text[at:min(len(text), at+dlp.MaxWindow)]}); err != nil {
			return fmt.Errorf("gateway: read a note: %w", err)
		}
	}
	found, gaps := d.Finish()
	if len(gaps) > 0 || slices.ContainsFunc(found, func(f dlp.Finding) bool {
		return f.Confidence >= dlp.Medium && (f.HasTag(dlp.TagIdentifier) || f.HasTag(dlp.TagSecret))
	}) {
		return ErrNote
	}
	return nil
}
