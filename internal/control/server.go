package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/safelog"
)

// Name is the socket's file name in data_dir.
const Name = "control.sock"

// maxCalls bounds the calls served at once; one operator's shell needs few.
// Of these maxExports may be exports, which last as long as their reader likes:
// further ones are told to come back, so that other calls are always served.
const (
	maxCalls   = 16
	maxExports = 8
)

// sunPathMax is how long a socket's path may be: sockaddr_un.sun_path has 108
// bytes on Linux, its terminating NUL included (unix(7)).
const sunPathMax = 107

// Server answers commands on the socket.
type Server struct {
	desk     Desk
	log      *slog.Logger
	http     *http.Server
	slots    chan struct{}
	exports  chan struct{}
	of       Process  // nil: calls about the process are refused
	replayer Replayer // nil: nothing is replayed
	reporter Reporter // nil: nothing is counted
}

// NewServer makes a Server that passes calls to desk.
func NewServer(desk Desk, log *slog.Logger) *Server {
	s := &Server{desk: desk, log: log, slots: make(chan struct{}, maxCalls), exports: make(chan struct{}, maxExports)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /held", s.listHeld)
	mux.HandleFunc("POST /held/{id}/show", s.showHeld)
	mux.HandleFunc("POST /held/{id}/content", s.export)
	mux.HandleFunc("GET /held/{id}/locks", s.locks)
	mux.HandleFunc("POST /held/{id}/release", s.release)
	mux.HandleFunc("POST /held/{id}/reject", s.reject)
	mux.HandleFunc("GET /sample", s.sampled)
	mux.HandleFunc("GET /vault", s.vaultPeriods)
	mux.HandleFunc("POST /vault/keys", s.resealVault)
	mux.HandleFunc("POST /vault/rotate", s.rotateVault)
	mux.HandleFunc("GET /vault/file", s.vaultKeyFile)
	mux.HandleFunc("POST /backup", s.backup)
	mux.HandleFunc("GET /queue", s.queuePage)
	mux.HandleFunc("GET /queue/{id}", s.showQueued)
	mux.HandleFunc("POST /queue/{id}/retry", s.act(desk.RetryQueued))
	mux.HandleFunc("POST /queue/{id}/drop", s.act(desk.DropQueued))
	mux.HandleFunc("GET /process", s.process)
	mux.HandleFunc("POST /upgrade", s.upgrade)
	mux.HandleFunc("GET /bypass", s.bypasses)
	mux.HandleFunc("POST /bypass", s.beginBypass)
	mux.HandleFunc("POST /bypass/end", s.endBypass)
	mux.HandleFunc("POST /tables", s.noteTable)
	mux.HandleFunc("POST /accounts", s.noteAccount)
	mux.HandleFunc("POST /deputies", s.noteDeputy)
	mux.HandleFunc("GET /dossiers", s.dossiers)
	mux.HandleFunc("POST /dossiers", s.beginDossier)
	mux.HandleFunc("GET /dossiers/{id}", s.dossier)
	mux.HandleFunc("POST /dossiers/{id}/gather", s.gatherDossier)
	mux.HandleFunc("POST /dossiers/{id}/export", s.exportDossier)
	mux.HandleFunc("POST /dossiers/{id}/assess", s.assessDossier)
	mux.HandleFunc("GET /drills", s.drills)
	mux.HandleFunc("POST /drills", s.startDrill)
	mux.HandleFunc("GET /drills/{id}", s.drill)
	mux.HandleFunc("POST /drills/{id}/stop", s.act(desk.StopDrill))
	mux.HandleFunc("GET /legal", s.legalHolds)
	mux.HandleFunc("GET /legal/lifted", s.liftedHolds)
	mux.HandleFunc("POST /legal/{id}", s.legally(desk.PlaceLegalHold))
	mux.HandleFunc("POST /legal/{id}/lift", s.legally(desk.LiftLegalHold))
	mux.HandleFunc("POST /replay", s.replay)
	mux.HandleFunc("POST /report", s.report)
	mux.HandleFunc("GET /status", s.status)
	mux.HandleFunc("GET /pickups", s.pickups)
	mux.HandleFunc("POST /pickups/{id}/revoke", s.act(desk.RevokePickup))
	mux.HandleFunc("GET /passkeys", s.passkeys)
	mux.HandleFunc("POST /passkeys/{id}/remove", s.act(desk.RemovePasskey))
	mux.HandleFunc("GET /routes", s.routes)
	mux.HandleFunc("POST /routes", s.sendProbes)
	s.http = &http.Server{Handler: s.bounded(mux), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		IdleTimeout: time.Minute, ConnContext: withPeer, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	return s
}

// Listen makes the socket in dir, replacing what a killed serve left there.
// The caller holds the folder's lock.
func Listen(dir string) (net.Listener, error) {
	d, path, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	if d != nil {
		defer d.Close()
	}
	if err := os.Remove(filepath.Join(dir, Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control: remove old socket: %w", err)
	}
	old := unix.Umask(0o177) // the socket is 0600 from its first moment
	ln, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("control: listen: %w", err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	return ln, nil
}

// socketPath returns a path of the socket that is short enough to bind or to
// dial; when the folder is needed for that, it stays open as d.
func socketPath(dir string) (d *os.File, path string, err error) {
	path = filepath.Join(dir, Name)
	if len(path) <= sunPathMax {
		return nil, path, nil
	}
	if d, err = os.Open(dir); err != nil {
		return nil, "", fmt.Errorf("control: open data folder: %w", err)
	}
	return d, "/proc/self/fd/" + strconv.Itoa(int(d.Fd())) + "/" + Name, nil
}

// Serve answers until Shutdown.
func (s *Server) Serve(ln net.Listener) error {
	if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control: serve: %w", err)
	}
	return nil
}

// Shutdown lets calls under way finish until ctx ends, then cuts them.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	return nil
}

type peerKey struct{}

// withPeer notes who is at the other end, as the kernel knows it.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ctx
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			ctx = context.WithValue(ctx, peerKey{}, Actor(int(cred.Uid)))
		}
	})
	return ctx
}

