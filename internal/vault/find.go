package vault

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// FieldKind is what a Field tells of an item.
type FieldKind string

// The kinds of fields that items are found by. What a reviewer's list may not
// name, an address say, is found by no part of it.
const (
	ByFrom       FieldKind = "from"       // the domain of a mail's sender, in small letters
	ByTo         FieldKind = "to"         // a domain that it is held for, in small letters
	BySender     FieldKind = "sender"     // the whole reverse-path
	ByRule       FieldKind = "rule"       // a rule's id
	ByCause      FieldKind = "cause"      // the cause of a gap
	ByChannel    FieldKind = "channel"    // dlp's word
	ByConfidence FieldKind = "confidence" // dlp's word; "none" where no rule counted
	ByWord       FieldKind = "word"       // one of Words of a domain, a rule, the policy, the channel or the confidence
)

// Field is one thing that is known of an item.
type Field struct {
	Kind  FieldKind
	Value string
}

// Term is a keyed digest of a Field, cut to 47 bits: who has the database and not
// the key learns which items share something, not what. Two fields with one Term
// are as likely as that; whoever finds by Terms looks again at what was found.
type Term int64

// MaxTerms bounds the terms of one item. What it has beyond finds it not.
const MaxTerms = 4000

// Query asks for items, the newest first.
type Query struct {
	State State     // "": all
	All   [][]Field // of each an item has at least one
	IDs   []dlp.ID  // nil: all
	Calls bool      // those that officers are called about
	Asked bool      // those whose sender asks for their release
	Noted bool      // held ones that a first decision of two was made on
	Since time.Time // came at or after it; zero: whenever
	Until time.Time // came at or before it; zero: whenever
	After dlp.ID    // came into the vault before this one; "" for the first page
	Limit int       // at most MaxList; 0 means MaxList
}

// Terms are the terms of one item, for one that is kept without.
type Terms struct {
	ID    dlp.ID
	Terms []Term
}

// Words are what a word of a search may be to find s, a domain or an id: the
// whole of it, in small letters, what stands behind each of its dots, and each of
// its runs of letters and digits.
func Words(s string) []string {
	s = strings.ToLower(s)
	if s == "" {
		return nil
	}
	out := []string{s}
	for rest := s; ; {
		_, after, ok := strings.Cut(rest, ".")
		if !ok || after == "" {
			break
		}
		out, rest = append(out, after), after
	}
	out = append(out, strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })...)
	slices.Sort(out)
	return slices.Compact(out)
}

// fieldsOf are the fields that e is found by.
func fieldsOf(e *Entry) []Field {
	out := []Field{{ByChannel, e.Channel.String()}}
	words := []string{e.Policy, e.Channel.String(), e.Confidence}
	for _, r := range e.Rules {
		out = append(out, Field{ByRule, string(r)})
		words = append(words, string(r))
	}
	for _, c := range e.Causes {
		out = append(out, Field{ByCause, c.String()})
	}
	if len(e.Rules) == 0 {
		out = append(out, Field{ByConfidence, "none"})
	}
	if e.Confidence != "" {
		out = append(out, Field{ByConfidence, e.Confidence})
	}
	if e.Channel == dlp.Mail && !e.Envelope.Sender.IsNull() {
		from := strings.ToLower(e.Envelope.Sender.Domain)
		out = append(out, Field{BySender, e.Envelope.Sender.String()}, Field{ByFrom, from})
		words = append(words, from)
	}
	seen := map[string]bool{}
	for _, r := range e.Envelope.Rcpts {
		if to := strings.ToLower(r.Domain); !seen[to] {
			seen[to] = true
			out = append(out, Field{ByTo, to})
			words = append(words, to)
		}
	}
	for _, s := range words {
		for _, w := range Words(s) {
			out = append(out, Field{ByWord, w})
		}
	}
	return out
}

func (v *Vault) term(f Field) Term {
	sum := v.keys.MAC("vault term", []byte(f.Kind), []byte(f.Value))
	return Term(binary.BigEndian.Uint64(sum[:8]) >> 17)
}

// termsOf are the terms of e, each once.
func (v *Vault) termsOf(e *Entry) []Term {
	out := []Term{}
	for _, f := range fieldsOf(e) {
		out = append(out, v.term(f))
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), MaxTerms)]
}

// Find returns items that q asks for, the newest first, and where to look on: the
// item to name in After, "" where all was looked through. What comes back may have
// more in it than was asked for, where items are kept without terms, and less than
// there is beside a next item, where looking on takes long: whoever asks looks
// again at each, and on from next. An entry that does not open comes back Damaged.
func (v *Vault) Find(ctx context.Context, q Query) (es []Entry, next dlp.ID, err error) {
	rows, next, err := v.store.Find(ctx, q, v.termsIn(q))
	if err != nil {
		return nil, "", fmt.Errorf("vault: find: %w", err)
	}
	return v.entries(rows), next, nil
}

// termsIn are the terms that q.All stands for.
func (v *Vault) termsIn(q Query) [][]Term {
	terms := make([][]Term, len(q.All))
	for i, any := range q.All {
		for _, f := range any {
			terms[i] = append(terms[i], v.term(f))
		}
	}
	return terms
}

// Count counts the items that q asks for, up to q.Limit. whole is false where there
// are more, or where counting on takes long. Those that Find may find beside them
// count too.
func (v *Vault) Count(ctx context.Context, q Query) (n int, whole bool, err error) {
	n, whole, err = v.store.Count(ctx, q, v.termsIn(q))
	if err != nil {
		return 0, false, fmt.Errorf("vault: count: %w", err)
	}
	return n, whole, nil
}

// CountFrom counts the items that came at or after since and have f, up to most.
func (v *Vault) CountFrom(ctx context.Context, f Field, since time.Time, most int) (int, error) {
	n, err := v.store.CountTerm(ctx, v.term(f), since, most)
	if err != nil {
		return 0, fmt.Errorf("vault: count: %w", err)
	}
	return n, nil
}

// IndexSome gives terms to items that an earlier version kept without, the newest
// first, and returns how many. 0: all have some.
func (v *Vault) IndexSome(ctx context.Context, most int) (int, error) {
	rows, err := v.store.Unindexed(ctx, most)
	if err != nil {
		return 0, fmt.Errorf("vault: index: %w", err)
	}
	es := v.entries(rows)
	all := make([]Terms, len(es))
	for i := range es {
		all[i] = Terms{es[i].ID, v.termsOf(&es[i])}
	}
	if err := v.store.Index(ctx, all); err != nil {
		return 0, fmt.Errorf("vault: index: %w", err)
	}
	return len(all), nil
}
