package milter

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	gomilter "github.com/d--j/go-milter"

	"github.com/stanch-dlp/stanch/internal/accept"
	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/smtp"
)

// Limits are what holds for messages whichever mail door they come through.
type Limits struct {
	Hostname       string // of this gateway, in trace headers
	Contact        string // who a refused sender turns to
	MaxMessageSize int64  // bytes
	MaxRcpts       int
}

// Deps are the neighbours of the milter door.
type Deps struct {
	Handler Handler
	Buffers *buffer.Pool
	Log     *slog.Logger
	Now     func() time.Time // for trace headers and Document.Received; nil: time.Now
}

// Server is the milter door. It is safe for use by many goroutines.
type Server struct {
	cfg    Config
	limits Limits
	d      Deps
	nets   []netip.Prefix

	loop     accept.Loop
	mu       sync.Mutex // guards all below
	sessions map[*session]struct{}
	running  sync.WaitGroup // sessions
}

// errUnfit is returned by NewServer for Deps without which no mail can flow.
var errUnfit = errors.New("milter: a Handler, Buffers and a Log are needed")

// NewServer checks cfg and returns a Server that does not listen yet.
func NewServer(cfg Config, limits Limits, d Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if d.Handler == nil || d.Buffers == nil || d.Log == nil {
		return nil, errUnfit
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	nets, _ := smtp.ParseNetworks(cfg.Networks) // Validate has accepted them
	return &Server{cfg: cfg, limits: limits, d: d, nets: nets, sessions: map[*session]struct{}{}}, nil
}

// Serve takes connections from l until ctx ends or Shutdown is called, closes l
// and returns nil; any other end is an error. Connections go on after it:
// Shutdown waits for them. Values of ctx reach the Handler, its end does not.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return s.loop.Serve(ctx, l, s.admit, func() { s.d.Log.LogAttrs(ctx, slog.LevelWarn, "connection not accepted") })
}

// admit starts a session for conn, or closes it: the server's
// milter_default_action then has its client try again.
func (s *Server) admit(ctx context.Context, conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) >= s.cfg.MaxConnections || !s.mayConnect(conn) {
		_ = conn.Close()
		s.d.Log.LogAttrs(ctx, slog.LevelWarn, "milter connection refused")
		return
	}
	x := newSession(ctx, s, conn)
	s.sessions[x] = struct{}{}
	if s.loop.Stopping() { // it was accepted as the door closed
		x.conn.stop()
	}
	s.running.Go(func() {
		defer s.leave(x)
		x.run()
	})
}

// mayConnect reports whether conn comes from one of the networks, or through a
// socket whose permissions have let it through.
func (s *Server) mayConnect(conn net.Conn) bool {
	if _, local := conn.LocalAddr().(*net.UnixAddr); local {
		return true
	}
	ap, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	a := ap.Addr().Unmap().WithZone("")
	return err == nil && slices.ContainsFunc(s.nets, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (s *Server) leave(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, x)
}

// Shutdown stops accepting, and waits for connections inside a message or a packet.
// One between messages stays open for 3 s: where its client goes on the server is
// told to turn it away with 421, but a first message is taken. When ctx ends first, Handlers are told so, all connections
// are closed, and once they have ended ctx's error is returned. A server whose
// connection ends has its client try again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.loop.Stop()
	s.mu.Lock()
	for x := range s.sessions {
		x.conn.stop()
	}
	s.mu.Unlock()
	return s.loop.Finish(ctx, &s.running, s.cutAll)
}

// cutAll closes every connection.
func (s *Server) cutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := range s.sessions {
		_ = x.conn.conn.Close() // under the session, which then ends
	}
}

// wanted is what the door would do with a message, and never how it would like
// to be spoken to: leading spaces as they are, no events that say nothing, no
// answers where none is of use.
const (
	wantedActions = gomilter.OptAddHeader | gomilter.OptChangeHeader | gomilter.OptChangeBody |
		gomilter.OptRemoveRcpt | gomilter.OptQuarantine
	wantedProtocol = gomilter.OptHeaderLeadingSpace | gomilter.OptNoUnknown |
		gomilter.OptNoConnReply | gomilter.OptNoHeloReply | gomilter.OptNoDataReply |
		gomilter.OptNoHeaderReply | gomilter.OptNoEOHReply | gomilter.OptNoBodyReply
)

// negotiate settles for what the server offers. One that cannot add a header
// field would lose every tag, and gets no answer.
func negotiate(theirs, ours uint32, actions, _ gomilter.OptAction, protocol, _ gomilter.OptProtocol, offered gomilter.DataSize) (
	uint32, gomilter.OptAction, gomilter.OptProtocol, gomilter.DataSize, error) {
	if theirs < 2 || actions&gomilter.OptAddHeader == 0 {
		return 0, 0, 0, 0, net.ErrClosed // what the library says nothing about
	}
	return min(theirs, ours), actions & wantedActions, protocol & wantedProtocol, offered, nil
}

// run speaks with one server until the connection ends. The library gets a
// server of its own for each connection: only so does it tell which connection
// a message came over.
func (x *session) run() {
	lib := gomilter.NewServer(gomilter.WithMilter(func() gomilter.Milter { return x }),
		gomilter.WithActions(wantedActions), gomilter.WithProtocols(wantedProtocol), gomilter.WithNegotiationCallback(negotiate))
	_ = lib.Serve(&single{guard: x.conn}) // its error is that there is no second connection
	x.end()
}

// single is a listener with one connection. It waits for its end.
type single struct {
	guard *guard
	given bool
}

func (l *single) Accept() (net.Conn, error) {
	if !l.given {
		l.given = true
		return l.guard, nil
	}
	<-l.guard.closed
	return nil, net.ErrClosed
}

func (l *single) Close() error   { return nil }
func (l *single) Addr() net.Addr { return l.guard.LocalAddr() }
