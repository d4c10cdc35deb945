package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
	"time"
)

// Bounds of a look at pages.
const (
	pagesWithin = 10 * time.Second
	maxPage     = 64 << 10 // bytes
)

// Pages looks at the pages of the table named table as its readers reach them: url answers, with
// a certificate that browsers take, and what answers is stanch's, which names site. roots are who may
// have signed it; nil: those of the system.
func Pages(table, url, site string, roots *x509.CertPool, now func() time.Time) Check {
	object := table + ".url"
	return Check{Name: table, Run: func(ctx context.Context) []Finding {
		ctx, cancel := context.WithTimeout(ctx, pagesWithin)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/", nil)
		if err != nil {
			return []Finding{bad(object, "is no address", "Set it to the https:// address of the pages.")}
		}
		client := http.Client{
			Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		res, err := client.Do(req)
		if unproved, is := errors.AsType[*tls.CertificateVerificationError](err); is {
			return []Finding{bad(object, "answers with a certificate that browsers refuse: "+strings.TrimPrefix(unproved.Err.Error(), "x509: "),
				"Set "+table+".tls_cert, or the proxy's certificate, to one for this name from an authority that browsers know, its chain after it.")}
		}
		if err != nil {
			return []Finding{poor(object, "is not reached from here", "Look whether serve runs and DNS, the proxy and the firewall lead to "+table+".listen; a network that does not lead back to itself looks so from inside alone.")}
		}
		defer res.Body.Close()
		page, err := io.ReadAll(io.LimitReader(res.Body, maxPage)) // there is nothing at the root: the page says so, and whose it is
		if err != nil || res.StatusCode != http.StatusNotFound || !strings.HasPrefix(res.Header.Get("Content-Security-Policy"), "default-src 'none'") ||
			!strings.Contains(string(page), html.EscapeString(site)) {
			return []Finding{bad(object, fmt.Sprintf("is answered by something else than these pages (status %d)", res.StatusCode),
				"Have the proxy pass all paths of this name to "+table+".listen, and take nothing out of what it answers.")}
		}
		out := []Finding{good(object, "is reached, and these pages answer")}
		if res.TLS != nil && len(res.TLS.PeerCertificates) > 0 {
			if ends := res.TLS.PeerCertificates[0].NotAfter; ends.Before(now().Add(certWarn)) {
				out = append(out, poor(object, "has a certificate that ends on "+ends.UTC().Format(time.DateOnly), "Renew it."))
			}
		}
		return out
	}}
}
