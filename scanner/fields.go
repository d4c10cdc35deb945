package scanner

import (
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

const (
	maxFieldsBack = 64   // fields before a place that are looked at for one around it
	maxFieldsKept = 1024 // fields that are kept without looking which have ended
	maxLabels     = 4096 // field names that are remembered
	maxLabelBytes = 512  // of a field's name that are read
)

// fields is the spans of a part that may still matter, by Start.
type fields struct {
	spans  []dlp.Span
	labels map[string][]int32 // by name: the keywords in it, as nodes of the vocabulary
}

func (f *fields) reset() { f.spans = f.spans[:0] }

// add takes in the spans of the next window.
func (f *fields) add(spans []dlp.Span) {
	sorted := len(f.spans) == 0 || len(spans) == 0 || f.spans[len(f.spans)-1].Start <= spans[0].Start
	f.spans = append(f.spans, spans...)
	if !sorted || !slices.IsSortedFunc(spans, byStart) {
		slices.SortStableFunc(f.spans, byStart)
	}
}

func byStart(a, b dlp.Span) int { return int(a.Start - b.Start) }

// forget drops the spans that end at or before from.
func (f *fields) forget(from int64) {
	k := 0
	for k < len(f.spans) && f.spans[k].End <= from {
		k++
	}
	f.spans = f.spans[:copy(f.spans, f.spans[k:])]
	if len(f.spans) >= maxFieldsKept { // some that ended stand behind one that goes on
		f.spans = slices.DeleteFunc(f.spans, func(s dlp.Span) bool { return s.End <= from })
	}
}

// around returns the innermost span that holds [start, end); ok is false, and
// the span only that in which start lies, if any, where none holds all of it.
func (f *fields) around(start, end int64) (span dlp.Span, ok bool) {
	i, _ := slices.BinarySearchFunc(f.spans, start, func(s dlp.Span, at int64) int {
		if s.Start <= at {
			return -1
		}
		return 1
	})
	var partly dlp.Span
	for k := i - 1; k >= 0 && k >= i-maxFieldsBack; k-- {
		s := f.spans[k]
		if s.End >= end {
			return s, true
		}
		if s.End > start && partly.End == 0 {
			partly = s
		}
	}
	return dlp.Span{Group: partly.Group}, false
}

// names reports whether the field's name holds a keyword of list.
func (f *fields) names(v *vocabulary, label string, list int) bool {
	if label == "" {
		return false
	}
	nodes, ok := f.labels[label]
	if !ok {
		if f.labels == nil || len(f.labels) >= maxLabels {
			f.labels = map[string][]int32{}
		}
		nodes = keywordsOf(v, label)
		f.labels[strings.Clone(label)] = nodes
	}
	for _, node := range nodes {
		if v.has(node, list) {
			return true
		}
	}
	return false
}

// keywordsOf finds the keywords in a field's name, read as words also where
// only a capital parts them: "patientSSN", "dateOfBirth".
func keywordsOf(v *vocabulary, label string) []int32 {
	norm := asMatched(label[:min(len(label), maxLabelBytes)])
	var nodes []int32
	add := func(_, _ int, node int32) {
		if v.nodes[node]&nodeKeyword != 0 {
			nodes = append(nodes, node)
		}
	}
	v.find(norm, 0, len(norm), add)
	if apart := splitCamel(norm); len(apart) != len(norm) {
		v.find(apart, 0, len(apart), add)
	}
	return nodes
}

// splitCamel puts a space before a capital that follows a small letter or a
// digit, and before the last of several that a small letter follows.
func splitCamel(b []byte) []byte {
	upper := func(i int) bool { return i < len(b) && b[i] >= 'A' && b[i] <= 'Z' }
	lower := func(i int) bool { return i < len(b) && b[i] >= 'a' && b[i] <= 'z' }
	var out []byte
	for i, c := range b {
		if i > 0 && upper(i) && (lower(i-1) || isDigit(b[i-1]) || upper(i-1) && lower(i+1)) {
			out = append(out, ' ')
		}
		out = append(out, c)
	}
	return out
}

// isHeaderPart reports whether path is that of a mail's header: "HEADER",
// "2.HEADER", "3/HEADER", and a further reading "HEADER~2".
func isHeaderPart(path string) bool {
	path = path[strings.LastIndexByte(path, '/')+1:]
	path, _, _ = strings.Cut(path, "~")
	return path == "HEADER" || strings.HasSuffix(path, ".HEADER")
}

// quietField reports whether a mail's header field by that name holds
// addresses, traces, dates, references or signatures of the mail itself, in
// which an address or a date says nothing of a patient (docs/contract.md, Tags).
func quietField(name string) bool {
	name = strings.ToLower(strings.TrimRight(name, ": \t"))
	name = strings.TrimPrefix(name, "resent-")
	switch name {
	case "from", "sender", "reply-to", "to", "cc", "bcc", "return-path", "delivered-to", "envelope-to", "envelope-from",
		"x-original-to", "apparently-to", "errors-to", "disposition-notification-to", "return-receipt-to", "mail-followup-to",
		"received", "x-received", "received-spf", "authentication-results", "x-originating-ip", "x-sender", "x-envelope-from",
		"date", "delivery-date", "message-id", "in-reply-to", "references", "content-id",
		"dkim-signature", "domainkey-signature", "x-google-dkim-signature":
		return true
	}
	return strings.HasPrefix(name, "arc-") || strings.HasPrefix(name, "list-")
}
