package e2e

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// client speaks SMTP line by line, for what a proper client does not do.
type client struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// dial connects to the mail door and says EHLO.
func dial(t testing.TB, g *gateway) *client {
	t.Helper()
	c := &client{t: t}
	conn, err := net.DialTimeout("tcp", g.addr, waitWithin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	c.use(conn)
	if got := c.reply(); !strings.HasPrefix(got, "220 ") {
		t.Fatalf("greeting %q", got)
	}
	c.want("EHLO client.example", "250")
	return c
}

func (c *client) use(conn net.Conn) {
	c.conn, c.in = conn, bufio.NewReader(conn)
	_ = conn.SetDeadline(time.Now().Add(2 * waitWithin)) // fails only once it is closed
}

// put sends s as it is.
func (c *client) put(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatal(err)
	}
}

// reply reads one reply, its lines joined by LF.
func (c *client) reply() string {
	c.t.Helper()
	var lines []string
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatalf("reply: %v after %q", err, lines)
		}
		lines = append(lines, strings.TrimRight(line, "\r\n"))
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(lines, "\n")
		}
	}
}

// want sends a line and checks how its reply begins.
func (c *client) want(line, begins string) string {
	c.t.Helper()
	c.put(line + "\r\n")
	got := c.reply()
	if !strings.HasPrefix(got, begins) {
		c.t.Errorf("%.60s: answered %q, want %s", line, got, begins)
	}
	return got
}

// secure goes on under TLS, whoever the server is.
func (c *client) secure() *tls.Conn {
	c.t.Helper()
	conn := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) // the certificate is the test's own
	if err := conn.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.use(conn)
	return conn
}

// cut ends the connection without reading what was answered.
func (c *client) cut() { c.conn.Close() }

func dialRaw(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, waitWithin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
