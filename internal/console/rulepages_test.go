package console_test

import (
	"bytes"
	"context"
	"html"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/web"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// siteRules are a site's own, with what a page must not show to everybody or must
// show as text alone.
const siteRules = `schema = 1
[keywords]
wards = ["quillfeather ward"]
[[rules]]
id = "site-badge"
type = "CUSTOM"
description = "Badge <script>x</script>"
tags = ["identifier"]
  [[rules.patterns]]
  confidence = "medium"
  regex = 'BX<b>\d{6}|BX\d{6}'
  supporting = { any = ["badge"], proximity = 40 }
  [[rules.demote]]
  any = ["quillfeather lounge"]
  [[rules.allowlists]]
  description = "specimen"
  values = ["BX000001"]
  [rules.tests]
  match = ["badge BX482913 of Wilhelmina"]
  no_match = ["BX482913"]
[[rules]]
id = "site-wards"
type = "CONDITION"
description = "Wards"
tags = ["health"]
  [[rules.patterns]]
  confidence = "medium"
  words = ["@wards"]
  [rules.tests]
  match = ["to Quillfeather Ward"]
  no_match = ["to ward"]
[[rules]]
extends = "us-ssn"
  [[rules.demote]]
  any = ["quillfeather badge"]
`

// inForce is a few built-in rules and siteRules.
var inForce = sync.OnceValue(func() *patterns.Set {
	dir, err := os.MkdirTemp("", "rules")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "site.toml")
	if err := os.WriteFile(file, []byte(siteRules), 0o600); err != nil {
		panic(err)
	}
	set, err := patterns.Load(context.Background(), patterns.Source{BuiltIn: true, Paths: []string{file}}, nil)
	if err != nil {
		panic(err)
	}
	return set
})

// book tries rules without a sandbox: all is plain text.
type book struct{}

func (book) InForce() *patterns.Set { return inForce() }

func (book) Try(_ context.Context, t console.Trial) (console.Tried, error) {
	for _, id := range t.Explain.Rules {
		if inForce().Rule(id) == nil {
			return console.Tried{}, console.ErrNoRule
		}
	}
	x := scanner.New(inForce()).Explain(t.Explain)
	texts := &console.Texts{Sink: x}
	if err := scanner.Feed(texts, dlp.PartInfo{MediaType: "text/plain"}, t.Content); err != nil {
		return console.Tried{}, err
	}
	return console.Tried{Explanation: x.Finish(), Parts: texts.Parts, Cut: texts.Cut}, nil
}

// TestRulePages: everybody sees which rules there are, and only who sees PHI
// anyway how the site wrote its own; its listed values nobody.
func TestRulePages(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "vera", console.Viewer, false)
	s.add(t, "olga", console.Officer, false)
	vera, olga := s.signedIn(t, "vera"), s.signedIn(t, "olga")
	_, list, _ := vera.do(http.MethodGet, "/rules", nil)
	for _, want := range []string{"us-ssn", "site-badge", "us-identifiers", "site.toml", "Badge &lt;script&gt;"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list lacks %q", want)
		}
	}
	_, pack, _ := vera.do(http.MethodGet, "/rules?pack=site.toml", nil)
	if !strings.Contains(pack, "site-badge") || strings.Contains(pack, "/rules/of/us-ssn") {
		t.Error("a pack shows not its own rules, or others")
	}
	if code, _, _ := vera.do(http.MethodGet, "/rules?pack=nothing", nil); code != http.StatusNotFound {
		t.Errorf("an unknown pack: %d, want 404", code)
	}
	_, ssn, _ := vera.do(http.MethodGet, "/rules/of/us-ssn", nil)
	for _, want := range []string{"validator us-ssn", "social security", "one level lower", "512-44-1234"} {
		if !strings.Contains(ssn, want) {
			t.Errorf("us-ssn lacks %q", want)
		}
	}
	for who, v := range map[string]*visitor{"vera": vera, "olga": olga} {
		_, own, _ := v.do(http.MethodGet, "/rules/of/site-badge", nil)
		_, wards, _ := v.do(http.MethodGet, "/rules/of/site-wards", nil)
		_, built, _ := v.do(http.MethodGet, "/rules/of/us-ssn", nil)
		all := html.UnescapeString(own + wards + built)
		if strings.Contains(all, "BX000001") || strings.Contains(own, "<script>x") {
			t.Errorf("%s sees a listed value, or what ran", who)
		}
		if got := strings.Contains(all, `\d{6}`) && strings.Contains(all, "Wilhelmina") && strings.Contains(all, "quillfeather ward") && strings.Contains(all, "quillfeather lounge") &&
			strings.Contains(all, "quillfeather badge"); got != (who == "olga") {
			t.Errorf("%s sees the site's own forms and tests: %v", who, got)
		}
		if strings.Contains(all, "Wilhelmina") != (who == "olga") || strings.Contains(strings.ToLower(all), "quillfeather") != (who == "olga") {
			t.Errorf("%s sees what the site wrote down itself", who)
		}
	}
}

