package smtp_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

// pipes is a Listener in memory, so that a session runs in a synctest bubble.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return local{} }

type local struct{}

func (local) Network() string { return "tcp" }
func (local) String() string  { return "127.0.0.1:25" }

// fromLocal is a pipe's end that has an address.
type fromLocal struct{ net.Conn }

func (fromLocal) RemoteAddr() net.Addr { return local{} }

// bubble runs f against a Server on pipes, with a clock that jumps.
func bubble(t *testing.T, change func(*smtp.Config, *door), f func(d *door, dial func() *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &door{handler: &handler{}, hop: &memoryHop{}}
		cfg, deps := parts(t, d)
		if change != nil {
			change(&cfg, d)
		}
		p := newPipes()
		d.start(t, cfg, deps, p)
		f(d, func() *client {
			a, b := net.Pipe()
			p.conns <- fromLocal{b}
			t.Cleanup(func() { a.Close() })
			return &client{t: t, conn: a, br: bufio.NewReader(a)}
		})
	})
}

// drip sends what, again and again, until stop is called.
func drip(c *client, what string, every time.Duration) (stop func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if _, err := io.WriteString(c.conn, what); err != nil {
				return
			}
			time.Sleep(every)
		}
	})
	return func() {
		c.conn.Close()
		wg.Wait()
	}
}

// lateHop is a NextHop that does not answer by itself.
type lateHop struct{}

func (lateHop) Begin(ctx context.Context, _ dlp.Address, _ smtp.MailOptions, _ smtp.Recipient) (smtp.Transaction, dlp.Reply, error) {
	<-ctx.Done()
	return nil, dlp.Reply{}, ctx.Err()
}

