package sender

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/internal/web"
)

//go:embed all:pages
var pages embed.FS

// Desk is what can be done by who has a link. It is satisfied by gateway.Gateway.
type Desk interface {
	SendersMail(ctx context.Context, token string) (gateway.HeldMail, error)
	SenderCancels(ctx context.Context, token string) error
	SenderEncrypts(ctx context.Context, token string) error
	SenderAsks(ctx context.Context, token, words string) error
	SendersSent(ctx context.Context, token string) (gateway.SentMail, error)
	SenderTakesBack(ctx context.Context, token string) error
}

// Bounds of who asks.
const (
	burst   = 30              // choices, at once by one address
	every   = 2 * time.Second // and one more each
	maxBody = 4 * vault.MaxAsk
)

// Server answers on the pages of senders.
type Server struct {
	cfg     gateway.SenderConfig
	desk    Desk
	types   func([]dlp.RuleID) []dlp.Type
	log     *slog.Logger
	pages   *web.Pages
	limit   *web.Limiter
	proxies []netip.Prefix
}

// New returns the pages of cfg, which Validate has checked. types says what
// kinds of data rules find.
func New(cfg gateway.SenderConfig, desk Desk, types func([]dlp.RuleID) []dlp.Type, log *slog.Logger, now func() time.Time) (http.Handler, error) {
	s := &Server{cfg: cfg, desk: desk, types: types, log: log, limit: web.NewLimiter(burst, every, now)}
	files, err := web.NewAssets()
	if err != nil {
		return nil, err
	}
	from, err := fs.Sub(pages, "pages")
	if err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	if s.pages, err = web.NewPages(from, files, nil); err != nil {
		return nil, err
	}
	if s.proxies, err = web.Networks(cfg.Proxies); err != nil {
		return nil, &dlp.KeyError{Key: "sender.proxies", Want: "networks"}
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+web.AssetsPath, files)
	mux.HandleFunc("GET /held/{token}", s.page)
	mux.HandleFunc("POST /held/{token}", s.choose)
	mux.HandleFunc("GET /sent/{token}", s.sentPage)
	mux.HandleFunc("POST /sent/{token}", s.takeBack)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.render(r.Context(), w, http.StatusNotFound, "gone", shown{})
	})
	return web.Secure(s.onlyTLS(mux), maxBody, log), nil
}

// onlyTLS has browsers come by TLS alone from then on, where the pages have it.
func (s *Server) onlyTLS(next http.Handler) http.Handler {
	if !strings.HasPrefix(s.cfg.URL, "https:") {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000") // RFC 6797 6.1.1: one year
		next.ServeHTTP(w, r)
	})
}

// shown is what a template shows.
type shown struct {
	gateway.HeldMail
	Site, Contact string
	Sent          string // when
	Why, To       string
	Ends          string
	Advice        []advice
	Amiss         string
	Do, Words     string // as they were sent, where something is amiss
	MaxWords      int
	Back          *back // what is taken back; nil: it is about held mail
}

// How pages say times.
const (
	clock  = "2 January 2006, 15:04 UTC"
	sentAt = "2 January, 15:04 UTC"
)

// advice is what the site tells senders of such data.
type advice struct {
	dlp.Coaching
	Host string // of its address; "" for none
}

func advices(list []dlp.Coaching) (out []advice) {
	for _, c := range list {
		a := advice{Coaching: c}
		if u, err := url.Parse(c.URL); err == nil {
			a.Host = u.Hostname()
		}
		out = append(out, a)
	}
	return out
}

func (s *Server) shown(m gateway.HeldMail) shown {
	return shown{HeldMail: m, Sent: m.Received.UTC().Format(sentAt), Why: notify.Why(s.types(m.Rules), m.Causes), To: to(m.Rcpts, m.Domains),
		Ends: m.Until.UTC().Format(clock), MaxWords: vault.MaxAsk / 2, Advice: advices(m.Coaching)}
}

// When is when something was chosen or decided.
func (x shown) When() string { return x.At.UTC().Format(clock) }

// maxDomains is how many domains a page names.
const maxDomains = 3

