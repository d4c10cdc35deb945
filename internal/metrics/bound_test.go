package metrics_test

import (
	"errors"
	"net"
	"testing"

	"github.com/stanch-dlp/stanch/internal/metrics"
)

// TestBound: one connection more than the bound is accepted only when another
// has ended, and a closed listener waits no longer.
func TestBound(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := metrics.Bound(ln, metrics.MaxConnections)
	dial := func() {
		t.Helper()
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	var open []net.Conn
	for range metrics.MaxConnections {
		dial()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	dial()
	ended := make(chan error, 1)
	accept := func() {
		c, err := l.Accept()
		if err == nil {
			open = append(open, c)
		}
		ended <- err
	}
	go accept()
	select {
	case err := <-ended:
		t.Fatalf("one more than the bound: accepted, %v", err)
	default:
	}
	open[0].Close()
	open[0].Close() // a slot is freed once
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	defer open[len(open)-1].Close()
	go accept()
	l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: got %v, want %v", err, net.ErrClosed)
	}
}