// long: a list of limits, each with its client
func TestTimeouts(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		bubble(t, nil, func(_ *door, dial func() *client) {
			c := dial()
			c.want("220")
			start := time.Now()
			c.want("421 4.4.2", "closed")
			if got := time.Since(start); got != 5*time.Minute {
				t.Errorf("got %v, want 5m", got)
			}
		})
	})
	t.Run("a command byte by byte", func(t *testing.T) {
		bubble(t, nil, func(_ *door, dial func() *client) {
			c := dial()
			c.want("220")
			start := time.Now()
			stop := drip(c, "x", time.Minute)
			c.want("421 4.4.2", "closed")
			if got := time.Since(start); got != 5*time.Minute {
				t.Errorf("got %v, want 5m", got)
			}
			stop()
		})
	})
	t.Run("a session of NOOPs", func(t *testing.T) {
		bubble(t, nil, func(_ *door, dial func() *client) {
			c := dial()
			c.want("220")
			start, got := time.Now(), ""
			for {
				time.Sleep(time.Minute)
				go c.send("NOOP\r\n")
				if got = c.read(); !strings.HasPrefix(got, "250") {
					break
				}
			}
			if !strings.HasPrefix(got, "421 4.4.2") || time.Since(start) > time.Hour+time.Minute {
				t.Errorf("got %q after %v", got, time.Since(start))
			}
			c.conn.Close()
		})
	})
	for _, begun := range []string{"", "BDAT 2\r\nab"} {
		t.Run("a message of NOOPs, after MAIL and "+begun, func(t *testing.T) {
			most := time.Hour
			if begun != "" {
				most = 30 * time.Minute
			}
			bubble(t, func(cfg *smtp.Config, _ *door) { cfg.DataTimeout = dlp.Duration(30 * time.Minute) }, func(d *door, dial func() *client) {
				c := dial()
				c.want("220")
				c.say("EHLO x\r\n", "250")
				c.envelope("c@d.test")
				if begun != "" {
					c.say(begun, "250")
				}
				start, got := time.Now(), ""
				for {
					time.Sleep(time.Minute)
					go c.send("NOOP\r\n")
					if got = c.read(); !strings.HasPrefix(got, "250") || time.Since(start) > 2*time.Hour {
						break
					}
				}
				if !strings.HasPrefix(got, "421 4.4.2") || time.Since(start) > most+time.Minute {
					t.Errorf("got %q after %v", got, time.Since(start))
				}
				c.want("closed")
				synctest.Wait()
				if d.handler.seen() != 0 || d.hop.resetCount() != 1 {
					t.Errorf("got %d messages, %d resets", d.handler.seen(), d.hop.resetCount())
				}
			})
		})
	}
	t.Run("a recipient that the next hop does not answer for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &door{handler: &handler{}}
			cfg, deps := parts(t, d)
			deps.NextHop = lateHop{}
			p := newPipes()
			d.start(t, cfg, deps, p)
			a, b := net.Pipe()
			defer a.Close()
			p.conns <- fromLocal{b}
			c := &client{t: t, conn: a, br: bufio.NewReader(a)}
			c.want("220")
			c.say("EHLO x\r\n", "250")
			c.envelope()
			start := time.Now()
			c.say("RCPT TO:<c@d.test>\r\n", "451 4.4.1")
			if got := time.Since(start); got >= 5*time.Minute {
				t.Errorf("got %v: the client has given up by then", got)
			}
		})
	})
	for _, how := range []string{"DATA\r\n", "BDAT 10000000 LAST\r\n"} {
		begin := func(c *client) {
			c.want("220")
			c.say("EHLO x\r\n", "250")
			c.envelope("c@d.test")
			c.send(how)
			if how == "DATA\r\n" {
				c.want("354")
			}
		}
		t.Run(how[:4]+", a body byte by byte", func(t *testing.T) {
			bubble(t, nil, func(d *door, dial func() *client) {
				c := dial()
				begin(c)
				start := time.Now()
				stop := drip(c, "x", time.Second)
				c.want("421 4.4.2", "closed")
				if got := time.Since(start); got > 2*time.Minute {
					t.Errorf("got %v at one byte a second, want about a minute", got)
				}
				stop()
				synctest.Wait()
				if d.handler.seen() != 0 || d.hop.resetCount() != 1 {
					t.Errorf("got %d messages, %d resets", d.handler.seen(), d.hop.resetCount())
				}
			})
		})
		t.Run(how[:4]+", a stall in the body, then commands", func(t *testing.T) {
			bubble(t, nil, func(d *door, dial func() *client) {
				c := dial()
				begin(c)
				c.send("half\r\n")
				c.want("421 4.4.2")
				c.send("RSET\r\nMAIL FROM:<x@y.test>\r\n")
				c.want("closed")
				if d.handler.seen() != 0 {
					t.Error("a part of a message was taken for one")
				}
			})
		})
		t.Run(how[:4]+", a stall after much of the body", func(t *testing.T) {
			bubble(t, nil, func(d *door, dial func() *client) {
				c := dial()
				begin(c)
				c.send(strings.Repeat(strings.Repeat("x", 998)+"\r\n", 1000)) // at the least rate this may take an hour
				start := time.Now()
				c.want("421 4.4.2", "closed")
				if got := time.Since(start); got != 5*time.Minute {
					t.Errorf("got %v, want 5m, as long as a command may take", got)
				}
				synctest.Wait()
				if d.handler.seen() != 0 {
					t.Error("a part of a message was taken for one")
				}
			})
		})
		t.Run(how[:4]+", a body that comes fast enough, for ever", func(t *testing.T) {
			bubble(t, func(cfg *smtp.Config, _ *door) { cfg.DataTimeout = dlp.Duration(10 * time.Minute) }, func(d *door, dial func() *client) {
				c := dial()
				begin(c)
				start := time.Now()
				stop := drip(c, strings.Repeat("x", 400)+"\r\n", time.Second)
				c.want("421 4.4.2", "closed")
				if got := time.Since(start); got != 10*time.Minute {
					t.Errorf("got %v, want 10m, all the time that a message has", got)
				}
				stop()
				synctest.Wait()
				if d.handler.seen() != 0 {
					t.Error("a part of a message was taken for one")
				}
			})
		})
	}
	t.Run("an answer that does not come", func(t *testing.T) {
		bubble(t, func(_ *smtp.Config, d *door) {
			d.handler.message = func(ctx context.Context, doc *dlp.Document, _ dlp.Onward) dlp.Outcome {
				<-ctx.Done()
				return dlp.Outcome{ID: doc.ID}
			}
		}, func(_ *door, dial func() *client) {
			c := dial()
			c.want("220")
			c.say("EHLO x\r\n", "250")
			c.envelope("c@d.test")
			c.say("DATA\r\n", "354")
			start := time.Now()
			c.say("x\r\n.\r\n", "451 4.3.0")
			if got := time.Since(start); got >= 10*time.Minute {
				t.Errorf("got %v: the client has given up by then", got)
			}
		})
	})
}

