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
	if err := l.Free(t.Context(), doors); err == nil || !strings.HasPrefix(err.Error(), "smtp.listen: ") || !strings.Contains(err.Error(), "ss -ltnp") {
		t.Errorf("taken: got %v, want its key, and how to learn who has it", err)
	}
	nowhere := []service.Door{{Name: "smtp", Key: "smtp.listen", Addr: "192.0.2.1:2525"}} // documentation's own: no machine has it
	if err := l.Free(t.Context(), nowhere); err == nil || !strings.Contains(err.Error(), "set an address of this machine") {
		t.Errorf("no address of this machine: got %v", err)
	}
	ln.Close()
	for range 2 {
		if err := l.Free(t.Context(), doors); err != nil {
			t.Errorf("free: %v", err)
		}
	}
}
