package pkzip_test

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// bitWriter writes bits, the first one lowest.
type bitWriter struct {
	b    []byte
	hold uint64
	have uint
}

func (w *bitWriter) put(v int, n uint) {
	w.hold |= uint64(v) << w.have
	for w.have += n; w.have >= 8; w.have -= 8 {
		w.b = append(w.b, byte(w.hold))
		w.hold >>= 8
	}
}

func (w *bitWriter) bytes() []byte {
	if w.have > 0 {
		return append(w.b, byte(w.hold))
	}
	return w.b
}

// shrink packs b. It clears the table when that is full, and also after every
// often'th code where often is not 0; where odd is set even if that frees the code
// that was written last.
func shrink(b []byte, often int, odd bool) []byte {
	type entry struct {
		prefix int
		c      byte
	}
	w, width := &bitWriter{}, uint(9)
	known := map[entry]int{}
	var table [8192]*entry
	next, written := 257, 0
	for at := 0; at < len(b); {
		code := int(b[at])
		at++
		for at < len(b) {
			longer, ok := known[entry{code, b[at]}]
			if !ok {
				break
			}
			code = longer
			at++
		}
		for code >= 1<<width {
			w.put(256, width)
			w.put(1, width)
			width++
		}
		w.put(code, width)
		if at == len(b) {
			break
		}
		for next < len(table) && table[next] != nil {
			next++
		}
		written++
		if next == len(table) || often > 0 && written%often == 0 {
			var begins [8192]bool
			for _, e := range table {
				if e != nil {
					begins[e.prefix] = true
				}
			}
			if odd || code < 256 || begins[code] {
				w.put(256, width)
				w.put(2, width)
				for c, e := range table {
					if e != nil && !begins[c] {
						if known[*e] == c {
							delete(known, *e)
						}
						table[c] = nil
					}
				}
				for next = 257; next < len(table) && table[next] != nil; next++ {
				}
			}
		}
		if next < len(table) {
			e := &entry{code, b[at]}
			if code < 256 || table[code] != nil { // else it was freed, and begins nothing
				known[*e] = next
			}
			table[next] = e
			next++
		}
	}
	return w.bytes()
}

// token is a literal, or a match of n bytes that stand back before.
type token struct {
	literal byte
	n, back int
}

// tokens finds matches of b, of least bytes and more; those that begin with zeros
// go on before the start.
func tokens(b []byte, least, most, window int) (out []token) {
	seen := map[string]int{}
	for i := 0; i < len(b); {
		key := ""
		if i+least <= len(b) {
			key = string(b[i : i+least])
		}
		from, ok := seen[key]
		if i == 0 && len(b) > least && !slices.ContainsFunc(b[:least], func(c byte) bool { return c != 0 }) {
			from, ok = -7, true
		}
		if ok && key != "" && i-from <= window {
			n := 0
			for n < most && i+n < len(b) && (from+n < 0 && b[i+n] == 0 || from+n >= 0 && b[from+n] == b[i+n]) {
				n++
			}
			if n >= least {
				out = append(out, token{n: n, back: i - from})
				for k := range n {
					if i+k+least <= len(b) {
						seen[string(b[i+k:i+k+least])] = i + k
					}
				}
				i += n
				continue
			}
		}
		out = append(out, token{literal: b[i]})
		if key != "" {
			seen[key] = i
		}
		i++
	}
	return out
}

