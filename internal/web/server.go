package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds of one connection.
const (
	readHeaderWithin = 10 * time.Second
	readWithin       = time.Minute
	idleWithin       = 2 * time.Minute
	maxHeader        = 64 << 10 // bytes
)

// Serve answers on ln, which it closes, until ctx ends; requests in hand then
// have stopWithin to end before they are cut. It returns once nothing of it
// runs. What net/http has to say of its clients is dropped: it quotes them.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, stopWithin time.Duration) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderWithin, ReadTimeout: readWithin, IdleTimeout: idleWithin,
		MaxHeaderBytes: maxHeader, ErrorLog: log.New(io.Discard, "", 0),
	}
	var stopping sync.WaitGroup
	done := make(chan struct{})
	var cut error
	stopping.Go(func() {
		select {
		case <-ctx.Done():
		case <-done:
		}
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		if err := srv.Shutdown(within); err != nil {
			cut = errors.Join(cut, srv.Close())
		}
	})
	err := srv.Serve(ln)
	close(done)
	stopping.Wait()
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("web: serve: %w", err)
	}
	return cut
}
