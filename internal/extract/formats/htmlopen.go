package formats

import "golang.org/x/net/html/atom"

// Elements by what the tree that a browser builds does with them.
//
// Source: HTML Living Standard 13.2.4.2, 13.2.6.4.7 and on.
var (
	voids = atoms(atom.Area, atom.Base, atom.Br, atom.Col, atom.Embed, atom.Hr, atom.Img, atom.Input, atom.Link, atom.Meta, atom.Param,
		atom.Source, atom.Track, atom.Wbr)
	// behind whose start no element outside is looked for
	scopes = atoms(atom.Applet, atom.Caption, atom.Html, atom.Table, atom.Td, atom.Th, atom.Marquee, atom.Object, atom.Template, atom.Foreignobject)
	// which end an open paragraph
	endsP = atoms(atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Center, atom.Details, atom.Dialog, atom.Dir, atom.Div, atom.Dl,
		atom.Fieldset, atom.Figcaption, atom.Figure, atom.Footer, atom.Form, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Header,
		atom.Hgroup, atom.Hr, atom.Listing, atom.Main, atom.Menu, atom.Nav, atom.Ol, atom.P, atom.Plaintext, atom.Pre, atom.Section, atom.Summary,
		atom.Table, atom.Ul, atom.Xmp, atom.Li, atom.Dd, atom.Dt)
	// which go on in the next paragraph where none ends them
	formatting = atoms(atom.A, atom.B, atom.Big, atom.Code, atom.Em, atom.Font, atom.I, atom.Nobr, atom.S, atom.Small, atom.Strike, atom.Strong,
		atom.Tt, atom.U)
	inHead = atoms(atom.Base, atom.Basefont, atom.Bgsound, atom.Link, atom.Meta, atom.Title, atom.Noscript, atom.Noframes, atom.Style, atom.Script,
		atom.Template, atom.Head)
	// between whose start and end an end tag of no meaning is nothing
	special = atoms(atom.Address, atom.Applet, atom.Article, atom.Aside, atom.Blockquote, atom.Body, atom.Button, atom.Caption, atom.Center,
		atom.Col, atom.Colgroup, atom.Dd, atom.Details, atom.Dir, atom.Div, atom.Dl, atom.Dt, atom.Fieldset, atom.Figcaption, atom.Figure,
		atom.Footer, atom.Form, atom.Frameset, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Head, atom.Header, atom.Hgroup,
		atom.Html, atom.Li, atom.Listing, atom.Main, atom.Marquee, atom.Menu, atom.Nav, atom.Object, atom.Ol, atom.P, atom.Plaintext, atom.Pre,
		atom.Section, atom.Select, atom.Summary, atom.Table, atom.Tbody, atom.Td, atom.Template, atom.Textarea, atom.Tfoot, atom.Th,
		atom.Thead, atom.Title, atom.Tr, atom.Ul, atom.Xmp)
	// an element of a list or table, with what it ends and what it stays within
	cellEnds = []string{"td", "th", "caption", "colgroup"}
	rowEnds  = append([]string{"tr"}, cellEnds...)
	bodyEnds = append([]string{"tbody", "thead", "tfoot"}, rowEnds...)
	siblings = map[atom.Atom]struct{ ends, within []string }{
		atom.Li: {[]string{"li"}, nil}, atom.Dd: {[]string{"dd", "dt"}, nil}, atom.Dt: {[]string{"dd", "dt"}, nil},
		atom.Option: {[]string{"option"}, []string{"select", "optgroup", "datalist"}}, atom.Optgroup: {[]string{"option", "optgroup"}, []string{"select"}},
		atom.Td: {cellEnds, []string{"table"}}, atom.Th: {cellEnds, []string{"table"}}, atom.Tr: {rowEnds, []string{"table"}},
		atom.Tbody: {bodyEnds, []string{"table"}}, atom.Thead: {bodyEnds, []string{"table"}}, atom.Tfoot: {bodyEnds, []string{"table"}},
		atom.Button: {[]string{"button"}, nil}, atom.A: {[]string{"a"}, nil}, atom.Nobr: {[]string{"nobr"}, nil},
	}
	headings  = atoms(atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6)
	tableEnds = atoms(atom.Table, atom.Td, atom.Th, atom.Tr, atom.Tbody, atom.Thead, atom.Tfoot, atom.Caption, atom.Template, atom.Svg, atom.Math)
)

