package patterns

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strconv"
	"unicode/utf8"
)

func itoa(i int) string { return strconv.Itoa(i) }

// ParseRegex parses an expression of the rule language, which is RE2 with
// Perl's classes, less what a bounded look at a text cannot do: unbounded
// repeats and the anchors of line and text. It returns the fewest and the most
// bytes a match can have, at least 1 and at most MaxMatch. The error says what
// was expected.
func ParseRegex(expr string) (re *syntax.Regexp, span Span, err error) {
	if expr == "" {
		return nil, Span{}, errors.New("an RE2 expression that is not empty")
	}
	re, err = syntax.Parse(expr, syntax.Perl)
	if err != nil {
		var se *syntax.Error
		if errors.As(err, &se) {
			return nil, Span{}, fmt.Errorf("an RE2 expression: %s: %q", se.Code, se.Expr)
		}
		return nil, Span{}, errors.New("an RE2 expression")
	}
	span, err = measure(re)
	if err != nil {
		return nil, Span{}, err
	}
	if span.Min < 1 {
		return nil, Span{}, errors.New("an expression that cannot match nothing")
	}
	if span.Max > MaxMatch {
		return nil, Span{}, fmt.Errorf("an expression whose matches are no longer than %d bytes, not %d", MaxMatch, span.Max)
	}
	if n := valueGroups(re); n > 1 {
		return nil, Span{}, errors.New("at most one group named value")
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil || len(prog.Inst) > MaxProgram {
		return nil, Span{}, fmt.Errorf("an expression of at most %d instructions: fewer or smaller repeats", MaxProgram)
	}
	return re, span, nil
}

// programSize returns the instructions of the program of expr, which ParseRegex
// has passed.
func programSize(expr string) int {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return 0
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	return len(prog.Inst)
}

// Span is how many bytes something can have.
type Span struct{ Min, Max int }

// measure returns the length in bytes that matches of re can have.
func measure(re *syntax.Regexp) (Span, error) {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText:
		return Span{}, errors.New(`an expression without ^, $, \A and \z: boundary says what may stand beside a match`)
	case syntax.OpStar, syntax.OpPlus:
		return Span{}, fmt.Errorf("a bounded repeat such as {1,20} instead of %q", re.String())
	case syntax.OpNoMatch:
		return Span{}, errors.New("an expression that can match something")
	case syntax.OpLiteral:
		return literalSpan(re), nil
	case syntax.OpCharClass:
		if len(re.Rune) == 0 {
			return Span{}, errors.New("an expression that can match something")
		}
		return classSpan(re.Rune), nil
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return Span{1, utf8.UTFMax}, nil
	case syntax.OpCapture:
		return measure(re.Sub[0])
	case syntax.OpQuest:
		s, err := measure(re.Sub[0])
		return Span{0, s.Max}, err
	case syntax.OpRepeat:
		if re.Max < 0 {
			return Span{}, fmt.Errorf("a bounded repeat instead of %q", re.String())
		}
		s, err := measure(re.Sub[0])
		return Span{s.Min * re.Min, s.Max * re.Max}, err
	case syntax.OpConcat, syntax.OpAlternate:
		return measureAll(re)
	}
	return Span{}, nil // empty match, word boundary
}

func measureAll(re *syntax.Regexp) (Span, error) {
	var all Span
	for i, sub := range re.Sub {
		s, err := measure(sub)
		if err != nil {
			return Span{}, err
		}
		switch {
		case re.Op == syntax.OpConcat:
			all.Min += s.Min
			all.Max += s.Max
		case i == 0:
			all = s
		default:
			all.Min = min(all.Min, s.Min)
			all.Max = max(all.Max, s.Max)
		}
	}
	return all, nil
}

func literalSpan(re *syntax.Regexp) Span {
	var s Span
	for _, r := range re.Rune {
		n := utf8.RuneLen(r)
		s.Min += n
		s.Max += n
	}
	return s
}

// classSpan measures a class given as pairs of runes. The two letters beyond
// ASCII that fold to ASCII ones never stand in normalised text (see
// scanner), so that (?i)s does not count as three bytes.
func classSpan(pairs []rune) Span {
	s := Span{utf8.UTFMax, 0}
	for i := 0; i+1 < len(pairs); i += 2 {
		if lo := pairs[i]; lo == pairs[i+1] && (lo == '\u017f' || lo == '\u212a') {
			continue
		}
		s.Min = min(s.Min, utf8.RuneLen(pairs[i]))
		s.Max = max(s.Max, utf8.RuneLen(min(pairs[i+1], utf8.MaxRune)))
	}
	return s
}

// valueGroups counts the groups named value.
func valueGroups(re *syntax.Regexp) int {
	n := 0
	if re.Op == syntax.OpCapture && re.Name == ValueGroup {
		n++
	}
	for _, sub := range re.Sub {
		n += valueGroups(sub)
	}
	return n
}

// ValueGroup is the name of the group that holds the value where an expression
// also matches what stands around it.
const ValueGroup = "value"
