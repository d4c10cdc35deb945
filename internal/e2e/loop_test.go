package e2e

import (
	"strings"
	"testing"
)

// TestOwnLoop: a message that comes back with all that stands above it passes
// twice on its way to the same recipient, as own routing may ask for, and is
// refused when it comes once more; to somebody else it passes.
func TestOwnLoop(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.start()
	msg := "From: <ada@clinic.example>\r\nMessage-ID: <loop.1@clinic.example>\r\nSubject: x\r\n\r\nround and round\r\n"
	for range 2 {
		if a, err := g.send("ada@clinic.example", []string{"sam@partner.example"}, msg); err != nil {
			t.Fatalf("%s, %v", a, err)
		}
		for _, m := range g.delivered() {
			if len(m) > len(msg) {
				msg = m
			}
		}
	}
	g.kill()
	g.start() // the marks are known by the key, not by memory
	_, err := g.send("ada@clinic.example", []string{"sam@partner.example"}, msg)
	if err == nil || !strings.Contains(err.Error(), "554") || !strings.Contains(err.Error(), "loops") {
		t.Errorf("for the third time: %v, want 554", err)
	}
	if _, err := g.send("ada@clinic.example", []string{"ann@partner.example"}, msg); err != nil {
		t.Errorf("to somebody else: %v", err)
	}
	if n := len(g.delivered()); n != 3 {
		t.Errorf("%d delivered, want 3", n)
	}
	if strings.Count(msg, "X-Stanch-Loop: v1;") != 2 {
		t.Errorf("what stands above the message: %s", msg)
	}
}
