package console_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/console"
)

// FuzzAsked: whatever stands in a query or a form, a page answers, leads nowhere but to
// pages of the console, and shows nothing of it as markup.
func FuzzAsked(f *testing.F) {
	s := newSite(f, 3)
	s.add(f, "root", console.Admin, false)
	v := s.signedIn(f, "root")
	id := string(s.desk.held[0].ID)
	pages := []string{"GET /queue", "POST /queue", "POST /queue/ask", "GET /items/" + id, "GET /items/" + id + "/next", "GET /items/" + id + "/previous", "GET /items/" + id + "/notphi",
		"POST /items/" + id + "/decide", "GET /audit", "POST /audit", "GET /report.csv", "GET /report", "GET /dashboard", "GET /departments.csv", "POST /rules/try", "GET /dossiers", "POST /views"}
	for i := range pages {
		f.Add(uint8(i), "of=asked&days=7&s=1&after="+id, "to=partner1.example&q=ssn&item="+id+"&do=release")
	}
	f.Add(uint8(0), "days=99999999999999999999&s=-1&state=%00", "")
	f.Add(uint8(1), "", "q=%3Cfz%3E&from=%22%3E%3Cfz%3E&view=%2F%2Fevil.example")
	f.Add(uint8(4), "rule=%3Cfz%3E&channel=%0d%0aLocation:%20//evil.example&after=//evil.example", "")
	f.Add(uint8(9), "", "doc="+id+"&who=%3Cfz%3E@x&since=2026-13-99")
	f.Add(uint8(10), "from=2026-01-01&to=9999-12-31&days=-5", "")
	f.Fuzz(func(t *testing.T, page uint8, query, form string) {
		method, path, _ := strings.Cut(pages[int(page)%len(pages)], " ")
		r := httptest.NewRequest(method, s.URL+path, strings.NewReader(form))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range v.http.Jar.Cookies(r.URL) {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		s.Config.Handler.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError || w.Code == http.StatusSeeOther && w.Header().Get("Location") == "/signin" {
			t.Errorf("%s %s?%q of %q: %d", method, path, query, form, w.Code)
		}
		if to := w.Header().Get("Location"); to != "" && (to[0] != '/' || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\r\n\\")) {
			t.Errorf("%s %s?%q of %q leads to %q", method, path, query, form, to)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") && strings.Contains(w.Body.String(), "<fz") {
			t.Errorf("%s %s?%q of %q: markup of it", method, path, query, form)
		}
	})
}
