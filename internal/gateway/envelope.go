package gateway

import (
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// envelopePart is the path under which findings in the envelope are reported.
const envelopePart = "ENVELOPE"

// readEnvelope hands sink what a client may write into the envelope at will:
// ENVID, and each ORCPT that says other than the recipient. Both leave with the
// message, and stand in reports to its sender. Addresses are taken apart, so
// that they are not found for being addresses.
func readEnvelope(doc *dlp.Document, sink dlp.Sink) error {
	var text []byte
	var at int64
	begun := false
	flush := func() error {
		if len(text) == 0 {
			return nil
		}
		if !begun {
			begun = true
			if err := sink.Part(dlp.PartInfo{Path: envelopePart, MediaType: "text/plain"}); err != nil {
				return err
			}
		}
		err := sink.Text(dlp.Window{Offset: at, Text: text})
		at += int64(len(text))
		text = text[:0]
		return err
	}
	add := func(s string) error {
		if s == "" {
			return nil
		}
		if s = strings.ToValidUTF8(s, "?") + "\n"; len(text)+len(s) > dlp.MaxWindow {
			if err := flush(); err != nil {
				return err
			}
		}
		text = append(text, s...)
		return nil
	}
	if err := add(doc.Params.EnvID); err != nil {
		return err
	}
	for i, p := range doc.RcptParams {
		if _, addr, _ := strings.Cut(p.ORcpt, ";"); !strings.EqualFold(addr, doc.Rcpts[i].String()) {
			if err := add(strings.ReplaceAll(addr, "@", " ")); err != nil {
				return err
			}
		}
	}
	return flush()
}
