package smtp

import "bytes"

// The end of data is CRLF.CRLF and nothing else (RFC 5321 4.1.1.4). Servers
// that also take a bare LF or CR for a line end see ends that others do not
// see, and commands in what follows: SMTP smuggling. So a dot alone between any
// two line ends is either the one true mark, or doubled by dot-stuffing, or
// refused. A CR before the mark's own CRLF is refused too: there are readers
// that then miss the mark. A NUL beside such a dot is refused as well: there are
// servers that drop it, and then see a mark. A bare CR, LF or NUL anywhere else is
// a byte like others.

// wire remembers the bytes before a window.
type wire struct {
	b1, b2, b3 byte // the last byte, the one before it, and the one before that
}

// lineStart is the state at the start of data: as if a CRLF had come before.
func lineStart() wire { return wire{b1: '\n', b2: '\r'} }

// before returns the three bytes before p[i], the nearest first.
func (w *wire) before(p []byte, i int) (b1, b2, b3 byte) {
	switch i {
	case 0:
		return w.b1, w.b2, w.b3
	case 1:
		return p[0], w.b1, w.b2
	case 2:
		return p[1], p[0], w.b1
	}
	return p[i-1], p[i-2], p[i-3]
}

// pass moves past p.
func (w *wire) pass(p []byte) { w.b1, w.b2, w.b3 = w.before(p, len(p)) }

func isLineByte(c byte) bool { return c == '\r' || c == '\n' }

// opens reports whether a dot behind the bytes b1 and b2, the nearest first, may
// begin a line in somebody's eyes, and whether it does in everybody's.
func opens(b1, b2 byte) (some, all bool) {
	return isLineByte(b1) || b1 == 0 && (b2 == 0 || isLineByte(b2)), b1 == '\n' && b2 == '\r'
}

// closes reports whether the line of a dot before c may end there in somebody's
// eyes.
func closes(c byte) bool { return c == 0 || isLineByte(c) }

// unstuffer takes the wire form of a message apart. The zero value is not
// valid; see newUnstuffer.
type unstuffer struct{ wire }

func newUnstuffer() unstuffer { return unstuffer{lineStart()} }

// next works through a window of the wire form and hands the body's bytes to
// emit. It returns how many bytes of p are done with: at most two are left,
// for a longer window to decide. done says that the end mark was among them;
// errEndMark, that a mark was there which not every server reads alike.
// RFC 5321 4.5.2.
func (u *unstuffer) next(p []byte, emit func([]byte)) (n int, done bool, err error) {
	start, at := 0, 0 // p[:start] was emitted, p[:at] looked at
	stop := func(i int) int {
		emit(p[start:i])
		u.pass(p[:i])
		return i
	}
	for {
		i := bytes.IndexByte(p[at:], '.')
		if i < 0 {
			return stop(len(p)), false, nil
		}
		i += at
		at = i + 1
		b1, b2, b3 := u.before(p, i)
		some, strict := opens(b1, b2)
		if !some {
			continue
		}
		if at == len(p) {
			return stop(i), false, nil
		}
		switch {
		case !strict && closes(p[at]), p[at] == '\n', p[at] == 0:
			return i, false, errEndMark
		case !strict:
		case p[at] != '\r':
			emit(p[start:i])
			start = at // the stuffed dot
		case at+1 == len(p):
			return stop(i), false, nil
		case p[at+1] != '\n' || b3 == '\r':
			return i, false, errEndMark
		default:
			stop(i)
			return i + 3, true, nil
		}
	}
}

// stuffer puts a message into its wire form. The zero value is not valid; see
// newStuffer.
type stuffer struct {
	wire
	empty bool
	dot   bool // the last byte was a dot that only some see begin a line
}

func newStuffer() stuffer { return stuffer{wire: lineStart(), empty: true} }

// write hands the wire form of p to emit. It fails with errEndMark on a dot
// alone between line ends that are not both CRLF, or that a NUL hides, and with what emit returns.
func (s *stuffer) write(p []byte, emit func([]byte) error) error {
	if len(p) == 0 {
		return nil
	}
	if s.dot && closes(p[0]) {
		return errEndMark
	}
	s.empty, s.dot = false, false
	start, at := 0, 0
	for {
		i := bytes.IndexByte(p[at:], '.')
		if i < 0 {
			break
		}
		i += at
		at = i + 1
		b1, b2, _ := s.before(p, i)
		some, strict := opens(b1, b2)
		switch {
		case !some:
		case strict:
			if err := emit(p[start:at]); err != nil {
				return err
			}
			start = i // the dot goes out twice
		case at == len(p):
			s.dot = true
		case closes(p[at]):
			return errEndMark
		}
	}
	s.pass(p)
	return emit(p[start:])
}

// end returns the end mark. A message that does not end in CRLF is given one
// first: without it there is no mark. errEndMark when the mark would touch a
// bare CR, or turn a last dot into a mark of its own.
func (s *stuffer) end() (string, error) {
	switch {
	case s.empty:
		return ".\r\n", nil
	case s.dot, s.b1 == '\r', s.b1 == '\n' && s.b2 == '\r' && s.b3 == '\r':
		return "", errEndMark
	case s.b1 == '\n' && s.b2 == '\r':
		return ".\r\n", nil
	}
	return "\r\n.\r\n", nil
}
