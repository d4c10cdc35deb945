package smtp_test

import (
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
