package message

import "io"

// maxCoded is the longest line of quoted-printable and base64, without its line
// end. RFC 2045 6.7 (5), 6.8.
const maxCoded = 76

// qpWriter writes quoted-printable that decodes to the very bytes it was given:
// CRLF is a line break, every other control character is written as its code.
// Close writes what is left.
//
// Source: RFC 2045 6.7.
type qpWriter struct {
	w    io.Writer
	line []byte
	cr   bool
}

func (q *qpWriter) Write(p []byte) (int, error) {
	for i, c := range p {
		if err := q.put(c); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func (q *qpWriter) put(c byte) error {
	if q.cr {
		q.cr = false
		if c == '\n' {
			if err := q.endSpace(); err != nil {
				return err
			}
			return q.flush("\r\n")
		}
		if err := q.code('\r'); err != nil {
			return err
		}
	}
	switch {
	case c == '\r':
		q.cr = true
		return nil
	case c > ' ' && c < 0x7f && c != '=', c == ' ', c == '\t':
		if err := q.room(1); err != nil {
			return err
		}
		q.line = append(q.line, c)
		return nil
	}
	return q.code(c)
}

func (q *qpWriter) code(c byte) error {
	const digits = "0123456789ABCDEF"
	err := q.room(3)
	q.line = append(q.line, '=', digits[c>>4], digits[c&15])
	return err
}

// room makes sure that n more bytes and a soft line break fit on the line.
func (q *qpWriter) room(n int) error {
	if len(q.line)+n < maxCoded {
		return nil
	}
	return q.flush("=\r\n")
}

// endSpace writes white space at the end of a line as its code. RFC 2045 6.7 (3).
func (q *qpWriter) endSpace() error {
	n := len(q.line)
	if n == 0 || q.line[n-1] != ' ' && q.line[n-1] != '\t' {
		return nil
	}
	c := q.line[n-1]
	q.line = q.line[:n-1]
	return q.code(c)
}

func (q *qpWriter) flush(end string) error {
	q.line = append(q.line, end...)
	_, err := q.w.Write(q.line)
	q.line = q.line[:0]
	return err
}

func (q *qpWriter) Close() error {
	if q.cr {
		q.cr = false
		if err := q.code('\r'); err != nil {
			return err
		}
	}
	if err := q.endSpace(); err != nil {
		return err
	}
	return q.flush("")
}

// lines breaks what is written into lines of maxCoded bytes.
type lines struct {
	w    io.Writer
	used int
}

func (l *lines) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if l.used == maxCoded {
			if _, err := io.WriteString(l.w, "\r\n"); err != nil {
				return n, err
			}
			l.used = 0
		}
		m, err := l.w.Write(p[n:min(len(p), n+maxCoded-l.used)])
		n, l.used = n+m, l.used+m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
