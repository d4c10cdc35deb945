package console_test

import (
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestDownload: an admin gets the bytes as they came, as a file that no browser
// shows; one that breaks off is no whole answer.
func TestDownload(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "root", console.Admin, false)
	v := s.signedIn(t, "root")
	get := func(id dlp.ID) (*http.Response, string, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/items/"+string(id)+"/download", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := v.http.Do(req)
		if err != nil {
			return nil, "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return res, string(b), err
	}
	id := s.desk.held[0].ID
	res, body, err := get(id)
	if err != nil || body != "as it came \x00\r\n" || res.Header.Get("Content-Type") != "application/octet-stream" || res.Header.Get("X-Content-Type-Options") != "nosniff" ||
		res.Header.Get("Content-Disposition") != `attachment; filename="`+string(id)+`.bin"` || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %q, %v with %v", body, err, res.Header)
	}
	if !slices.Contains(s.desk.log(), "export user:root") {
		t.Errorf("the desk was asked %q", s.desk.log())
	}
	if res, _, err := get(dlp.NewID()); err != nil || res.StatusCode != http.StatusNotFound {
		t.Errorf("a foreign id: %v, %v", res, err)
	}
	s.desk.cut = true
	if _, _, err := get(id); err == nil {
		t.Error("what broke off came as if it were whole")
	}
}
