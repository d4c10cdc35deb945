package parquet

import "strings"

// Bounds of a footer.
const (
	maxSchema = 1 << 16 // elements of a schema
	maxGroups = 64      // groups of columns within one another
	maxPairs  = 1 << 12
	maxName   = 1 << 10 // bytes of a column's name with those of its groups
)

// Physical types.
const (
	pBoolean = iota
	pInt32
	pInt64
	pInt96
	pFloat
	pDouble
	pBytes
	pFixed
)

// leaf is a column that has values.
type leaf struct {
	name           string
	kind           int // a physical type
	size           int // of pFixed
	shows          logical
	maxDef, maxRep int
	scale          int
	isKey          bool // of a map
	keys           int  // the number of the column with its keys and one, 0 where it is no map's value
}

// element is one element of a schema.
type element struct {
	leaf
	repetition int // 0 required, 1 optional, 2 repeated
	children   int
	wraps      byte // 'L' a list, 'M' a map; 'l' and 'm' the group that repeats in one
}

// chunk is what a row group says of one column.
type chunk struct {
	codec               int
	start, size, values int64
	encrypted, outside  bool
}

// meta is what is kept of a footer.
type meta struct {
	leaves    []leaf
	pairs     [][2]string
	encrypted bool
	rows      []byte // the list of row groups
}

// readMeta reads a footer: FileMetaData.
func readMeta(b []byte) (*meta, error) {
	m := &meta{}
	var schema []element
	large := false
	t := &thrift{b: b}
	t.fields(func(id int, typ byte) bool {
		switch {
		case id == 2 && typ == tList && schema == nil:
			t.list(func(typ byte) {
				if large = large || len(schema) >= maxSchema; large || typ != tStruct {
					t.element(typ, 0)
					return
				}
				schema = append(schema, t.element1())
			})
		case id == 4 && typ == tList:
			if m.rows != nil { // programs would differ in which they take
				t.fail()
				return true
			}
			m.rows = t.b
			return false
		case id == 5 && typ == tList:
			t.list(func(typ byte) {
				if len(m.pairs) >= maxPairs || typ != tStruct {
					large = large || typ == tStruct
					t.element(typ, 0)
					return
				}
				var kv [2]string
				t.fields(func(id int, typ byte) bool {
					if typ == tBinary && (id == 1 || id == 2) {
						kv[id-1] = string(t.bytes())
						return true
					}
					return false
				})
				m.pairs = append(m.pairs, kv)
			})
		case id == 8 && typ == tStruct: // encryption_algorithm
			m.encrypted = true
			return false
		default:
			return false
		}
		return true
	})
	switch {
	case large:
		return nil, ErrTooLarge
	case t.bad || len(schema) == 0:
		return nil, ErrCorrupt
	}
	rest, err := m.tree(schema[1:], schema[0].children, "", element{}, 0)
	if err == nil && len(rest) > 0 {
		err = ErrCorrupt
	}
	return m, err
}

// element1 reads a SchemaElement.
func (t *thrift) element1() (e element) {
	e.kind = -1
	converted := int64(-1)
	t.fields(func(id int, typ byte) bool {
		switch {
		case typ == tI32:
			v := t.int()
			switch id {
			case 1:
				e.kind = int(v)
			case 2:
				e.size = int(v)
			case 3:
				e.repetition = int(v)
			case 5:
				e.children = int(v)
			case 6:
				converted = v
			case 7:
				e.scale = int(v)
			}
		case id == 4 && typ == tBinary:
			e.name = string(t.bytes())
		case id == 10 && typ == tStruct:
			t.logical(&e)
		default:
			return false
		}
		return true
	})
	if e.shows == asKept && e.wraps == 0 {
		e.convert(converted)
	}
	return e
}

