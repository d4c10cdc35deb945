package smtp_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// afterDot is a connection that tells when the end of a message was written, and
// reads what comes after it once it is told to.
type afterDot struct {
	*net.TCPConn
	once    sync.Once
	written chan struct{} // closed when the end mark is
	asks    chan struct{} // where there is one, told of each read after that
	read    chan struct{} // told when an answer may be read, closed when all may be
}

func (c *afterDot) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	if strings.HasSuffix(string(p), ".\r\n") {
		c.once.Do(func() { close(c.written) })
	}
	return n, err
}

func (c *afterDot) Read(p []byte) (int, error) {
	select {
	case <-c.written:
		select {
		case c.asks <- struct{}{}:
		default:
		}
		<-c.read
	default:
	}
	return c.TCPConn.Read(p)
}

// eventuallyReset waits until ours knows that the other end has closed with
// something unread.
func eventuallyReset(t *testing.T, ours *net.TCPConn) {
	t.Helper()
	eventually(t, "the reset is here", func() bool { return tcpState(t, ours) == closed })
}

// TestClientAnswerBeforeTheEnd: a 250 of a next hop that cannot have read the
// end of the message is no answer to it: most of it has not come there, or the
// hop has closed with some of it unread. A hop that read all and then resets the
// connection looks the same. A refusal counts all the same.
func TestClientAnswerBeforeTheEnd(t *testing.T) {
	for _, tc := range []struct {
		name   string
		size   int  // bytes of the message
		room   int  // of the hop's receive buffer
		reads  bool // all of it, before it answers
		closes bool // once it has answered
		resets bool // so
		says   string
		want   int // the code that the client is told; 0: what became of the message is unknown
	}{
		{"most is still here", 1 << 20, 4 << 10, false, false, false, "250 stray", 0},
		{"most is still here, and it closes", 1 << 20, 4 << 10, false, true, false, "250 stray", 0},
		{"it closes", 1000, 64 << 10, false, true, false, "250 stray", 0},
		{"it has read all", 1 << 20, 64 << 10, true, false, false, "250 ok", 250},
		{"it has read all, and closes", 1 << 20, 64 << 10, true, true, false, "250 ok", 250},
		{"it has read all, and resets", 1 << 20, 64 << 10, true, true, true, "250 ok", 0},
		{"it refuses for now, and closes", 1000, 64 << 10, false, true, false, "452 4.3.1 full", 452},
		{"it refuses for good, and closes", 1000, 64 << 10, false, true, false, "552 5.3.4 too large", 552},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			written, read, ours := make(chan struct{}), make(chan struct{}), make(chan *net.TCPConn, 1)
			var wg sync.WaitGroup
			wg.Go(func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_ = conn.(*net.TCPConn).SetReadBuffer(tc.room) // a wish
				br := bufio.NewReaderSize(conn, 512)
				io.WriteString(conn, "220 hop\r\n")
				for {
					line, err := br.ReadString('\n')
					if err != nil {
						return
					}
					if line != "DATA\r\n" {
						io.WriteString(conn, "250 ok\r\n")
						continue
					}
					io.WriteString(conn, "354 go\r\n")
					for tc.reads && line != ".\r\n" {
						if line, err = br.ReadString('\n'); err != nil {
							return
						}
					}
					<-written
					io.WriteString(conn, tc.says+"\r\n")
					if tc.resets {
						_ = conn.(*net.TCPConn).SetLinger(0) // the test fails where it cannot
					}
					if tc.closes {
						conn.Close()
					}
					if tc.closes && (!tc.reads || tc.resets) {
						eventuallyReset(t, <-ours)
					}
					close(read)
					if !tc.closes {
						<-t.Context().Done()
					}
					return
				}
			})
			t.Cleanup(func() { l.Close(); wg.Wait() })
			cfg := smtp.DefaultClient()
			cfg.Addr, cfg.Hostname, cfg.TLS = l.Addr().String(), "gw.example", smtp.TLSOff
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				ours <- conn.(*net.TCPConn)
				return &afterDot{TCPConn: conn.(*net.TCPConn), written: written, read: read}, nil
			}
			c := smtp.NewClient(cfg)
			t.Cleanup(func() { c.Close() })
			body := strings.Repeat(strings.Repeat("x", 78)+"\r\n", tc.size/80)
			d := smtp.Deliver(t.Context(), c, ann, []dlp.Address{bob}, nil, smtp.MailOptions{}, source(body))[0]
			switch {
			case tc.want == 0 && !left(d.Err, true):
				t.Errorf("got %+v, %v; want an error after the end of the message", d.Reply, d.Err)
			case tc.want != 0 && (d.Err != nil || d.Reply.Code != tc.want):
				t.Errorf("got %+v, %v; want its %d", d.Reply, d.Err, tc.want)
			}
		})
	}
}

// TestLMTPAnswerBeforeTheEnd: a hop that answers for one recipient, and for the
// next before it closes with some of the message unread, has answered for none.
func TestLMTPAnswerBeforeTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	written, asks, read, ours := make(chan struct{}), make(chan struct{}, 10), make(chan struct{}), make(chan *net.TCPConn, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		br := bufio.NewReaderSize(conn, 512)
		io.WriteString(conn, "220 hop\r\n")
		for line := ""; line != "DATA\r\n"; {
			if line, err = br.ReadString('\n'); err != nil {
				return
			}
			if line != "DATA\r\n" {
				io.WriteString(conn, "250 ok\r\n")
			}
		}
		io.WriteString(conn, "354 go\r\n")
		<-written
		<-asks
		io.WriteString(conn, "250 stray\r\n")
		read <- struct{}{}
		<-asks // it has looked at the first
		io.WriteString(conn, "250 stray\r\n")
		conn.Close()
		eventuallyReset(t, <-ours)
		close(read)
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	cfg := smtp.DefaultClient()
	cfg.Addr, cfg.Hostname, cfg.TLS, cfg.LMTP = l.Addr().String(), "gw.example", smtp.TLSOff, true
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		ours <- conn.(*net.TCPConn)
		return &afterDot{TCPConn: conn.(*net.TCPConn), written: written, asks: asks, read: read}, nil
	}
	c := smtp.NewClient(cfg)
	t.Cleanup(func() { c.Close() })
	rcpts := []dlp.Address{bob, {Local: "carol", Domain: "out.test"}}
	for i, d := range smtp.Deliver(t.Context(), c, ann, rcpts, nil, smtp.MailOptions{}, source(strings.Repeat("x\r\n", 1000))) {
		if !left(d.Err, true) {
			t.Errorf("recipient %d: got %+v, %v; want an error after the end of the message", i, d.Reply, d.Err)
		}
	}
}
