package accept_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/accept"
)

// listener gives what a test puts into it.
type listener struct {
	net.Listener // Addr is not asked for
	next         chan any
	once         sync.Once
	closed       chan struct{}
}

func newListener() *listener { return &listener{next: make(chan any, 10), closed: make(chan struct{})} }

func (l *listener) Accept() (net.Conn, error) {
	select {
	case x := <-l.next:
		if err, ok := x.(error); ok {
			return nil, err
		}
		return x.(net.Conn), nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// server is what a door does with a Loop.
type server struct {
	accept.Loop
	running  sync.WaitGroup
	mu       sync.Mutex // guards all below
	sessions []context.Context
	failed   int
}

func (s *server) admit(ctx context.Context, c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions = append(s.sessions, ctx)
	s.running.Go(func() {
		_, _ = c.Read(make([]byte, 1)) // until somebody closes it
	})
}

func (s *server) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed++
}

type key struct{}

func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s server
		l, ours := newListener(), newListener()
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		ended := make(chan error, 2)
		go func() { ended <- s.Serve(ctx, l, s.admit, s.fail) }()
		go func() { ended <- s.Serve(t.Context(), ours, s.admit, s.fail) }()
		a, b := net.Pipe()
		for range 3 {
			l.next <- errors.New("too many open files")
		}
		l.next <- a
		time.Sleep(time.Minute) // of the bubble: its pauses are over
		synctest.Wait()
		if s.failed != 3 || s.sessions[0].Value(key{}) != "value" {
			t.Errorf("%d failed, value %v, want 3 and the context's values", s.failed, s.sessions[0].Value(key{}))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve at the end of its context: %v", err)
		}
		<-l.closed
		if s.sessions[0].Err() != nil {
			t.Error("the session's context ended with the door's")
		}
		if !s.Stop() || s.Stop() || !s.Stopping() {
			t.Error("Stop is not first, then second")
		}
		if err := <-ended; err != nil {
			t.Errorf("Serve after Stop: %v", err)
		}
		late := newListener()
		if err := s.Serve(t.Context(), late, s.admit, s.fail); err != nil {
			t.Errorf("Serve of a stopped one: %v", err)
		}
		<-late.closed
		if err := s.Finish(ctx, &s.running, func() { b.Close() }); !errors.Is(err, context.Canceled) {
			t.Errorf("Finish: %v, want that its context ended", err)
		}
		if s.sessions[0].Err() == nil {
			t.Error("the session's context has not ended with Finish")
		}
		if err := s.Finish(t.Context(), &s.running, func() { t.Error("cut without need") }); err != nil {
			t.Errorf("Finish with nothing running: %v", err)
		}
	})
}

// TestClosedUnder: a listener that somebody else closes is an error.
func TestClosedUnder(t *testing.T) {
	var s server
	l := newListener()
	l.Close()
	if err := s.Serve(t.Context(), l, s.admit, s.fail); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}
