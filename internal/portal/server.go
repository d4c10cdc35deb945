package portal

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/passkey"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/web"
)

//go:embed assets
var assets embed.FS

//go:embed all:pages
var pages embed.FS

// Desk is what can be done about a parcel by who has its link. It is satisfied
// by gateway.Gateway.
type Desk interface {
	PickupOf(ctx context.Context, id dlp.ID) (pickup.Parcel, error)
	SendPickupCode(ctx context.Context, id dlp.ID, text bool) (pickup.Parcel, error)
	OpenPickup(ctx context.Context, id dlp.ID, code string) (p pickup.Parcel, left int, err error)
	PickupContent(ctx context.Context, id dlp.ID) (io.ReadCloser, int64, error)
	ReplyPickup(ctx context.Context, id dlp.ID, r pickup.Reply) error
	Texts() bool
	Passkeys
}

// Bounds of who asks.
const (
	burst       = 30              // requests that change something, at once by one address
	every       = 2 * time.Second // and one more each
	maxAsked    = 4 << 10         // bytes of a request that is no reply
	maxReplies  = 4               // taken at once, of as many messages
	replyWithin = 10 * time.Minute
	replyPause  = 30 * time.Second // for which a reply that is slower than slowest is waited for
	slowest     = 16 << 10         // bytes a second that a reader takes
)

// Server answers on the pickup pages.
type Server struct {
	cfg     pickup.Config
	desk    Desk
	buffers *buffer.Pool
	log     *slog.Logger
	now     func() time.Time
	pages   *web.Pages
	limit   *web.Limiter
	proxies []netip.Prefix
	open    sessions
	replies slots

	site       *passkey.Site // nil: no passkeys
	ceremonies *passkey.Ceremonies
}

// New returns the pages of cfg, which Validate has checked.
func New(cfg pickup.Config, desk Desk, buffers *buffer.Pool, log *slog.Logger, now func() time.Time) (http.Handler, error) {
	own, err := fs.Sub(assets, "assets")
	if err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	from, err := fs.Sub(pages, "pages")
	if err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	files, err := web.NewAssets(own)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, desk: desk, buffers: buffers, log: log, now: now, limit: web.NewLimiter(burst, every, now),
		open: sessions{now: now, all: map[[32]byte]session{}}, replies: slots{taken: map[dlp.ID]bool{}},
		site: newPasskeySite(&cfg), ceremonies: passkey.NewCeremonies(now, maxOfParcel)}
	if s.pages, err = web.NewPages(from, files, nil); err != nil {
		return nil, err
	}
	if s.proxies, err = web.Networks(cfg.Proxies); err != nil {
		return nil, &dlp.KeyError{Key: "portal.proxies", Want: "networks"}
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+web.AssetsPath, files)
	mux.HandleFunc("GET /p/{id}", s.page)
	mux.HandleFunc("POST /p/{id}/code", s.limited(s.code))
	mux.HandleFunc("POST /p/{id}/open", s.limited(s.enter))
	mux.HandleFunc("GET /p/{id}/content", s.content)
	mux.HandleFunc("POST /p/{id}/reply", s.limited(s.reply))
	s.passkeyRoutes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.gone(r.Context(), w) })
	return web.Secure(connecting(strings.HasPrefix(cfg.URL, "https:"), mux), int64(cfg.MaxReply), log), nil
}

// connecting lets the page's own script ask its own server, and nobody else's;
// no form of these pages is sent by the browser itself.
func connecting(tls bool, next http.Handler) http.Handler {
	policy := strings.Replace(web.Policy, "form-action 'self'", "connect-src 'self'; form-action 'none'", 1)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		if tls {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000") // RFC 6797 6.1.1: one year
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) limited(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, ok := s.limit.Allow(web.ClientKey(web.Behind(r, s.proxies))); !ok {
			answer(w, http.StatusTooManyRequests, said{Error: "wait"})
			return
		}
		next(w, r)
	}
}

// said is what the page's script is told.
type said struct {
	Error string `json:"error,omitempty"` // a word of portal.js
	Left  int    `json:"left,omitempty"`  // tries
	To    string `json:"to,omitempty"`    // masked address
	Token string `json:"token,omitempty"`
}

func answer(w http.ResponseWriter, status int, x said) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(x) // whoever asked has gone
}

// shown is what a template shows.
type shown struct {
	Site, Contact, Until, MaxReply string
	Texts                          bool
	Passkeys, HasPasskey           bool // they may be set; one may open this
}

func (s *Server) shown() shown {
	return shown{Passkeys: s.site != nil, Site: s.cfg.Site, Contact: s.cfg.Contact, Texts: s.desk.Texts(), MaxReply: strconv.FormatInt(int64(s.cfg.MaxReply)>>20, 10) + " MB"}
}

