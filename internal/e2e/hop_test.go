package e2e

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// What a script may answer instead of a reply.
const (
	hang = "hang" // nothing, until the connection or the test ends
	drop = "drop" // the connection is closed
	lose = "lose" // to the end of data: the message is taken, and the connection closed
)

// nextHop is a mail server that does what a test tells it to. With no script it
// takes everything.
type nextHop struct {
	addr string

	mu     sync.Mutex // guards all below
	ln     net.Listener
	script func(verb, arg string, tx hopMail) string // "" for the usual reply
	taken  []hopMail
	conns  map[net.Conn]struct{}
	wg     sync.WaitGroup
	keep   bool   // bodies are kept
	books  *books // nil: none are kept
	lmtp   bool   // it speaks LMTP: DOT is asked for each recipient, which is its arg
}

// hopMail is one transaction as the next hop sees it.
type hopMail struct {
	from, text string
	rcpts      []string
}

func newNextHop(t testing.TB) *nextHop {
	t.Helper()
	h := &nextHop{addr: freeAddr(t), conns: map[net.Conn]struct{}{}, keep: true}
	h.listen(t)
	t.Cleanup(h.close)
	return h
}

// listen opens the door, on the same port as before.
func (h *nextHop) listen(t testing.TB) {
	t.Helper()
	ln, err := net.Listen("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	h.ln, h.addr = ln, ln.Addr().String()
	h.mu.Unlock()
	h.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			closed := h.ln != ln // while this one was taken
			if !closed {
				h.conns[c] = struct{}{}
			}
			h.mu.Unlock()
			if closed {
				c.Close()
				return
			}
			h.wg.Go(func() { h.serve(c) })
		}
	})
}

// close ends the door and every connection, and waits for them.
func (h *nextHop) close() {
	h.mu.Lock()
	syscall.ForkLock.RLock() // as in free: listen may come again
	if h.ln != nil {
		h.ln.Close()
		h.ln = nil
	}
	syscall.ForkLock.RUnlock()
	for c := range h.conns {
		c.Close()
	}
	h.mu.Unlock()
	h.wg.Wait()
}

// follow puts script in force from the next command on.
func (h *nextHop) follow(script func(verb, arg string, tx hopMail) string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.script = script
}

// always is the script that gives one reply to one verb.
func always(verb, reply string) func(string, string, hopMail) string {
	return func(v, _ string, _ hopMail) string {
		if v == verb {
			return reply
		}
		return ""
	}
}

// messages are those that were taken.
func (h *nextHop) messages() []hopMail {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]hopMail(nil), h.taken...)
}

// count is how many those are.
func (h *nextHop) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.taken)
}

// drain forgets what was taken.
func (h *nextHop) drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken = nil
}

// usual are the replies of a server that takes everything. DOT stands for the
// end of data.
var usual = map[string]string{
	"GREETING": "220 hop.example ESMTP", "EHLO": "250-hop.example\r\n250-PIPELINING\r\n250 8BITMIME", "MAIL": "250 2.1.0 ok",
	"LHLO": "250-hop.example\r\n250-PIPELINING\r\n250 8BITMIME", "RCPT": "250 2.1.5 ok", "DATA": "354 go on", "DOT": "250 2.0.0 taken", "RSET": "250 2.0.0 ok", "QUIT": "221 2.0.0 bye",
}

func (h *nextHop) serve(c net.Conn) {
	defer func() {
		c.Close()
		h.mu.Lock()
		delete(h.conns, c)
		h.mu.Unlock()
	}()
	in := bufio.NewReaderSize(c, 64<<10)
	var tx hopMail
	if code := h.answer(c, "GREETING", "", tx); code == "" {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
		code := h.answer(c, verb, arg, tx)
		switch {
		case code == "" || verb == "QUIT":
			return
		case verb == "MAIL" && code == "2":
			tx = hopMail{from: between(arg)}
		case verb == "RCPT" && code == "2":
			tx.rcpts = append(tx.rcpts, between(arg))
		case verb == "RSET":
			tx = hopMail{}
		case verb == "DATA" && code == "3":
			if tx.text, err = h.body(in); err != nil {
				return
			}
			for _, each := range h.answered(tx) {
				if code = h.answer(c, "DOT", strings.Join(each.rcpts, " "), each); code == "" {
					return
				}
			}
			tx = hopMail{}
		}
	}
}

// answered are the messages that tx is, each with an answer of its own after the
// end of data. RFC 2033 4.2.
func (h *nextHop) answered(tx hopMail) []hopMail {
	if !h.lmtp {
		return []hopMail{tx}
	}
	var out []hopMail
	for _, r := range tx.rcpts {
		out = append(out, hopMail{tx.from, tx.text, []string{r}})
	}
	return out
}

// body reads up to the end of data, dots taken off.
func (h *nextHop) body(in *bufio.Reader) (string, error) {
	var b bytes.Buffer
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		if string(line) == ".\r\n" {
			return b.String(), nil
		}
		if h.keep || h.books != nil {
			b.Write(bytes.TrimPrefix(line, []byte(".")))
		}
	}
}

// answer replies to verb, and returns the class of the reply, "" when the
// connection is to end.
func (h *nextHop) answer(c net.Conn, verb, arg string, tx hopMail) string {
	h.mu.Lock()
	reply := ""
	if h.script != nil {
		reply = h.script(verb, arg, tx)
	}
	if reply == "" {
		if reply = usual[verb]; reply == "" {
			reply = "502 5.5.1 no"
		}
	}
	if verb == "DOT" {
		h.note(tx, reply)
	}
	h.mu.Unlock()
	switch reply {
	case drop, lose:
		return ""
	case hang:
		_, _ = io.Copy(io.Discard, c) // until the other side gives up or the test ends
		return ""
	}
	if _, err := io.WriteString(c, reply+"\r\n"); err != nil {
		return ""
	}
	return reply[:1]
}

// note keeps a message to whose end the answer is reply. h.mu is held.
func (h *nextHop) note(tx hopMail, reply string) {
	outcome := reply
	switch {
	case reply == lose:
		outcome = "drop"
	case reply == drop:
		outcome = "drop-before"
	case reply[0] == '2':
		outcome = "250"
	}
	if h.books != nil {
		h.books.took(tx, outcome)
	}
	if outcome != "250" && reply != lose {
		return
	}
	if !h.keep {
		tx.text = ""
	}
	h.taken = append(h.taken, tx)
}

// between is the address in <>.
func between(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}