// Actor is how a user of the machine stands in the audit log.
func Actor(uid int) string { return "uid:" + strconv.Itoa(uid) }

func actor(r *http.Request) string {
	a, _ := r.Context().Value(peerKey{}).(string)
	return a
}

// bounded has few calls carried out at a time, and one that panics answered with an
// error, or cut where it was being answered.
func (s *Server) bounded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w := &countingWriter{ResponseWriter: rw}
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) { // its value may quote anything
				s.log.LogAttrs(r.Context(), slog.LevelError, "a control call broke off by a fault in stanch")
			}
			if w.n > 0 {
				panic(http.ErrAbortHandler)
			}
			s.fail(w, r, errFault)
		}()
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-r.Context().Done():
			return
		}
		if actor(r) == "" {
			s.fail(w, r, errors.New("control: the kernel does not say who calls"))
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (s *Server) listHeld(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	hs, err := s.desk.ListHeld(r.Context(), q.Get("all") == "1", q.Get("header"), actor(r))
	s.answer(w, r, hs, err)
}

func (s *Server) showHeld(w http.ResponseWriter, r *http.Request) {
	id, keys, err := unlocking(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d, err := s.desk.ShowHeld(r.Context(), id, keys, actor(r))
	s.answer(w, r, d, err)
}

func (s *Server) queuePage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after := dlp.ID(q.Get("after"))
	if after != "" {
		if _, err := dlp.ParseID(string(after)); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	qs, err := s.desk.QueuePage(r.Context(), q.Get("all") == "1", after)
	s.answer(w, r, qs, err)
}

func (s *Server) showQueued(w http.ResponseWriter, r *http.Request) {
	id, err := dlp.ParseID(r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	q, err := s.desk.ShowQueued(r.Context(), id)
	s.answer(w, r, q, err)
}

// Of names the process that calls are about. It is called before Serve.
func (s *Server) Of(p Process) { s.of = p }

func (s *Server) process(w http.ResponseWriter, r *http.Request) {
	if s.of == nil {
		s.fail(w, r, errNoProcess)
		return
	}
	s.answer(w, r, s.of.Process(), nil)
}

func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	if s.of == nil {
		s.fail(w, r, errNoProcess)
		return
	}
	pid, err := s.of.Upgrade(context.WithoutCancel(r.Context()))
	s.answer(w, r, ProcessInfo{PID: pid}, err)
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	if s.of == nil {
		s.fail(w, r, errNoProcess)
		return
	}
	s.answer(w, r, s.of.Status(r.Context()), nil)
}

func (s *Server) act(do func(context.Context, dlp.ID, string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := dlp.ParseID(r.PathValue("id"))
		if err == nil {
			// A decision is carried through even if the shell that gave it is gone.
			err = do(context.WithoutCancel(r.Context()), id, actor(r))
		}
		s.answer(w, r, struct{}{}, err)
	}
}

// export streams held content. What breaks after the first byte cuts the
// connection, so that the reader cannot take a part for the whole.
func (s *Server) export(w http.ResponseWriter, r *http.Request) {
	id, keys, err := unlocking(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	default:
		s.fail(w, r, fmt.Errorf("control: %d exports under way: %w", maxExports, gateway.ErrBusy))
		return
	}
	s.stream(w, r, func(w io.Writer) error { return s.desk.Export(r.Context(), id, keys, actor(r), w) })
}

// errFault is the answer to a call that panicked.
var errFault = errors.New("control: serve did not carry it out, by a fault of its own: its log says when")

// stream answers with what write writes. After the first bytes an error cuts the
// connection.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, write func(io.Writer) error) {
	cw := &countingWriter{ResponseWriter: w}
	early := bufio.NewWriterSize(cw, 64<<10) // what fails at once is told as any failure
	err := write(early)
	if err == nil {
		err = early.Flush()
	}
	if err != nil {
		if cw.n > 0 {
			s.log.LogAttrs(r.Context(), slog.LevelWarn, "a control answer broke off", safelog.Err(err))
			panic(http.ErrAbortHandler)
		}
		s.fail(w, r, err)
	}
}

type countingWriter struct {
	http.ResponseWriter
	n int64
}

// Unwrap is for http.ResponseController.
func (c *countingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += int64(n)
	return n, err
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "control answer not written", safelog.Err(err))
	}
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.log.LogAttrs(r.Context(), slog.LevelInfo, "control call refused", safelog.Err(err))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusConflict)
	_ = json.NewEncoder(w).Encode(wireError(err)) // the caller has gone: nobody to tell
}
