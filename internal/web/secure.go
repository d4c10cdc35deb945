package web

import (
	"errors"
	"log/slog"
	"net/http"
)

// Policy is the Content-Security-Policy of every answer: nothing but what this
// program itself serves, nothing inline, no frames.
//
// One page adds to it: where rules are tried as a text is typed, its script may ask
// this server.
// Source: W3C Content Security Policy Level 3.
const Policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Secure is the outermost handler of every face. It sets the headers that keep
// a page from others and a browser from keeping it (a handler may say
// otherwise for what holds no patient data), refuses state-changing requests
// that another site sent (403), bounds bodies at maxBody bytes, and turns a
// panic into a 500 that says nothing.
//
// Source: RFC 9110, Fetch Metadata (Sec-Fetch-Site, by http.CrossOriginProtection).
func Secure(next http.Handler, maxBody int64, log *slog.Logger) http.Handler {
	guarded := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		defer func() {
			p := recover()
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) { // an answer under way is cut, and not taken for a whole one
				panic(p)
			}
			if p != nil { // its value may quote a page
				log.Error("a page broke off; its request is answered with an error")
				http.Error(w, "Something went wrong. Nothing was changed by this request unless the page says so.", http.StatusInternalServerError)
			}
		}()
		guarded.ServeHTTP(w, r)
	})
}
