package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Behind is r as it comes from who is behind trusted proxies: r itself where
// it comes from no proxy, or where what the proxy says is no address. Each
// proxy adds at the end of X-Forwarded-For whom it speaks to, so that the last
// address which is no proxy's is the visitor's, whatever stands before it.
func Behind(r *http.Request, proxies []netip.Prefix) *http.Request {
	trusted := func(text string) (netip.Addr, bool) {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		return a, err == nil && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r
	}
	if _, ok := trusted(at.Addr().String()); !ok {
		return r
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, h := range slices.Backward(hops) {
		a, ok := trusted(h)
		if !a.IsValid() {
			return r
		}
		if !ok {
			out := *r
			out.RemoteAddr = netip.AddrPortFrom(a, at.Port()).String()
			return &out
		}
	}
	return r
}