func (s *Server) render(ctx context.Context, w http.ResponseWriter, status int, page string, x shown) {
	if err := s.pages.Render(w, status, page, x); err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "pickup page not made", safelog.Err(err))
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// gone is the answer about anything that cannot be opened, whatever the reason.
func (s *Server) gone(ctx context.Context, w http.ResponseWriter) {
	s.render(ctx, w, http.StatusNotFound, "gone", s.shown())
}

// page shows what there is to do. It changes nothing and sends nothing: programs
// that look at links in mail open them.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	p, err := s.desk.PickupOf(r.Context(), dlp.ID(r.PathValue("id")))
	if err != nil {
		s.complain(r.Context(), err)
		s.gone(r.Context(), w)
		return
	}
	x := s.shown()
	x.HasPasskey = s.passkeysFor(r.Context(), p.ID)
	x.Until = p.Expires.UTC().Format("2 Jan 2006")
	s.render(r.Context(), w, http.StatusOK, "message", x)
}

// complain logs what is no answer to who asked.
func (s *Server) complain(ctx context.Context, err error) {
	for _, known := range []error{pickup.ErrEnded, pickup.ErrNoCode, pickup.ErrCode, pickup.ErrTooManyCodes, gateway.ErrBusy, gateway.ErrNotSent} {
		if errors.Is(err, known) {
			return
		}
	}
	s.log.LogAttrs(ctx, slog.LevelWarn, "pickup page could not do what was asked", safelog.Err(err))
}

// refuse answers with what err means.
func (s *Server) refuse(ctx context.Context, w http.ResponseWriter, err error, left int) {
	s.complain(ctx, err)
	switch {
	case errors.Is(err, pickup.ErrEnded):
		answer(w, http.StatusNotFound, said{})
	case errors.Is(err, pickup.ErrCode) && left > 0:
		answer(w, http.StatusForbidden, said{Error: "code", Left: left})
	case errors.Is(err, pickup.ErrCode), errors.Is(err, pickup.ErrNoCode):
		answer(w, http.StatusForbidden, said{Error: "none"})
	case errors.Is(err, pickup.ErrTooManyCodes):
		answer(w, http.StatusTooManyRequests, said{Error: "many"})
	default:
		answer(w, http.StatusServiceUnavailable, said{Error: "failed"})
	}
}

func asked(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAsked)).Decode(into); err != nil {
		answer(w, http.StatusBadRequest, said{Error: "failed"})
		return false
	}
	return true
}

func (s *Server) code(w http.ResponseWriter, r *http.Request) {
	var x struct {
		Text bool `json:"text"`
	}
	if !asked(w, r, &x) {
		return
	}
	p, err := s.desk.SendPickupCode(r.Context(), dlp.ID(r.PathValue("id")), x.Text)
	if err != nil {
		s.refuse(r.Context(), w, err, 0)
		return
	}
	answer(w, http.StatusOK, said{To: masked(p.To)})
}

func (s *Server) enter(w http.ResponseWriter, r *http.Request) {
	var x struct {
		Code string `json:"code"`
	}
	if !asked(w, r, &x) {
		return
	}
	id := dlp.ID(r.PathValue("id"))
	_, left, err := s.desk.OpenPickup(r.Context(), id, x.Code)
	if err != nil {
		s.refuse(r.Context(), w, err, left)
		return
	}
	token := s.open.begin(id)
	if token == "" {
		answer(w, http.StatusServiceUnavailable, said{Error: "wait"})
		return
	}
	answer(w, http.StatusOK, said{Token: token})
}

// content hands out what is kept, as it is sealed, to who entered the code.
func (s *Server) content(w http.ResponseWriter, r *http.Request) {
	id := dlp.ID(r.PathValue("id"))
	if !s.open.has(r, id) {
		answer(w, http.StatusUnauthorized, said{Error: "again"})
		return
	}
	body, size, err := s.desk.PickupContent(r.Context(), id)
	if err != nil {
		s.refuse(r.Context(), w, err, 0)
		return
	}
	defer body.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	// A telephone is slow, and who does not read at all keeps no connection.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(replyWithin + time.Duration(size/slowest)*time.Second)) // what it cannot do changes nothing
	_, _ = io.Copy(w, body)                                                                                                   // cut short it does not open, and the reader's browser says so
}

// masked is an address as who has it knows it again: "c•••••@n•••••.example".
func masked(a dlp.Address) string {
	const dots = "•••••"
	first := func(s string) string {
		_, n := utf8.DecodeRuneInString(s)
		return s[:n]
	}
	domain := first(a.Domain) + dots
	if i := strings.LastIndexByte(a.Domain, '.'); i > 0 {
		domain += a.Domain[i:]
	}
	return first(a.Local) + dots + "@" + domain
}
