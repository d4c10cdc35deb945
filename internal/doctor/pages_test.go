package doctor_test

import (
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/doctor"
)

func TestPages(t *testing.T) {
	ours := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "Turn to Harbor &amp; Vale, 555-0142") // who asked has gone
	}
	plain := httptest.NewServer(http.HandlerFunc(ours))
	defer plain.Close()
	tls := httptest.NewTLSServer(http.HandlerFunc(ours))
	defer tls.Close()
	others := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Harbor & Vale: it works") }))
	defer others.Close()
	gone := httptest.NewServer(http.HandlerFunc(ours))
	gone.Close()
	known := x509.NewCertPool()
	known.AddCert(tls.Certificate())
	soon := func() time.Time { return tls.Certificate().NotAfter.Add(-time.Hour) }
	for _, tc := range []struct {
		name, url, site string
		roots           *x509.CertPool
		now             func() time.Time
		level           doctor.Level
		has             string
	}{
		{"reached", plain.URL, "Harbor & Vale", nil, time.Now, doctor.OK, "these pages answer"},
		{"by TLS", tls.URL + "/", "Harbor & Vale", known, time.Now, doctor.OK, "these pages answer"},
		{"a certificate that ends", tls.URL, "Harbor & Vale", known, soon, doctor.Warn, "ends on"},
		{"a certificate of nobody's", tls.URL, "Harbor & Vale", x509.NewCertPool(), time.Now, doctor.Fail, "browsers refuse"},
		{"another site's", plain.URL, "Other Clinic", nil, time.Now, doctor.Fail, "something else"},
		{"another server", others.URL, "Harbor & Vale", nil, time.Now, doctor.Fail, "something else"},
		{"nobody", gone.URL, "Harbor & Vale", nil, time.Now, doctor.Warn, "not reached"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found := doctor.Run(context.Background(), []doctor.Check{doctor.Pages("portal", tc.url, tc.site, tc.roots, tc.now)})
			if last := found[len(found)-1]; last.Level != tc.level || !strings.Contains(last.Found, tc.has) {
				t.Errorf("got %+v", found)
			}
		})
	}
}
