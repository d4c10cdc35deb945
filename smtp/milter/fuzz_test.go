package milter_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/milter"
)

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.done) }); return nil }

// Addr has the door take its connections for those of a socket on this machine.
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "fuzz", Net: "unix"} }

// local is a pipe that says it comes over a unix socket.
type local struct{ net.Conn }

func (local) LocalAddr() net.Addr { return &net.UnixAddr{Name: "fuzz", Net: "unix"} }

// FuzzSession gives any bytes to guard, library and session together. Whatever
// comes: the door does not break, the connection ends, no more is answered than
// was asked for, and what reaches the gateway is a whole message whose
// addresses every server reads alike.
func FuzzSession(f *testing.F) {
	hello := bytes.Join([][]byte{options, packet('C', "client\x004\x10\x19192.0.2.7\x00"), packet('H', "client\x00"),
		packet('D', "Mi\x004XyZ\x00")}, nil)
	mail, rcpt := packet('M', "<ada@clinic.example>\x00BODY=8BITMIME\x00"), packet('R', "<sam@partner.example>\x00NOTIFY=NEVER\x00")
	f.Add(bytes.Join([][]byte{hello, mail, rcpt, packet('T', ""), packet('L', "Subject\x00 hello\x00"), packet('N', ""), packet('B', "body\r\n"),
		packet('E', ""), packet('A', ""), packet('Q', "")}, nil))
	f.Add(bytes.Join([][]byte{hello, mail, rcpt, packet('L', "A\x00 b\n\tc\x00"), packet('E', ""), mail, rcpt, packet('B', "x"), packet('E', "")}, nil))
	f.Add(bytes.Join([][]byte{hello, mail, packet('R', "<\"a b\"@x.example>\x00"), packet('E', ""), packet('K', ""), hello[len(options):], mail}, nil))
	f.Add([]byte{0, 0, 0, 0})
	f.Add(append(bytes.Clone(options), packet('E', "late data")...))
	f.Add(packet('O', "\x00\x00\x00\x02\x00\x00\x00\x3f\x00\x00\x00\x7f"))

	pool, err := buffer.NewPool(buffer.Config{MemoryEach: 1 << 20, MemoryAll: 1 << 26, DiskAll: 1 << 26, Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h := &handler{act: func(ctx context.Context, doc *dlp.Document, o dlp.Onward) dlp.Outcome {
			check(t, doc)
			return pass(ctx, doc, o)
		}}
		s, err := milter.NewServer(milter.Default(), milter.Limits{Hostname: "gw.example", MaxMessageSize: 64 << 10, MaxRcpts: 3},
			milter.Deps{Handler: h, Buffers: pool, Log: safelog.Discard()})
		if err != nil {
			t.Fatal(err)
		}
		l := &pipes{conns: make(chan net.Conn, 1), done: make(chan struct{})}
		ours, theirs := net.Pipe()
		l.conns <- local{theirs}
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(context.Background(), l) }()
		answers := make(chan int64, 1)
		go func() {
			n, _ := io.Copy(io.Discard, ours) // until the door ends it
			answers <- n
		}()
		_ = ours.SetWriteDeadline(time.Now().Add(2 * time.Minute)) // fails only once it is closed
		_, _ = ours.Write(in)                                      // the door may end it in the middle
		_ = ours.Close()
		if n := <-answers; n > int64(4096+1024*len(in)) {
			t.Errorf("%d bytes answered to %d", n, len(in))
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("the connection did not end: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

func check(t *testing.T, doc *dlp.Document) {
	if err := doc.Validate(); err != nil {
		t.Error(err)
	}
	for _, r := range doc.Rcpts {
		again, _, err := smtp.ReadRcpt(r.String(), nil, doc.Params.UTF8)
		if err != nil || again != r {
			t.Errorf("recipient %q reads back as %q, %v", r, again, err)
		}
	}
	if s := string(doc.Trace); strings.Count(s, "\r\n") != 4 || strings.Count(s, "\n") != 4 || strings.Count(s, "\r") != 4 {
		t.Errorf("trace %q: want two fields", s)
	}
	r, err := doc.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != doc.Size || !bytes.Contains(b, []byte("\r\n")) {
		t.Errorf("%d bytes of %d, %v: want the message whole, with the end of its header", len(b), doc.Size, err)
	}
}