// tree takes n elements and what is in them as the columns of a group, and
// returns the elements behind them.
func (m *meta) tree(all []element, n int, name string, in element, depth int) (rest []element, err error) {
	if n < 0 || n > len(all) || depth > maxGroups {
		return nil, ErrCorrupt
	}
	for i := range n {
		if len(all) == 0 {
			return nil, ErrCorrupt
		}
		e := all[0]
		all = all[1:]
		if e.repetition < 0 || e.repetition > 2 {
			return nil, ErrCorrupt
		}
		e.maxDef, e.maxRep = in.maxDef, in.maxRep
		if e.repetition > 0 {
			e.maxDef++
		}
		if e.repetition == 2 {
			e.maxRep++
		}
		full := joined(name, e.name)
		// LogicalTypes.md, Nested Types: names that a list or map has for itself.
		if in.wraps == 'L' && e.repetition == 2 || in.wraps == 'M' && e.repetition == 2 || in.wraps == 'l' {
			full = name
		}
		if in.wraps == 'L' && e.repetition == 2 && e.children == 1 {
			e.wraps = 'l' // its only child is the element
		}
		if in.wraps == 'M' && e.repetition == 2 && e.children == 2 {
			e.wraps = 'm' // its children are the key and the value
		}
		if e.kind < 0 || e.children > 0 {
			if e.children < 0 {
				return nil, ErrCorrupt
			}
			if all, err = m.tree(all, e.children, full, e, depth+1); err != nil {
				return nil, err
			}
			continue
		}
		if e.kind > pFixed || e.kind == pFixed && e.size <= 0 {
			return nil, ErrCorrupt
		}
		e.leaf.name = full
		if in.wraps == 'm' && e.repetition != 2 {
			e.isKey = i == 0
			if last := len(m.leaves); i == 1 && last > 0 && m.leaves[last-1].isKey {
				e.leaf.keys = last
			}
		}
		m.leaves = append(m.leaves, e.leaf)
	}
	return all, nil
}

// joined is a name behind that of its group. Of one that is too long the end is
// kept, which says most.
func joined(group, name string) string {
	if group != "" {
		name = group + "." + name
	}
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[len(name)-maxName:], "")
	}
	return name
}

// groups reads the list of row groups one by one.
type groups struct {
	t    thrift
	left uint64
	typ  byte
}

func (m *meta) groups() *groups {
	g := &groups{t: thrift{b: m.rows}}
	if len(m.rows) == 0 {
		return g
	}
	h := g.t.byte()
	g.left, g.typ = uint64(h>>4), h&15
	if g.left == 15 {
		g.left = g.t.uvarint()
	}
	return g
}

func (g *groups) more() bool { return g.left > 0 }

// next returns the chunks of the next row group, at most one more than most.
func (g *groups) next(most int) (chunks []chunk, err error) {
	g.left--
	if g.typ != tStruct {
		return nil, ErrCorrupt
	}
	t := &g.t
	t.fields(func(id int, typ byte) bool {
		if id != 1 || typ != tList {
			return false
		}
		t.list(func(typ byte) {
			if typ != tStruct || len(chunks) > most {
				t.element(typ, 0)
				return
			}
			chunks = append(chunks, t.chunk())
		})
		return true
	})
	if t.bad {
		return nil, ErrCorrupt
	}
	return chunks, nil
}

// chunk reads a ColumnChunk.
func (t *thrift) chunk() (c chunk) {
	told := false
	t.fields(func(id int, typ byte) bool {
		switch {
		case id == 1 && typ == tBinary:
			c.outside = len(t.bytes()) > 0
		case id == 3 && typ == tStruct:
			told = true
			t.columnMeta(&c)
		case id == 8 && typ == tStruct, id == 9 && typ == tBinary: // by which key; what it says, encrypted
			c.encrypted = true
			return false
		default:
			return false
		}
		return true
	})
	if !told && !c.encrypted {
		c.start = -1
	}
	return c
}

// columnMeta reads a ColumnMetaData.
func (t *thrift) columnMeta(c *chunk) {
	var data, dictionary int64
	t.fields(func(id int, typ byte) bool {
		if typ != tI32 && typ != tI64 {
			return false
		}
		v := t.int()
		switch id {
		case 4:
			c.codec = int(v)
		case 5:
			c.values = v
		case 7:
			c.size = v
		case 9:
			data = v
		case 11:
			dictionary = v
		}
		return true
	})
	c.start = data
	if dictionary > 0 && (dictionary < data || data < int64(len(Magic))) {
		c.start = dictionary
	}
}
