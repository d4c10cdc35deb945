package service_test

import (
	"net"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/service"
)

// TestFree: an address that another has is told by its key, and one that nobody has
// stays so.
func TestFree(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.31:0") // where no other program takes the port once it is free
	if err != nil {
		t.Fatal(err)
	}
	doors := []service.Door{{Name: "milter", Key: "milter.listen", Addr: "unix:/nowhere/at/all"}, {Name: "smtp", Key: "smtp.listen", Addr: ln.Addr().String()}}
	var l service.Listeners
	if err := l.Free(t.Context(), doors); err == nil || !strings.HasPrefix(err.Error(), "smtp.listen: ") {
		t.Errorf("taken: got %v", err)
	}
	ln.Close()
	for range 2 {
		if err := l.Free(t.Context(), doors); err != nil {
			t.Errorf("free: %v", err)
		}
	}
}
