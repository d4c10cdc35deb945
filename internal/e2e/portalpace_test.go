package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// slowReply answers a message over a connection of its own, a piece of size bytes each
// interval, until all of it is sent or the server has said what it thinks of it. It
// returns the status, 0 for none, and whether all was sent.
func (p *pickupPages) slowReply(link, token, text string, size int, interval time.Duration) (status int, all bool, err error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("text", text); err != nil {
		return 0, false, err
	}
	if err := form.Close(); err != nil {
		return 0, false, err
	}
	path := strings.TrimPrefix(strings.Split(link, "#")[0], p.url)
	c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		return 0, false, err
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "POST %s/reply HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		path, c.RemoteAddr(), token, form.FormDataContentType(), body.Len()); err != nil {
		return 0, false, err
	}
	said := make(chan int, 1)
	go func() {
		defer close(said)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return // it has hung up
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body) // the status says it
		said <- res.StatusCode
	}()
	pace := time.NewTicker(interval)
	defer pace.Stop()
	for body.Len() > 0 {
		select {
		case status := <-said:
			return status, false, nil
		case <-pace.C:
			if _, err := c.Write(body.Next(size)); err != nil {
				return <-said, false, nil
			}
		}
	}
	return <-said, true, nil
}

// TestReplyPace: a reply that comes as a slow telephone sends it, for longer than any
// pause may be, is taken; one that comes byte by byte is given up before it is whole,
// and keeps no place from others.
func TestReplyPace(t *testing.T) {
	longTest(t)
	t.Parallel()
	p := newPickupPages(t, "")
	p.start()
	opened := func(n int) (link, token string) {
		t.Helper()
		link = p.sends(strings.Replace(pickupMail, "p-1@", fmt.Sprintf("p-%d@", n), 1))
		before := p.hop.count()
		p.ask("POST", link, "/code", "", "{}")
		_, said, _ := p.ask("POST", link, "/open", "", `{"code":"`+p.code(before)+`"}`)
		return link, said["token"].(string)
	}
	type result struct {
		status int
		all    bool
		err    error
	}
	steady, dribbles := make(chan result, 1), make(chan result, 4)
	link, token := opened(0)
	go func() {
		status, all, err := p.slowReply(link, token, strings.Repeat("a line of it\n", 80_000), 20<<10, time.Second) // a minute of it, at 20 KiB a second
		steady <- result{status, all, err}
	}()
	for n := range 3 { // and one place is left
		link, token := opened(1 + n)
		go func() {
			status, all, err := p.slowReply(link, token, strings.Repeat("x", 10_000), 1, time.Second)
			dribbles <- result{status, all, err}
		}()
	}
	for range 3 {
		if r := <-dribbles; r.err != nil || r.all || r.status == http.StatusOK {
			t.Errorf("byte by byte: %+v", r)
		}
	}
	link, token = opened(9)
	if status, all, err := p.slowReply(link, token, "at once", 1<<20, time.Millisecond); err != nil || !all || status != http.StatusOK {
		t.Errorf("a short one beside it: %d %t %v", status, all, err)
	}
	if r := <-steady; r.err != nil || !r.all || r.status != http.StatusOK {
		t.Errorf("20 KiB a second: %+v", r)
	}
	replies := 0
	eventually(t, "both have gone", func() bool {
		replies = 0
		for _, m := range p.hop.messages() {
			if m.rcpts[0] == "ada@clinic.example" {
				replies++
			}
		}
		return replies == 2
	})
}
