// Package accept takes connections from listeners until it is told to stop,
// and then waits for the sessions that came of them.
package accept

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// The pause after a connection that could not be accepted: out of file handles,
// most likely, and sessions will end.
const (
	firstPause = 5 * time.Millisecond
	maxPause   = time.Second
)

// Loop takes connections from any number of listeners. The zero Loop is ready;
// it is safe for use by many goroutines.
type Loop struct {
	mu        sync.Mutex // guards all below
	stopping  bool
	listeners map[net.Listener]struct{}
	cut       []context.CancelFunc // ends the sessions' contexts, one for each Serve

	serving sync.WaitGroup // each Serve that takes connections
}

// Serve hands connections from l to admit until ctx ends or Stop is called,
// closes l and returns nil; any other end is an error. The context that admit
// gets has the values of ctx and outlives it: it ends in Finish. failed is told
// of each connection that could not be accepted.
func (a *Loop) Serve(ctx context.Context, l net.Listener, admit func(context.Context, net.Conn), failed func()) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	if !a.add(l, cut) {
		cut()
		return l.Close()
	}
	defer a.serving.Done()
	defer a.drop(l)
	stop := context.AfterFunc(ctx, func() { a.drop(l) })
	defer stop()
	for pause := time.Duration(0); ; {
		conn, err := l.Accept()
		if err == nil {
			pause = 0
			admit(base, conn)
			continue
		}
		if ctx.Err() != nil || a.Stopping() {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		failed()
		pause = min(max(2*pause, firstPause), maxPause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (a *Loop) add(l net.Listener, cut context.CancelFunc) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopping {
		return false
	}
	if a.listeners == nil {
		a.listeners = map[net.Listener]struct{}{}
	}
	a.listeners[l] = struct{}{}
	a.serving.Add(1)
	a.cut = append(a.cut, cut)
	return true
}

func (a *Loop) drop(l net.Listener) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.listeners[l]; ok {
		delete(a.listeners, l)
		_ = l.Close() // nothing more can be done with it
	}
}

// Stop closes all listeners. What was accepted until then may still reach admit:
// it is no longer in the queue where another process could take it, and Finish
// waits for it. Only the first call reports true.
func (a *Loop) Stop() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := !a.stopping
	a.stopping = true
	for l := range a.listeners {
		delete(a.listeners, l)
		_ = l.Close() // nothing more can be done with it
	}
	return first
}

// Stopping reports whether Stop was called.
func (a *Loop) Stopping() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stopping
}

// Finish waits until nothing more reaches admit, then for the sessions that run,
// after Stop. When ctx ends first it ends their contexts, calls cut, which has to
// end them, waits on, and returns ctx's error.
func (a *Loop) Finish(ctx context.Context, running *sync.WaitGroup, cut func()) error {
	a.serving.Wait() // their listeners are closed
	done := make(chan struct{})
	go func() { // ends with the last session, which cut makes sure of
		running.Wait()
		close(done)
	}()
	select {
	case <-done:
		a.endContexts()
		return nil
	case <-ctx.Done():
		a.endContexts()
		cut()
		<-done
		return ctx.Err()
	}
}

func (a *Loop) endContexts() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, cut := range a.cut {
		cut()
	}
	a.cut = nil
}
