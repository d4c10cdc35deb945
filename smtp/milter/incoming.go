package milter

import (
	"strings"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/smtp"
)

// incoming gathers the bytes of one message as the server will send them on:
// fields in their order, an empty line, the body.
type incoming struct {
	buf    *buffer.Buffer
	in     *smtp.Intake
	headed bool // the header has ended
}

func newIncoming(buf *buffer.Buffer, max int64) *incoming {
	return &incoming{buf: buf, in: smtp.NewIntake(buf, max)}
}

// field adds a header field. A server that keeps leading space hands over what
// stands after the colon; another has taken one space away. Folded lines come
// with LF alone. The library takes no field below the header.
func (b *incoming) field(name, value string, leading bool) {
	if value = crlf(value); !leading {
		value = " " + value
	}
	b.in.Add([]byte(name + ":" + value + "\r\n"))
}

// endHeader writes the empty line, once.
func (b *incoming) endHeader() {
	if !b.headed {
		b.headed = true
		b.in.Add([]byte("\r\n"))
	}
}

func (b *incoming) done() error { return b.in.Done() }
func (b *incoming) close()      { b.in.Close() }

// crlf puts CR before each LF that has none.
func crlf(s string) string {
	if !strings.Contains(s, "\n") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}