func atoms(all ...atom.Atom) map[atom.Atom]bool {
	m := make(map[atom.Atom]bool, len(all))
	for _, a := range all {
		m[a] = true
	}
	return m
}

// openTags are the elements of a page that are open, as a browser's tree has them.
// Each step costs no more than what it closes.
type openTags struct {
	all  []shownElement
	last map[string]int // by name: where the innermost stands
}

func (o *openTags) push(e shownElement) {
	if o.last == nil {
		o.last = map[string]int{}
	}
	e.outer = -1
	if i, ok := o.last[e.name]; ok {
		e.outer = i
	}
	n := len(o.all)
	e.scope, e.special, e.holder = -1, -1, -1
	if n > 0 {
		e.scope, e.special, e.holder = o.all[n-1].scope, o.all[n-1].special, o.all[n-1].holder
	}
	if scopes[e.a] {
		e.scope = n
	}
	if special[e.a] {
		e.special = n
		if e.a != atom.Address && e.a != atom.Div && e.a != atom.P {
			e.holder = n
		}
	}
	o.last[e.name] = n
	o.all = append(o.all, e)
}

func (o *openTags) pop() shownElement {
	e := o.all[len(o.all)-1]
	o.all = o.all[:len(o.all)-1]
	o.forget(&e)
	return e
}

// forget makes an element one that no tag finds: it is the innermost of its name.
func (o *openTags) forget(e *shownElement) {
	switch {
	case e.name == "":
	case e.outer >= 0:
		o.last[e.name] = e.outer
	default:
		delete(o.last, e.name)
	}
	e.name, e.a = "", 0
}

// find returns where the innermost element of a name stands, -1 where none is open.
func (o *openTags) find(name string) int {
	if i, ok := o.last[name]; ok {
		return i
	}
	return -1
}

// inScope is find, but for what stands outside of the table, cell or object at hand.
func (o *openTags) inScope(name string) int {
	i := o.find(name)
	if n := len(o.all); i >= 0 && i < o.all[n-1].scope {
		return -1
	}
	return i
}

// innermost returns where the innermost of some elements stands.
func (o *openTags) innermost(names ...string) int {
	at := -1
	for _, n := range names {
		at = max(at, o.find(n))
	}
	return at
}

// implied returns the outermost element that the start tag of a ends, by its place
// on the stack; -1 for none.
func (o *openTags) implied(a atom.Atom) int {
	at := -1
	if len(o.all) == 0 {
		return at
	}
	if i := o.find("head"); i >= 0 && !inHead[a] {
		return i
	}
	if s, ok := siblings[a]; ok {
		floor := o.innermost(s.within...)
		switch top := &o.all[len(o.all)-1]; {
		case tableEnds[a]:
		case a == atom.Li || a == atom.Dd || a == atom.Dt:
			floor = top.holder - 1
		default:
			floor = max(floor, top.scope)
		}
		for _, b := range s.ends {
			for i := o.find(b); i > floor; i = o.all[i].outer {
				if at < 0 || i < at {
					at = i
				}
			}
		}
	}
	if endsP[a] {
		if i := o.inScope("p"); i >= 0 && i > o.find("button") && (at < 0 || i < at) {
			at = i
		}
	}
	if top := len(o.all) - 1; headings[a] {
		if at >= 0 {
			top = at - 1
		}
		if top >= 0 && headings[o.all[top].a] {
			at = top
		}
	}
	return at
}

// ended returns the element that an end tag ends, by its place on the stack, with all
// within it; -1 for none.
func (o *openTags) ended(name string, a atom.Atom) int {
	if len(o.all) == 0 {
		return -1
	}
	top := &o.all[len(o.all)-1]
	switch at := o.find(name); {
	case a == atom.Table:
		return at
	case scopes[a] || tableEnds[a]:
		if at > o.find("table") { // else it is of the table around the one at hand
			return at
		}
	case headings[a]:
		if i := o.innermost("h1", "h2", "h3", "h4", "h5", "h6"); i >= top.scope {
			return i
		}
	case at >= top.scope && (special[a] || formatting[a] || at >= top.special):
		return at
	}
	return -1
}