// to says to how many and where: "2 addresses at partner.example".
func to(rcpts int, domains []string) string {
	what := "one address"
	if rcpts != 1 {
		what = fmt.Sprintf("%d addresses", rcpts)
	}
	switch n := len(domains); {
	case n == 0:
		return what
	case n > maxDomains:
		return what + fmt.Sprintf(" at %d domains", n)
	}
	return what + " at " + strings.Join(domains, ", ")
}

func (s *Server) render(ctx context.Context, w http.ResponseWriter, status int, page string, x shown) {
	x.Site, x.Contact = s.cfg.Site, s.cfg.Contact
	if err := s.pages.Render(w, status, page, x); err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "sender's page not made", safelog.Err(err))
		http.Error(w, "This page could not be made.", http.StatusInternalServerError)
	}
}

// page shows what there is to choose, or what was. It changes nothing.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	m, err := s.desk.SendersMail(r.Context(), r.PathValue("token"))
	if err != nil {
		s.fail(r.Context(), w, err, shown{})
		return
	}
	s.show(r.Context(), w, http.StatusOK, s.shown(m))
}

func (s *Server) show(ctx context.Context, w http.ResponseWriter, status int, x shown) {
	page := "choose"
	if x.Chosen != gateway.ChosenNothing {
		page = "done"
	}
	s.render(ctx, w, status, page, x)
}

// fail answers where there is nothing to show. x says what it was about.
func (s *Server) fail(ctx context.Context, w http.ResponseWriter, err error, x shown) {
	if errors.Is(err, gateway.ErrNoChoice) {
		s.render(ctx, w, http.StatusNotFound, "gone", x)
		return
	}
	s.log.LogAttrs(ctx, slog.LevelError, "what a sender chose was not carried out", safelog.Err(err))
	s.render(ctx, w, http.StatusServiceUnavailable, "later", x)
}

// tooMany is what a page says of too many choices.
const tooMany = "Nothing was done yet: too many requests came from where you are. Wait a minute, then confirm again."

// allowed reports whether who sends r may choose now.
func (s *Server) allowed(r *http.Request) bool {
	_, ok := s.limit.Allow(web.ClientKey(web.Behind(r, s.proxies)))
	return ok
}

// choose carries out what was chosen, once, and answers with a page of its own
// address, so that loading it anew sends nothing again.
func (s *Server) choose(w http.ResponseWriter, r *http.Request) {
	ctx, token := r.Context(), r.PathValue("token")
	m, err := s.desk.SendersMail(ctx, token)
	if err != nil {
		s.fail(ctx, w, err, shown{})
		return
	}
	x := s.shown(m)
	x.Do, x.Words = r.PostFormValue("do"), strings.TrimSpace(r.PostFormValue("words"))
	if !s.allowed(r) {
		x.Amiss = tooMany
		s.show(ctx, w, http.StatusTooManyRequests, x)
		return
	}
	switch x.Do {
	case "cancel":
		err = s.desk.SenderCancels(ctx, token)
	case "encrypt":
		err = s.desk.SenderEncrypts(ctx, token)
	case "ask":
		if x.Words == "" || len(x.Words) > vault.MaxAsk {
			x.Amiss = fmt.Sprintf("Nothing was sent yet: say why it needs to go, in at most %d letters.", x.MaxWords)
			s.show(ctx, w, http.StatusBadRequest, x)
			return
		}
		err = s.desk.SenderAsks(ctx, token, strings.ReplaceAll(x.Words, "\r\n", "\n"))
	default:
		x.Amiss = "Nothing was done: choose one of these first."
		s.show(ctx, w, http.StatusBadRequest, x)
		return
	}
	switch {
	case errors.Is(err, gateway.ErrNoWay):
		x.Amiss = "It was not sent: there is no way to encrypt it to everybody just now. It stays held; choose something else."
		s.show(ctx, w, http.StatusConflict, x)
	case errors.Is(err, gateway.ErrBusy):
		x.Amiss = "Nothing was done: somebody is deciding about it right now. Confirm again in a moment."
		s.show(ctx, w, http.StatusConflict, x)
	case err != nil && !errors.Is(err, gateway.ErrChosen):
		s.fail(ctx, w, err, shown{})
	default: // done, or by somebody before: the page says what
		http.Redirect(w, r, "/held/"+token, http.StatusSeeOther)
	}
}