// long: a list of states that a server may be stopped in
func TestShutdown(t *testing.T) {
	t.Run("idle sessions are told", func(t *testing.T) {
		d := open(t, nil)
		a, b := d.used(t), d.used(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := d.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
		a.want("421 4.3.2", "closed")
		b.want("421 4.3.2", "closed")
		wg.Wait()
		if c, err := net.Dial("tcp", d.addr); err == nil {
			c.Close()
			t.Error("still listening")
		}
	})
	t.Run("a message under way is finished", func(t *testing.T) {
		d := open(t, nil)
		c := d.hello(t)
		c.envelope("c@d.test")
		c.say("DATA\r\n", "354")
		c.send("half ")
		idle := d.used(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := d.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
		idle.want("421 4.3.2", "closed") // the shutdown has begun
		c.say("and half\r\n.\r\n", "250 2.0.0 queued", "421 4.3.2", "closed")
		wg.Wait()
		if got := d.hop.messages()[0].body; got != "half and half\r\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("who was just let in may send one message", func(t *testing.T) {
		d := open(t, nil)
		fresh, idle := d.raw(t), d.used(t)
		fresh.want("220")
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := d.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
		idle.want("421 4.3.2", "closed") // the shutdown has begun
		fresh.say("EHLO c.test\r\n", "250")
		fresh.envelope("c@d.test")
		fresh.say("DATA\r\n", "354")
		fresh.say("whole\r\n.\r\n", "250 2.0.0 queued", "421 4.3.2", "closed")
		wg.Wait()
	})
	t.Run("a connection taken from the queue as the doors close", func(t *testing.T) {
		d := &door{handler: &handler{}, hop: &memoryHop{}}
		cfg, deps := parts(t, d)
		s, err := smtp.NewServer(cfg, deps)
		if err != nil {
			t.Fatal(err)
		}
		open, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l := &lateListener{Listener: open, taken: make(chan struct{}), closed: make(chan struct{})}
		d.addr = l.Addr().String()
		served := make(chan error, 1)
		go func() { served <- s.Serve(t.Context(), l) }()
		c := d.raw(t)
		<-l.taken
		if err := s.Shutdown(t.Context()); err != nil { // waits for the session
			t.Errorf("Shutdown: %v", err)
		}
		c.want("220", "421 4.3.2", "closed")
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Run("a message that does not end is cut", func(t *testing.T) {
		d := open(t, nil)
		c := d.hello(t)
		c.envelope("c@d.test")
		c.say("DATA\r\n", "354")
		c.send("half ")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		io.Copy(io.Discard, c.br)
		if d.handler.seen() != 0 {
			t.Error("a part of a message was taken for one")
		}
	})
	t.Run("a handler is told", func(t *testing.T) {
		d := open(t, func(_ *smtp.Config, _ *smtp.Deps, d *door) {
			d.handler.message = func(ctx context.Context, doc *dlp.Document, _ dlp.Onward) dlp.Outcome {
				<-ctx.Done()
				return dlp.Outcome{ID: doc.ID}
			}
		})
		c := d.hello(t)
		c.envelope("c@d.test")
		c.say("DATA\r\n", "354")
		c.send("x\r\n.\r\n")
		eventually(t, "the handler runs", func() bool { return d.handler.seen() == 1 })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		d.Shutdown(ctx)
		if d.hop.resetCount() != 1 {
			t.Errorf("got %d resets, want 1", d.hop.resetCount())
		}
	})
	t.Run("the listener's context ends", func(t *testing.T) {
		d := &door{handler: &handler{}, hop: &memoryHop{}}
		cfg, deps := parts(t, d)
		s, err := smtp.NewServer(cfg, deps)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		d.addr = l.Addr().String()
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- s.Serve(ctx, l) }()
		c := d.used(t)
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		c.say("NOOP\r\n", "250") // sessions go on until Shutdown
		var wg sync.WaitGroup
		wg.Go(func() { s.Shutdown(t.Context()) })
		c.want("421", "closed")
		wg.Wait()
	})
}

// used is a session that has had a transaction.
func (d *door) used(t *testing.T) *client {
	t.Helper()
	c := d.hello(t)
	c.say("MAIL FROM:<a@b.test>\r\n", "250")
	c.say("RSET\r\n", "250")
	return c
}

// lateListener hands out what it has accepted only once it is closed.
type lateListener struct {
	net.Listener
	once          sync.Once
	taken, closed chan struct{}
}

func (l *lateListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		close(l.taken)
		<-l.closed
	}
	return c, err
}

func (l *lateListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// TestOneSlowClient: others do not notice.
func TestOneSlowClient(t *testing.T) {
	d := open(t, nil)
	slow := d.hello(t)
	slow.envelope("c@d.test")
	slow.say("DATA\r\n", "354")
	slow.send("x")
	c := d.hello(t)
	for range 10 {
		c.envelope("c@d.test")
		c.say("DATA\r\nx\r\n.\r\n", "354", "250")
	}
}
