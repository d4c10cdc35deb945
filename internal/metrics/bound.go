package metrics

import (
	"net"
	"sync"
)

// MaxConnections is how many connections of collectors may be open at a time:
// many of them, and too few to take the mail doors' file handles.
const MaxConnections = 64

// Bound is l with at most n connections open at a time; others wait in the
// socket's queue. Server's time-outs end each of them, so the wait ends.
func Bound(l net.Listener, n int) net.Listener {
	return &bounded{Listener: l, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

type bounded struct {
	net.Listener

	slots  chan struct{} // one for each open connection
	closed chan struct{}
	once   sync.Once
}

// Accept waits for a slot, then for a connection.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.slots <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.slots
		return nil, err
	}
	return &slotted{Conn: c, free: func() { <-b.slots }}, nil
}

// Close ends waiting.
func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

type slotted struct {
	net.Conn

	once sync.Once
	free func()
}

// Close frees the slot, once.
func (s *slotted) Close() error {
	defer s.once.Do(s.free)
	return s.Conn.Close()
}
