package main

import (
	"context"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// ValueDigest reads doc by the rules in force and names what is found at at.
func (b rulebook) ValueDigest(ctx context.Context, doc *dlp.Document, at console.Found) (string, error) {
	j := b.s.inForce()
	if j == nil {
		return "", errNotRead
	}
	m := newMasking(j.scanner)
	if err := b.s.extract.Extract(ctx, doc, m); err != nil {
		return "", errNotRead // its text may quote what was read
	}
	m.Finish()
	value, found := m.values[survived{at.Rule, at.Part, at.Start, at.End}]
	if !found {
		return "", console.ErrNoFinding
	}
	return j.set.ValueDigest(scanner.Canonical(j.set.Rule(at.Rule).Type, value)), nil
}

// SenderDigest names a reverse-path.
func (b rulebook) SenderDigest(address string) string {
	if j := b.s.inForce(); j != nil {
		return j.set.ValueDigest(patterns.SenderValue(address))
	}
	return ""
}

// Finds looks for anything in text; while nothing can be read there may be.
func (b rulebook) Finds(text string) bool {
	j := b.s.inForce()
	return j == nil || knows(j.scanner, text)
}
