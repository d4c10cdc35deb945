package smtp_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// What a scripted next hop does instead of replying.
const (
	hangUp  = "hang up"
	silence = "silence"
)

// wireHop is a scripted next hop that speaks SMTP over real connections. Its
// end of data is the last five bytes CRLF.CRLF and nothing else.
type wireHop struct {
	greeting string // "" is "220 hop.test ESMTP"
	ext      []string
	tls      *tls.Config
	// on answers a command of the conn-th connection, counted from 1; "." is
	// the end of data. "" is the usual answer.
	on func(conn int, command string) string

	mu     sync.Mutex // guards below
	conns  int
	lines  []string
	bodies []string // as on the wire, end mark included
	wg     sync.WaitGroup
}

// listen serves h on the loopback and returns its address.
func (h *wireHop) listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			h.wg.Go(func() { h.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		h.wg.Wait()
	})
	return l.Addr().String()
}

func (h *wireHop) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	h.mu.Lock()
	h.conns++
	n := h.conns
	h.mu.Unlock()
	br := bufio.NewReader(conn)
	chunks := ""
	answer := func(command, usual string) bool {
		r := ""
		if h.on != nil {
			r = h.on(n, command)
		}
		switch r {
		case hangUp:
			return false
		case silence:
			io.Copy(io.Discard, br)
			return false
		case "":
			r = usual
		}
		_, err := io.WriteString(conn, strings.ReplaceAll(r, "\n", "\r\n")+"\r\n")
		return err == nil
	}
	greeting := "220 hop.test ESMTP"
	if h.greeting != "" {
		greeting = h.greeting
	}
	if !answer("", greeting) {
		return
	}
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		h.mu.Lock()
		h.lines = append(h.lines, line)
		h.mu.Unlock()
		verb, _, _ := strings.Cut(line, " ")
		usual := "250 2.0.0 OK"
		switch verb {
		case "EHLO", "LHLO":
			lines := append([]string{"hop.test"}, h.ext...)
			usual = "250-" + strings.Join(lines[:len(lines)-1], "\n250-") + "\n250 " + lines[len(lines)-1]
			if len(lines) == 1 {
				usual = "250 hop.test"
			}
		case "QUIT":
			answer(line, "221 2.0.0 Bye")
			return
		case "STARTTLS":
			if !answer(line, "220 2.0.0 Go") || h.tls == nil {
				return
			}
			conn = tls.Server(conn, h.tls)
			br = bufio.NewReader(conn)
			continue
		case "BDAT":
			var n int64
			last := strings.HasSuffix(line, " LAST")
			if _, err := fmt.Sscanf(line, "BDAT %d", &n); err != nil {
				return
			}
			b, err := io.ReadAll(io.LimitReader(br, n))
			if err != nil || int64(len(b)) < n {
				return
			}
			chunks += string(b)
			if last {
				h.mu.Lock()
				h.bodies = append(h.bodies, chunks)
				h.mu.Unlock()
				chunks = ""
			}
		case "DATA":
			usual = "354 Go"
			if h.on != nil && h.on(n, "DATA") != "" {
				break
			}
			if !answer(line, usual) || !h.data(br) {
				return
			}
			line, usual = ".", "250 2.0.0 queued as 7\n"
			usual = strings.TrimSpace(usual)
		}
		if !answer(line, usual) {
			return
		}
	}
}

func (h *wireHop) data(br *bufio.Reader) bool {
	wire := []byte("\r\n")
	for !bytes.HasSuffix(wire, []byte("\r\n.\r\n")) {
		c, err := br.ReadByte()
		if err != nil {
			return false
		}
		wire = append(wire, c)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bodies = append(h.bodies, string(wire[2:]))
	return true
}

func (h *wireHop) seen() (conns int, lines, bodies []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conns, append([]string(nil), h.lines...), append([]string(nil), h.bodies...)
}

// said is what the next hop was told in order, without greetings: a connection
// opened beside to see what it offers says no more.
func (h *wireHop) said() string {
	_, lines, _ := h.seen()
	var out []string
	for _, l := range lines {
		if !strings.HasPrefix(l, "EHLO ") {
			out = append(out, l)
		}
	}
	return strings.Join(out, "|")
}
