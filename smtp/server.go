package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/accept"
	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/metrics"
)

// Deps are the neighbours of the mail door.
type Deps struct {
	Handler Handler
	NextHop NextHop
	// Withholds reports whether the envelope of doc, which is all there is of it
	// yet, must not go on before the message is judged. Nil: every envelope may.
	Withholds func(ctx context.Context, doc *dlp.Document) bool
	Buffers   *buffer.Pool
	TLS       *tls.Config // nil: STARTTLS is not offered
	Users     *Users      // who may log in; nil: nobody
	Log       *slog.Logger
	Metrics   *metrics.Set     // nil: nothing is counted
	Now       func() time.Time // for trace headers and Document.Received; nil: time.Now
}

// Server is the mail door. It is safe for use by many goroutines.
type Server struct {
	cfg               Config
	d                 Deps
	nets              []netip.Prefix
	proxies, xclients []netip.Prefix // who may speak for others, by PROXY and by XCLIENT
	gate              *gate
	bodies            sync.Pool // *[largeBuffer]byte, lent while a body is read

	loop      accept.Loop
	mu        sync.Mutex // guards all below
	sessions  map[*session]struct{}
	perClient map[netip.Addr]int
	running   sync.WaitGroup // sessions
}

// errUnfit is returned by NewServer for Deps without which no mail can flow.
var errUnfit = errors.New("smtp: a Handler, a NextHop, Buffers and a Log are needed")

// NewServer checks cfg and returns a Server that does not listen yet.
func NewServer(cfg Config, d Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if d.Handler == nil || d.NextHop == nil || d.Buffers == nil || d.Log == nil {
		return nil, errUnfit
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	nets, _ := ParseNetworks(cfg.Networks) // Validate has accepted them
	proxies, _ := ParseNetworks(cfg.ProxyFrom)
	xclients, _ := ParseNetworks(cfg.XClientFrom)
	offersOf(d.NextHop) // so that it is known when the first client asks
	return &Server{
		cfg: cfg, d: d, nets: nets, proxies: proxies, xclients: xclients, gate: newGate(),
		bodies:    sync.Pool{New: func() any { return new([largeBuffer]byte) }},
		sessions:  map[*session]struct{}{},
		perClient: map[netip.Addr]int{},
	}, nil
}

// Serve takes sessions from l until ctx ends or Shutdown is called, closes l
// and returns nil; any other end is an error. Sessions go on after it: Shutdown
// waits for them. Values of ctx reach the Handler, its end does not.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return s.ServeDoor(ctx, l, Door{})
}

// ServeDoor is Serve for a door of its own kind; d's address does not matter.
func (s *Server) ServeDoor(ctx context.Context, l net.Listener, d Door) error {
	d = d.filled()
	return s.loop.Serve(ctx, l, func(ctx context.Context, conn net.Conn) { s.admit(ctx, conn, d) },
		func() { s.d.Log.LogAttrs(ctx, slog.LevelWarn, "connection not accepted") })
}

// admit starts a session for conn, or tells it why there is none.
func (s *Server) admit(ctx context.Context, conn net.Conn, d Door) {
	refused, ok := s.enter(ctx, conn, d)
	if ok {
		return
	}
	if d.TLS == DoorTLSImplicit {
		_ = conn.Close() // who waits for TLS could not read the courtesy
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write(appendReply(nil, refused)) // a courtesy: the connection ends either way
	_ = conn.Close()
	s.d.Metrics.Refusal(refused.Code)
	s.d.Log.LogAttrs(ctx, slog.LevelInfo, "connection refused", slog.Int("code", refused.Code))
}

// enter holds conn to the limits and starts its session, or returns the reply
// that refuses it.
//
// Of the slots the last tenth, at least one where there are two, is only for
// clients of the networks without a session: neither one busy client nor any
// number of strangers that may log in keeps another out.
func (s *Server) enter(ctx context.Context, conn net.Conn, d Door) (dlp.Reply, bool) {
	client := clientAddr(conn)
	if d.Proxy && !within(s.proxies, client) || !d.Proxy && !s.enters(d, client) {
		return replyDenied, false
	}
	one := !s.multiplexed(d, client)
	stranger := !d.Proxy && !within(s.nets, client)
	key := clientKey(client)
	s.mu.Lock()
	defer s.mu.Unlock()
	reserved := s.cfg.MaxConnections / 10
	if s.cfg.MaxConnections > 1 {
		reserved = max(reserved, 1)
	}
	n, mine := len(s.sessions), s.perClient[key]
	switch {
	case n >= s.cfg.MaxConnections, (stranger || one && mine > 0) && n >= s.cfg.MaxConnections-reserved:
		return replyBusy, false
	case one && mine >= s.cfg.MaxPerClient:
		return replyBusyClient, false
	}
	x := newSession(s, conn, client, d)
	if s.loop.Stopping() {
		x.stop() // Shutdown does not see it any more
	}
	s.sessions[x] = struct{}{}
	s.perClient[key]++
	s.d.Metrics.SessionOpened()
	s.running.Go(func() {
		defer s.leave(x)
		x.run(ctx)
	})
	return dlp.Reply{}, true
}

func (s *Server) leave(x *session) {
	s.giveUp(x)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, x)
	s.d.Metrics.SessionClosed()
}

// giveUp takes x off what its client has, once: at QUIT, before the answer. A
// client that then comes straight back is not counted twice while the old
// connection closes.
func (s *Server) giveUp(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.uncounted {
		return
	}
	x.uncounted = true
	key := clientKey(x.client)
	if s.perClient[key]--; s.perClient[key] == 0 {
		delete(s.perClient, key)
	}
}

// move counts x as client's from now on, unless client has as many as it may.
// x's own goroutine calls it.
func (s *Server) move(x *session, client netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, to := clientKey(x.client), clientKey(client)
	if from != to {
		if s.perClient[to] >= s.cfg.MaxPerClient {
			return false
		}
		s.perClient[to]++
		if s.perClient[from]--; s.perClient[from] == 0 {
			delete(s.perClient, from)
		}
	}
	x.client = client
	return true
}

// clientAddr is the address conn comes from; the zero Addr, which is in no
// network, when it has none.
func clientAddr(conn net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// clientKey is what counts as one client: an IPv4 address or an IPv6 /64, of
// which one host has every address.
func clientKey(a netip.Addr) netip.Addr {
	if p, err := a.Prefix(64); err == nil && a.Is6() {
		return p.Addr()
	}
	return a
}

// Shutdown stops accepting, ends sessions between messages with 421, and waits
// for those inside one and for those just opened, which may have one (see
// firstMessage). When ctx ends first, Handlers are told so, all
// connections are closed, and once the sessions have ended ctx's error is
// returned.
func (s *Server) Shutdown(ctx context.Context) error {
	first := s.loop.Stop()
	s.mu.Lock()
	for x := range s.sessions {
		x.stop()
	}
	s.mu.Unlock()
	if first {
		s.gate.guesses.stop()
	}
	return s.loop.Finish(ctx, &s.running, s.cutAll)
}

// cutAll closes every connection.
func (s *Server) cutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := range s.sessions {
		x.cut()
	}
}
