package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// idle opens n connections from one address that read the greeting and then
// say nothing.
func idle(t *testing.T, addr string, from net.IP, n int) []net.Conn {
	t.Helper()
	dialer := net.Dialer{Timeout: waitWithin, LocalAddr: &net.TCPAddr{IP: from}}
	conns := make([]net.Conn, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	next := make(chan int)
	for range 50 {
		wg.Go(func() {
			for i := range next {
				c, err := dialer.Dial("tcp", addr)
				if err == nil {
					_ = c.SetReadDeadline(time.Now().Add(waitWithin)) // fails only once it is closed
					var line string
					if line, err = bufio.NewReaderSize(c, 128).ReadString('\n'); err == nil && !strings.HasPrefix(line, "220 ") {
						err = fmt.Errorf("greeted with %q", line)
					}
				}
				conns[i], errs[i] = c, err
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	t.Cleanup(func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	})
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return conns
}

// idleCost opens n idle connections to a gateway and returns what each has
// added to its memory, and what it takes in all.
func idleCost(t *testing.T, n int) (each, all int64) {
	t.Helper()
	hop := newNextHop(t)
	g := newGateway(t, options{nextHop: hop.addr, smtp: fmt.Sprintf("max_connections = %d\nmax_per_client = %d", 2*n, 2*n)})
	g.start()
	before := resident(g.cmd.Process.Pid)
	idle(t, g.addr, net.IPv4(127, 0, 0, 1), n)
	all = resident(g.cmd.Process.Pid)
	return (all - before) / int64(n), all
}
