package metrics

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"
)

// checkTimeout bounds a check: a probe must have its answer while it waits.
const checkTimeout = 2 * time.Second

// Health answers /healthz and /readyz. It tells the names of checks, which are
// constants of ours, never the text of an error. The zero Health is ready.
type Health struct {
	mu     sync.Mutex // guards all below
	checks []check
	alarms []alarm
}

type alarm struct {
	name string
	on   func() bool
}

type check struct {
	name string
	ok   func(context.Context) error
}

// Add adds a check that must pass for the process to be ready. It is called
// for every probe, with a context that ends after two seconds, and must end
// with it. The name is a constant such as "vault".
func (h *Health) Add(name string, ok func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, check{name, ok})
}

// Alarm adds what an operator should see and what makes nothing unready. The
// name is a constant such as "bypass".
func (h *Health) Alarm(name string, on func() bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.alarms = append(h.alarms, alarm{name, on})
}

// Raised returns the names of the alarms that are on, sorted.
func (h *Health) Raised() []string {
	h.mu.Lock()
	alarms := slices.Clone(h.alarms)
	h.mu.Unlock()
	names := []string{}
	for _, a := range alarms {
		if a.on() {
			names = append(names, a.name)
		}
	}
	slices.Sort(names)
	return names
}

// Failing runs all checks at once and returns the names of those that fail,
// sorted.
func (h *Health) Failing(ctx context.Context) []string {
	h.mu.Lock()
	checks := slices.Clone(h.checks)
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		failing = []string{}
	)
	for _, c := range checks {
		wg.Go(func() {
			if c.ok(ctx) == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			failing = append(failing, c.name)
		})
	}
	wg.Wait()
	slices.Sort(failing)
	return failing
}

// Handler serves /healthz, which is 200 as long as the process answers, and
// /readyz, which is 503 while a check fails. Both bodies are JSON:
// {"ok":false,"failing":["vault"],"alarms":["bypass"]}.
func (h *Health) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, []string{}, h.Raised()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { answer(w, h.Failing(r.Context()), h.Raised()) })
	return mux
}

func answer(w http.ResponseWriter, failing, alarms []string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if len(failing) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(struct { // a client that went away needs no answer
		OK      bool     `json:"ok"`
		Failing []string `json:"failing"`
		Alarms  []string `json:"alarms"`
	}{len(failing) == 0, failing, alarms})
}

// Endpoints serves a Set's /metrics and a Health's paths.
func Endpoints(s *Set, h *Health) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.Handler())
	mux.Handle("/", h.Handler())
	return mux
}