// reduce packs b with a factor from 1 to 4, and as many as most followers.
func reduce(b []byte, factor uint, most int) []byte {
	length := 1<<(8-factor) - 1
	var mid []byte
	for _, t := range tokens(b, 4, length+255+3, 256<<factor) {
		switch {
		case t.n == 0 && t.literal == 144:
			mid = append(mid, 144, 0)
		case t.n == 0:
			mid = append(mid, t.literal)
		default:
			n, back := t.n-3, t.back-1
			v := back>>8<<(8-factor) | min(n, length)
			if v == 0 {
				panic("a match that is an escape")
			}
			mid = append(mid, 144, byte(v))
			if n >= length {
				mid = append(mid, byte(n-length))
			}
			mid = append(mid, byte(back))
		}
	}
	var often [256][256]int
	last := byte(0)
	for _, c := range mid {
		often[last][c]++
		last = c
	}
	w := &bitWriter{}
	var followers [256][]byte
	for c := 255; c >= 0; c-- {
		var f []byte
		for x, n := range often[c] {
			if n > 0 {
				f = append(f, byte(x))
			}
		}
		slices.SortFunc(f, func(x, y byte) int { return often[c][y] - often[c][x] })
		followers[c] = f[:min(len(f), most)]
		w.put(len(followers[c]), 6)
		for _, x := range followers[c] {
			w.put(int(x), 8)
		}
	}
	last = 0
	for _, c := range mid {
		f := followers[last]
		i := slices.Index(f, c)
		switch {
		case len(f) == 0:
			w.put(int(c), 8)
		case i < 0:
			w.put(1, 1)
			w.put(int(c), 8)
		default:
			w.put(0, 1)
			w.put(i, uint(max(1, bits.Len(uint(len(f)-1)))))
		}
		last = c
	}
	return w.bytes()
}

// lengths are those of a code of n words that uses all its room: one of n words
// alike whose words are now and then made longer and shorter.
func lengths(r *rand.Rand, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = bits.Len(uint(n)) - 1
	}
	for range 4 * n { // two words of a length, and one: x, x, y becomes x-1, y+1, y+1
		var same [17][]int
		for i, l := range out {
			same[l] = append(same[l], i)
		}
		x, y := 2+r.IntN(15), 1+r.IntN(15)
		if x == y || len(same[x]) < 2 || len(same[y]) == 0 {
			continue
		}
		a, b, c := same[x][0], same[x][1], same[y][r.IntN(len(same[y]))]
		out[a], out[b], out[c] = x-1, y+1, y+1
	}
	return out
}

// code writes a code's lengths as runs and returns its words, the first bit lowest:
// APPNOTE.TXT 5.3.7 counts from the last symbol of the longest words.
func code(w *bitWriter, lens []int) []int {
	var runs [][2]int
	for _, l := range lens {
		if k := len(runs) - 1; k >= 0 && runs[k][0] == l && runs[k][1] < 16 {
			runs[k][1]++
			continue
		}
		runs = append(runs, [2]int{l, 1})
	}
	w.put(len(runs)-1, 8)
	for _, run := range runs {
		w.put(run[0]-1, 4)
		w.put(run[1]-1, 4)
	}
	order := make([]int, len(lens))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return lens[a] - lens[b] })
	words := make([]int, len(lens))
	word := 0
	for _, s := range slices.Backward(order) {
		words[s] = int(bits.Reverse16(uint16(word)))
		word += 1 << (16 - lens[s])
	}
	return words
}

// implode packs b as the flags of its header tell, with codes made by r.
func implode(b []byte, flags uint16, early bool, r *rand.Rand) []byte {
	low, shortest := uint(6), 2
	if flags&2 != 0 {
		low = 7
	}
	if flags&4 != 0 && !early || flags&2 != 0 && early {
		shortest = 3
	}
	w := &bitWriter{}
	var literals, literalLens []int
	if flags&4 != 0 {
		literalLens = lengths(r, 256)
		literals = code(w, literalLens)
	}
	lenLens, distLens := lengths(r, 64), lengths(r, 64)
	lens, dists := code(w, lenLens), code(w, distLens)
	for _, t := range tokens(b, shortest, 63+255+shortest, 64<<low) {
		if t.n == 0 {
			w.put(1, 1)
			if literals != nil {
				w.put(literals[t.literal], uint(literalLens[t.literal]))
			} else {
				w.put(int(t.literal), 8)
			}
			continue
		}
		back, n := t.back-1, t.n-shortest
		w.put(0, 1)
		w.put(back&(1<<low-1), low)
		w.put(dists[back>>low], uint(distLens[back>>low]))
		w.put(lens[min(n, 63)], uint(lenLens[min(n, 63)]))
		if n >= 63 {
			w.put(n-63, 8)
		}
	}
	return w.bytes()
}
