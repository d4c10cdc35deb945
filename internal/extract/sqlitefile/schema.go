package sqlitefile

import (
	"slices"
	"strings"
)

// schema is what a CREATE TABLE statement says of the rows.
type schema struct {
	columns      []string
	key          int   // the one column of the primary key, -1 for none or several
	primary      []int // its columns
	withoutRowID bool
}

// stored returns the columns in the order in which a row keeps them: the primary
// key first where rows have no number. Source: 2.4, "representation of tables".
func (s *schema) stored() []string {
	if !s.withoutRowID {
		return s.columns
	}
	out := make([]string, 0, len(s.columns))
	for i, k := range s.primary {
		if !slices.Contains(s.primary[:i], k) {
			out = append(out, s.columns[k])
		}
	}
	for i, c := range s.columns {
		if !slices.Contains(s.primary, i) {
			out = append(out, c)
		}
	}
	return out
}

// token is a word or a sign of SQL.
type token struct {
	s      string
	quoted bool // a name or a string in quotes
}

func (t token) is(word string) bool { return !t.quoted && strings.EqualFold(t.s, word) }

// tokens takes a statement apart. sqlite.org/lang_keywords.html, lang_comment.html.
func tokens(sql string) (out []token) {
	for len(sql) > 0 {
		c := sql[0]
		switch {
		case c <= ' ':
			sql = sql[1:]
		case strings.HasPrefix(sql, "--"):
			_, sql, _ = strings.Cut(sql, "\n")
		case strings.HasPrefix(sql, "/*"):
			_, sql, _ = strings.Cut(sql[2:], "*/")
		case c == '"' || c == '\'' || c == '`' || c == '[':
			end := c
			if c == '[' {
				end = ']'
			}
			var name []byte
			i := 1
			for ; i < len(sql); i++ {
				if sql[i] == end {
					if c == '[' || i+1 >= len(sql) || sql[i+1] != end {
						break
					}
					i++
				}
				name = append(name, sql[i])
			}
			out = append(out, token{string(name), true})
			sql = sql[min(i+1, len(sql)):]
		case strings.IndexByte("(),;", c) >= 0:
			out = append(out, token{sql[:1], false})
			sql = sql[1:]
		default:
			i := strings.IndexAny(sql, " \t\r\n\f(),;\"'`[")
			if i <= 0 {
				i = len(sql)
			}
			out = append(out, token{sql[:i], false})
			sql = sql[i:]
		}
	}
	return out
}

// parse reads a CREATE TABLE statement.
func parse(sql string) *schema {
	s := &schema{key: -1}
	t := tokens(sql)
	open := slices.IndexFunc(t, func(t token) bool { return t.is("(") })
	if open < 0 {
		return s
	}
	t = t[open+1:]
	var keys [][]token
	depth, from := 1, 0
	for i := 0; i < len(t) && depth > 0; i++ {
		switch {
		case t[i].is("("):
			depth++
		case t[i].is(")"):
			depth--
		}
		if depth == 0 || depth == 1 && t[i].is(",") {
			if k := s.define(t[from:i]); k != nil {
				keys = append(keys, k)
			}
			from = i + 1
		}
	}
	for i := from; i+1 < len(t); i++ {
		if t[i].is("WITHOUT") && t[i+1].is("ROWID") {
			s.withoutRowID = true
		}
	}
	for _, k := range keys { // of the table: PRIMARY KEY (a, b)
		for _, name := range k {
			for i, c := range s.columns {
				if strings.EqualFold(c, name.s) {
					s.primary = append(s.primary, i)
					break
				}
			}
		}
	}
	if len(s.primary) == 1 {
		s.key = s.primary[0]
	}
	return s
}

// define takes a column in, or returns the names in a table's primary key.
func (s *schema) define(d []token) []token {
	if len(d) == 0 {
		return nil
	}
	if d[0].is("CONSTRAINT") && len(d) > 2 {
		d = d[2:]
	}
	switch {
	case d[0].is("PRIMARY"):
		var names []token
		depth := 0
		for i, t := range d {
			switch {
			case t.is("("):
				depth++
			case t.is(")"):
				depth--
			}
			if depth == 1 && i > 0 && (d[i-1].is("(") || d[i-1].is(",")) {
				names = append(names, t)
			}
		}
		return names
	case d[0].is("UNIQUE"), d[0].is("CHECK"), d[0].is("FOREIGN"), len(s.columns) >= maxColumns:
		return nil
	}
	made, stored := false, false
	for i, t := range d[1:] {
		switch {
		case t.is("AS"):
			made = true
		case t.is("STORED"):
			stored = true
		case t.is("PRIMARY") && i+2 < len(d) && d[i+2].is("KEY"):
			s.primary = append(s.primary, len(s.columns))
		}
	}
	if !made || stored {
		s.columns = append(s.columns, d[0].s)
	}
	return nil
}
