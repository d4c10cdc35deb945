package milter_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// wireMTA is a mail server's side of one connection, byte by byte: the library's
// client does not know the packet that a closing door sends.
type wireMTA struct {
	t testing.TB
	net.Conn
}

func (d *door) dialWire(t testing.TB) *wireMTA {
	t.Helper()
	conn, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	m := &wireMTA{t, conn}
	m.say("O\x00\x00\x00\x06\x00\x00\x00\x3f\x00\x1f\xff\xff")
	if got := m.hear(); got[0] != 'O' {
		t.Fatalf("negotiated %q", got)
	}
	m.say("Cclient.example\x004\x0f\xb9192.0.2.7\x00")
	m.say("Hclient.example\x00")
	return m
}

// goesOn begins and ends messages until one is not let on, and returns the answer.
func (m *wireMTA) goesOn() string {
	m.t.Helper()
	for {
		m.say("DM{daemon_name}\x00x\x00") // written apart, as Sendmail does
		m.say(mailPacket)
		if got := m.hear(); got != "c" {
			return got
		}
		m.say("A")
	}
}

const (
	mailPacket = "M<ada@clinic.example>\x00"
	turnedAway = "y421 4.3.2 Service shutting down, try again\x00"
)

func (m *wireMTA) say(packet string) {
	m.t.Helper()
	if _, err := m.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(packet))), packet...)); err != nil {
		m.t.Fatal(err)
	}
}

// hear returns the next answer, "" at the end.
func (m *wireMTA) hear() string {
	m.t.Helper()
	var n [4]byte
	if _, err := io.ReadFull(m, n[:]); err != nil {
		return ""
	}
	b := make([]byte, binary.BigEndian.Uint32(n[:]))
	if _, err := io.ReadFull(m, b); err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

// TestShutdownTurnsClientsAway holds that a closing door has the server of a
// connection between messages turn its client away (421) when it goes on, whatever
// it writes before it reads, and that one whose client was just let in has its first
// message answered.
func TestShutdownTurnsClientsAway(t *testing.T) {
	d := open(t, &handler{act: func(context.Context, *dlp.Document, dlp.Onward) dlp.Outcome { return dlp.Outcome{} }}, nil)
	used, silent, fresh := d.dialWire(t), d.dialWire(t), d.dialWire(t)
	for _, m := range []*wireMTA{used, silent} {
		m.say(mailPacket)
		if got := m.hear(); got != "c" {
			t.Fatalf("MAIL: %q, want continue", got)
		}
		m.say("A")
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Shutdown(context.Background()) }()
	if got := used.goesOn(); got != turnedAway {
		t.Errorf("between messages: %q, want 421", got)
	}
	used.Close()
	fresh.say(mailPacket)
	if got := fresh.hear(); got != "c" {
		t.Errorf("just opened: %q, want continue", got)
	}
	fresh.say("A")
	if got := fresh.goesOn(); got != turnedAway {
		t.Errorf("after its message: %q, want 421", got)
	}
	fresh.Close()
	if got := silent.hear(); got != turnedAway {
		t.Errorf("a client that does not go on: %q, want that the server knows before the connection ends", got)
	}
	if got := silent.hear(); got != "" {
		t.Errorf("then %q, want the end", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}