// upload posts a form with a file.
func (v *visitor) upload(path string, fields map[string]string, file string) (code int, body string) {
	v.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for k, x := range fields {
		_ = w.WriteField(k, x) // a buffer takes every write
	}
	if p, err := w.CreateFormFile("file", "Secretname.txt"); err == nil && file != "" {
		_, _ = p.Write([]byte(file))
	}
	_ = w.Close()
	res, err := v.http.Post(v.site.URL+path, w.FormDataContentType(), &b) //nolint:noctx // ends with the test's server
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(res.Body); err != nil {
		v.t.Fatal(err)
	}
	return res.StatusCode, out.String()
}

// TestRuleTry: a pasted text and a file are explained, marked and inert, and what
// was tried is on no record.
func TestRuleTry(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.add(t, "olga", console.Officer, false)
	v := s.signedIn(t, "olga")
	text := "<script>x</script> badge BX482913, later BX482914 and SSN 536-22-8145"
	code, page := v.upload("/rules/try", map[string]string{"text": text}, "")
	for _, want := range []string{"<mark>BX482913</mark>", "<mark>536-22-8145</mark>", "&lt;script&gt;x", "evidence: "} {
		if code != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("%d, the page lacks %q", code, want)
		}
	}
	if strings.Contains(page, "<script>x") || strings.Contains(page, `class="near"`) {
		t.Error("the text ran, or misses are told unasked")
	}
	// Only this page may ask its server for anything while it stands.
	for path, may := range map[string]bool{"/rules/try": true, "/rules": false, "/queue": false} {
		res, err := v.http.Get(s.URL + path) //nolint:noctx // ends with the test's server
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, web.Policy) || strings.HasSuffix(got, "; connect-src 'self'") != may {
			t.Errorf("%s: policy %q", path, got)
		}
	}
	// A file, one rule, and what it does not find.
	code, page = v.upload("/rules/try", map[string]string{"rule": "site-badge", "near": "1"}, "x BX482914 nor BX48291")
	for _, want := range []string{`<span class="near">BX482914</span>`, "stopped by its evidence", "Near miss", "It would be medium"} {
		if code != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("%d, of a file the page lacks %q", code, want)
		}
	}
	for name, form := range map[string]url.Values{"nothing": {}, "no such rule": {"text": {"x"}, "rule": {"none"}}, "near of all": {"text": {"x"}, "near": {"1"}}} {
		if code, page, _ := v.do(http.MethodPost, "/rules/try", form); code != http.StatusBadRequest || !strings.Contains(page, `role="alert"`) {
			t.Errorf("%s: %d, want 400 and what is wrong", name, code)
		}
	}
	if code, _ := v.upload("/rules/try", nil, strings.Repeat("x", 9<<20)); code != http.StatusRequestEntityTooLarge {
		t.Errorf("9 MiB: %d, want 413", code)
	}
	tried := 0
	for _, e := range s.desk.events {
		if e.Kind == audit.Look && e.Reason == "rules_try" && e.Actor == "user:olga" {
			tried++
		}
	}
	if tried != 3 {
		t.Errorf("%d trials on record, want 3", tried)
	}
	s.desk.mu.Lock()
	s.desk.broken = os.ErrInvalid
	s.desk.mu.Unlock()
	if _, page := v.upload("/rules/try", map[string]string{"text": text}, ""); strings.Contains(page, "<mark>") {
		t.Error("explained without a record")
	}
}
