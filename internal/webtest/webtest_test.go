package webtest_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/web"
	"github.com/stanch-dlp/stanch/internal/webtest"
)

// TestPolicyHolds shows in a browser that style, icons and script come, and
// nothing inline runs.
func TestPolicyHolds(t *testing.T) {
	t.Parallel()
	a, err := web.NewAssets()
	if err != nil {
		t.Fatal(err)
	}
	style, err := a.URL("stanch.css")
	if err != nil {
		t.Fatal(err)
	}
	icon, err := a.Icon("mail")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(web.AssetsPath, a)
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!doctype html><title>fine</title><link rel="stylesheet" href="` + style + `"><p class="note">` + string(icon) +
			`</p><script>document.title = "inline"</script><img src="x" onerror="document.title = 'handler'">`))
	})
	srv := httptest.NewServer(web.Secure(mux, 1<<10, slog.New(slog.DiscardHandler)))
	defer srv.Close()
	b := webtest.Chromium(t, 1280, 800)
	b.Open(srv.URL)
	title := webtest.Eval[string](b, `document.title`)
	display := webtest.Eval[string](b, `getComputedStyle(document.querySelector(".note")).display`)
	width := webtest.Eval[float64](b, `document.querySelector("use").getBoundingClientRect().width`)
	if title != "fine" || display != "grid" || width == 0 {
		t.Errorf("title %q, display %q, icon %v wide: want fine, grid, more than 0", title, display, width)
	}
	if strings.Contains(web.Policy, "unsafe") {
		t.Error("the policy lets something unsafe")
	}
}
