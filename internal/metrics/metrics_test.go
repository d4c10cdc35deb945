package metrics_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/metrics"
)

func get(t *testing.T, h http.Handler, path string) (code int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestCounts(t *testing.T) {
	s := metrics.New()
	s.Rules([]dlp.RuleID{"us-ssn", "mrn"})
	s.Document("mail", "passed")
	s.Document("mail", "passed")
	s.Finding("us-ssn")
	s.Gap("encrypted")
	s.Judged("mail", "quarantine", 3*time.Second)
	s.Monitored("file", "reject")
	s.NotScanned("mail")
	s.ScanDisabled(true)
	s.ExtractKill(dlp.Timeout)
	s.ExtractStarted()
	s.ExtractStarted()
	s.InlineImages(2)
	s.ReadOn()
	s.SessionOpened()
	s.SessionOpened()
	s.SessionClosed()
	s.Refusal(451)
	s.NextHopError(metrics.StageDot)
	s.Delivered(3)
	s.Undelivered(1)
	s.Notice()
	s.DSN()
	s.QueueMessages(7)
	s.QuarantineHeld(8)
	s.DiskFree(9)
	s.AuditSync(time.Millisecond)
	s.Watches([]string{"judged", "overflow"})
	s.Watched("judged", 3)
	s.Watched("Mira Testcase.docx", 1)
	_, body := get(t, s.Handler(), "/metrics")
	for _, want := range []string{
		`stanch_documents_total{channel="mail",outcome="passed"} 2`,
		`stanch_documents_total{channel="file",outcome="held"} 0`,
		`stanch_findings_total{rule="us-ssn"} 1`,
		`stanch_findings_total{rule="mrn"} 0`,
		`stanch_gaps_total{cause="encrypted"} 1`,
		`stanch_verdicts_total{action="quarantine",channel="mail",mode="enforce"} 1`,
		`stanch_verdicts_total{action="reject",channel="file",mode="monitor"} 1`,
		`stanch_not_scanned_total{channel="mail"} 1`,
		`stanch_scan_disabled 1`,
		`stanch_extract_kills_total{cause="timeout"} 1`,
		`stanch_extract_workers_started_total 2`,
		`stanch_read_on_total 1`,
		`stanch_inline_images_passed_total 2`,
		`stanch_sessions 1`,
		`stanch_refusals_total{code="451"} 1`,
		`stanch_nexthop_errors_total{stage="dot"} 1`,
		`stanch_deliveries_total{result="delivered"} 3`,
		`stanch_deliveries_total{result="failed"} 1`,
		`stanch_notices_total{kind="notice"} 1`,
		`stanch_notices_total{kind="dsn"} 1`,
		`stanch_queue_messages 7`,
		`stanch_quarantine_held 8`,
		`stanch_disk_free_bytes 9`,
		`stanch_judge_seconds_count 1`,
		`stanch_audit_sync_seconds_count 1`,
		`stanch_watch_total{what="judged"} 3`,
		`stanch_watch_total{what="overflow"} 0`,
		`stanch_watch_total{what="other"} 1`,
		`go_goroutines`,
		`process_resident_memory_bytes`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no line %q", want)
		}
	}
	s.ScanDisabled(false)
	if _, body := get(t, s.Handler(), "/metrics"); !strings.Contains(body, "stanch_scan_disabled 0") {
		t.Error("stanch_scan_disabled is not 0 again")
	}
}

func TestLabelsAreClosed(t *testing.T) {
	const canary = "Quillon Testperson"
	s := metrics.New()
	s.Rules([]dlp.RuleID{"us-ssn"})
	s.Document(canary, canary)
	s.Finding(canary)
	s.Gap(canary)
	s.Judged(canary, canary, time.Second)
	s.Monitored(canary, canary)
	s.NotScanned(canary)
	s.ProbeRoutes([]string{"out"})
	s.Probe(canary, canary)
	s.ProbeRoute(canary, true, time.Now())
	s.ProbeRoute("out", true, time.Unix(1_800_000_000, 0))
	s.NextHopError(canary)
	s.Refusal(123456789)
	_, body := get(t, s.Handler(), "/metrics")
	for _, not := range []string{"Quillon", "123456789"} {
		if strings.Contains(body, not) {
			t.Errorf("%q became a label", not)
		}
	}
	if !strings.Contains(body, `stanch_findings_total{rule="other"} 1`) {
		t.Error("the unknown rule was not counted")
	}
	for _, want := range []string{`stanch_probe_alarm{route="out"} 1`, `stanch_probe_last_caught_timestamp_seconds{route="out"} 1.8e+09`,
		`stanch_probes_total{result="other",route="other"} 1`, `stanch_probes_total{result="missed",route="out"} 0`} {
		if !strings.Contains(body, want) {
			t.Errorf("no line %q", want)
		}
	}
}

func TestNilSetDoesNothing(t *testing.T) {
	var s *metrics.Set
	v := reflect.ValueOf(s)
	for i := range v.NumMethod() {
		m := v.Method(i)
		in := make([]reflect.Value, m.Type().NumIn())
		for j := range in {
			in[j] = reflect.Zero(m.Type().In(j))
		}
		m.Call(in)
	}
	if code, _ := get(t, s.Handler(), "/metrics"); code != http.StatusNotFound {
		t.Errorf("code = %d, want 404", code)
	}
}

func TestHealth(t *testing.T) {
	var h metrics.Health
	serve := metrics.Endpoints(metrics.New(), &h)
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, body := get(t, serve, path); code != 200 || strings.TrimSpace(body) != `{"ok":true,"failing":[],"alarms":[]}` {
			t.Errorf("%s without checks = %d %s", path, code, body)
		}
	}
	h.Add("vault", func(context.Context) error { return errors.New("open /data/Quillon: denied") })
	h.Add("audit", func(context.Context) error { return errors.New("full") })
	h.Alarm("bypass", func() bool { return true })
	h.Alarm("quiet", func() bool { return false })
	h.Add("next_hop", func(context.Context) error { return nil })
	if code, body := get(t, serve, "/readyz"); code != 503 || strings.TrimSpace(body) != `{"ok":false,"failing":["audit","vault"],"alarms":["bypass"]}` {
		t.Errorf("/readyz = %d %s", code, body)
	}
	if code, _ := get(t, serve, "/healthz"); code != 200 {
		t.Errorf("/healthz = %d, want 200", code)
	}
	if code, body := get(t, serve, "/metrics"); code != 200 || !strings.Contains(body, "stanch_sessions") {
		t.Errorf("/metrics = %d", code)
	}
	if code, _ := get(t, serve, "/other"); code != 404 {
		t.Errorf("/other = %d, want 404", code)
	}
}

func TestConfig(t *testing.T) {
	for _, tc := range []struct {
		name, listen string
		wantKey      string
	}{
		{"default", metrics.Default().Listen, ""},
		{"off", "", ""},
		{"IPv6", "[::1]:0", ""},
		{"no port", "localhost", "metrics.listen"},
		{"port by name", "localhost:http", "metrics.listen"},
		{"port too high", "localhost:70000", "metrics.listen"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := metrics.Config{Listen: tc.listen}
			err := c.Validate()
			got := ""
			if ke, ok := errors.AsType[*dlp.KeyError](err); ok {
				got = ke.Key
			}
			if got != tc.wantKey {
				t.Errorf("Validate = %v, want key %q", err, tc.wantKey)
			}
		})
	}
}
