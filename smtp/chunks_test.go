package smtp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/smtp"
)

// TestChunksAreGivenBack: what came by BDAT and is given up takes no room.
func TestChunksAreGivenBack(t *testing.T) {
	for name, end := range map[string]func(c *client){
		"RSET":     func(c *client) { c.say("RSET\r\n", "250") },
		"EHLO":     func(c *client) { c.say("EHLO client.example\r\n", "250") },
		"vanished": func(c *client) { c.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			var pool *buffer.Pool
			d := open(t, func(_ *smtp.Config, deps *smtp.Deps, _ *door) { pool = deps.Buffers })
			c := d.hello(t)
			c.envelope("bob@out.test")
			c.say("BDAT 100000\r\n"+strings.Repeat("Subject\r\n ", 10_000), "250 2.0.0")
			if pool.Usage() == (buffer.Usage{}) {
				t.Fatal("the chunk takes no room")
			}
			end(c)
			for limit := time.Now().Add(time.Minute); pool.Usage() != (buffer.Usage{}); time.Sleep(time.Millisecond) {
				if time.Now().After(limit) {
					t.Fatalf("%+v are still taken", pool.Usage())
				}
			}
		})
	}
}

// TestChunksShareOneCeiling: what a message may have beyond its limit, before it
// is no longer read, is counted over all of its chunks.
func TestChunksShareOneCeiling(t *testing.T) {
	const limit = 64 << 10
	d := open(t, func(cfg *smtp.Config, _ *smtp.Deps, _ *door) { cfg.MaxMessageSize = limit })
	line := strings.Repeat("x", 98) + "\r\n"
	for _, tc := range []struct {
		name string
		size int
		want []string
	}{
		{"within twice the limit", limit, []string{"552 5.3.4"}},
		{"beyond", 2 * limit, []string{"552 5.3.4", "closed"}}, // before a byte of it was sent
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := d.hello(t)
			c.envelope("bob@out.test")
			c.say(fmt.Sprintf("BDAT %d\r\n%s", 600*len(line), strings.Repeat(line, 600)), "250 2.0.0")
			c.send(fmt.Sprintf("BDAT %d LAST\r\n", tc.size))
			if len(tc.want) == 1 {
				c.send(strings.Repeat(line, tc.size/len(line)) + strings.Repeat("x", tc.size%len(line)))
			}
			c.want(tc.want...)
		})
	}
}

// TestRefusedChunkIsAnswered: a chunk that makes the message too large is refused
// when it has come, though more are to come, and the message with it.
func TestRefusedChunkIsAnswered(t *testing.T) {
	d := open(t, func(cfg *smtp.Config, _ *smtp.Deps, _ *door) { cfg.MaxMessageSize = 64 << 10 })
	c := d.hello(t)
	c.envelope("bob@out.test")
	line := strings.Repeat("x", 98) + "\r\n"
	c.say("BDAT 65000\r\n"+strings.Repeat(line, 650), "250 2.0.0 65000 octets")
	c.say("BDAT 1000\r\n"+strings.Repeat(line, 10), "552 5.3.4")
	c.say("BDAT 2 LAST\r\n\r\n", "503 5.5.1") // the transaction is over
	if n := d.handler.seen(); n != 0 {
		t.Errorf("%d messages were judged", n)
	}
}
