package extract

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/wire"
)

// TestCloseWaitsForNoneInTurn: a child that cannot end keeps no other from being
// ended, and Close only for so long.
func TestCloseWaitsForNoneInTurn(t *testing.T) {
	cfg := Default()
	cfg.Workers, cfg.OCR.Enabled, cfg.Sandbox = 2, OCROff, SandboxOff
	p, err := NewPool(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	var cs []*child
	for range 2 {
		<-p.lanes[wire.Plain].slots
		c, err := p.spawn(wire.Plain)
		if err != nil {
			t.Fatal(err)
		}
		p.lanes[wire.Plain].slots <- c
		cs = append(cs, c)
	}
	stuck, well := cs[0], cs[1]
	if err := stuck.proc.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.within = time.Hour
	closed := make(chan error)
	go func() { closed <- p.Close() }()
	<-well.gone
	select {
	case <-stuck.gone:
		t.Error("one child was ended only after another that had to be killed")
	default:
	}
	_ = stuck.proc.Signal(unix.SIGCONT) // it may be gone
	if err := <-closed; err != nil {
		t.Error(err)
	}

	if p, err = NewPool(cfg, Deps{}); err != nil {
		t.Fatal(err)
	}
	<-p.lanes[wire.Plain].slots
	if stuck, err = p.spawn(wire.Plain); err != nil {
		t.Fatal(err)
	}
	p.lanes[wire.Plain].slots <- stuck
	if err := stuck.proc.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.within = time.Millisecond
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if got := stuck.ending(); got != "sigkill" {
		t.Errorf("a child that does not end: ended by %s, want sigkill", got)
	}
}

// TestSuccessorOfOneThatDiedIdle: it takes the place of a child that died between
// two documents, and is not left behind.
func TestSuccessorOfOneThatDiedIdle(t *testing.T) {
	cfg := Default()
	cfg.Workers, cfg.RecycleDocuments, cfg.OCR.Enabled, cfg.Sandbox = 1, 8, OCROff, SandboxOff
	p, err := NewPool(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	read := func() {
		t.Helper()
		if err := p.Extract(t.Context(), document("Subject: x\r\n\r\none of several\r\n"), &discard{}); err != nil {
			t.Fatal(err)
		}
	}
	for range cfg.RecycleDocuments - 1 {
		read()
	}
	slots := p.lanes[wire.Plain].slots
	c := <-slots
	next := make(chan *child, 1)
	want := <-c.next
	next <- want
	c.next = next
	if want == nil {
		t.Error("its successor was not started")
	}
	_ = c.proc.Kill() // it waits for a document
	<-c.gone
	slots <- c
	read()
	got := <-slots
	slots <- got
	if got != want {
		t.Error("the next document was not read by the successor")
	}
}
