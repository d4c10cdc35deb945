package milter_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestFarBeyondAllBounds: a message that goes on long after it is refused ends
// the connection, though its server would go on for ever.
func TestFarBeyondAllBounds(t *testing.T) {
	d := open(t, &handler{act: pass}, nil)
	for name, more := range map[string][]byte{
		"body":   packet('B', strings.Repeat("x\r\n", 20000)),
		"header": packet('L', "X\x00"+strings.Repeat("x", 60000)+"\x00"),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", d.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(2 * time.Minute)) // fails only once it is closed
			hello := [][]byte{options, packet('M', "<a@b.example>\x00"), packet('R', "<c@d.example>\x00")}
			go func() {
				_, _ = c.Write(bytes.Join(append(hello, slicesRepeat(more, 60)...), nil)) // it may be closed in the middle
			}()
			if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("got %v, want the connection closed", err)
			}
		})
	}
}

// TestAnotherClientBeginsAnew: nothing of a message that a client left behind
// comes to one of the next client, nor is it ended by that one.
func TestAnotherClientBeginsAnew(t *testing.T) {
	h := &handler{act: pass}
	d := open(t, h, nil)
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute)) // fails only once it is closed
	// The library ends what was left before a command that belongs before it, so
	// the next client says none of these.
	all := [][]byte{options, packet('C', "client\x004\x10\x19192.0.2.7\x00"), packet('H', "client\x00"),
		packet('M', "<a@b.example>\x00"), packet('R', "<c@d.example>\x00"), packet('K', ""),
		packet('L', "a\x00b\x00"), packet('N', ""), packet('B', "another's\r\n"), packet('E', ""), packet('Q', "")}
	if _, err := c.Write(bytes.Join(all, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("got %v, want the connection closed", err)
	}
	if len(h.docs) != 0 {
		t.Errorf("%d documents reached the gateway, want none", len(h.docs))
	}
}
