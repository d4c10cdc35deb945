// Package metrics counts what the gateway does, in Prometheus' terms.
//
// It promises that every label comes from a closed set: a value that is not in
// it is counted as "other", so that nothing of a mail or a file can become a
// label. All methods of a nil *Set do nothing.
package metrics

import (
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// other stands for a label value outside its closed set.
const other = "other"

// Modes of a policy, as labels.
const (
	enforce = "enforce"
	monitor = "monitor"
)

// Stage is a step of talking to the next hop.
type Stage string

// The stages at which the next hop can fail.
const (
	StageConnect  Stage = "connect"
	StageGreeting Stage = "greeting"
	StageHello    Stage = "ehlo"
	StageTLS      Stage = "tls"
	StageAuth     Stage = "auth"
	StageMail     Stage = "mail"
	StageRcpt     Stage = "rcpt"
	StageData     Stage = "data"
	StageBody     Stage = "body" // before the end of data was sent
	StageDot      Stage = "dot"  // after the end of data: the next hop may have the message
	StageReset    Stage = "reset"
)

var stages = []string{"connect", "greeting", "ehlo", "tls", "auth", "mail", "rcpt", "data", "body", "dot", "reset"}

// Of messages of the spool: why they were set aside, and states they wait in.
var (
	setAsideCauses = []string{"damaged", "content", "broke"}
	queueStates    = []string{"queued", "reading", "poison"}
)

// Of messages of the portal, as the audit log has it.
var pickupEvents = []string{"code_sent", "code_wrong", "opened", "replied", "expired", "revoked", "undelivered",
	"passkey_set", "passkey_wrong", "passkey_opened", "passkey_removed", "passkey_expired"}

// Of messages that were chosen for the sample of passed mail.
var sampleOutcomes = []string{"kept", "large", "busy", "failed"}

var channels = []string{dlp.Mail.String(), dlp.File.String()}

// Set is all metrics of one process, on a registry of its own. It is safe for
// any number of goroutines. The zero Set is not valid; nil is, and counts
// nothing.
type Set struct {
	registry *prometheus.Registry
	rules    atomic.Pointer[map[dlp.RuleID]bool] // rule ids of the configuration
	watches  atomic.Pointer[[]string]            // labels of the watcher
	routed   atomic.Pointer[[]string]            // names of routes
	probed   atomic.Pointer[[]string]            // names of the ways out that are tried
	siems    atomic.Pointer[[]string]            // names of receivers of events

	documents, encrypted, findings, gaps, verdicts      *prometheus.CounterVec
	notScanned                                          *prometheus.CounterVec
	kills, refusals, nextHop, deliveries, notices       *prometheus.CounterVec
	setAside                                            *prometheus.CounterVec
	queueStates                                         *prometheus.GaugeVec
	judge, auditSync                                    prometheus.Histogram
	watched, routes                                     *prometheus.CounterVec
	probes                                              *prometheus.CounterVec
	probeAlarm, probeCaught                             *prometheus.GaugeVec
	siemSent, siemFailed                                *prometheus.CounterVec
	siemBehind                                          *prometheus.GaugeVec
	hostsDown, sandbox                                  *prometheus.GaugeVec
	sessions, queue, held, scanDisabled, bypass, urgent prometheus.Gauge
	diskFree                                            prometheus.Gauge
	inlineImages, workers, bypassPassed, calls, readOn  prometheus.Counter
	notProved                                           prometheus.Counter
	pickups, sampled                                    *prometheus.CounterVec
}

// New returns a Set that counts from 0, with the Go runtime's and the process's
// own metrics beside it.
func New() *Set {
	s := &Set{registry: prometheus.NewRegistry()}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	s.documents = s.vec("stanch_documents_total", "Documents that came to an end, by channel and outcome.", "channel", "outcome")
	s.encrypted = s.vec("stanch_encrypted_total", "Recipients to whom mail goes encrypted, by way.", "way")
	s.notProved = s.counter("stanch_not_proved_total", "Messages that went another way or were held because no server proved to be a recipient's.")
	s.pickups = s.vec("stanch_pickup_total", "What happened to messages of the portal, by event.", "event")
	s.sampled = s.vec("stanch_sample_total", "Messages that passed and were chosen for the sample, by what became of them.", "outcome")
	s.findings = s.vec("stanch_findings_total", "Findings, by rule.", "rule")
	s.gaps = s.vec("stanch_gaps_total", "Pieces that could not be read, by cause.", "cause")
	s.verdicts = s.vec("stanch_verdicts_total", "Verdicts, the strictest of each document, by channel, action and mode.", "channel", "action", "mode")
	s.notScanned = s.vec("stanch_not_scanned_total", "Documents passed unread because scanning is switched off, by channel.", "channel")
	s.kills = s.vec("stanch_extract_kills_total", "Extraction workers that were killed or died, by cause.", "cause")
	s.refusals = s.vec("stanch_refusals_total", "SMTP replies that refused something, by code.", "code")
	s.nextHop = s.vec("stanch_nexthop_errors_total", "Failures of the next hop, by stage.", "stage")
	s.deliveries = s.vec("stanch_deliveries_total", "Recipients the outbox came to an end with, by result.", "result")
	s.notices = s.vec("stanch_notices_total", "Notices and DSNs written, by kind.", "kind")

	s.setAside = s.vec("stanch_queue_set_aside_total", "Messages of the spool that were set aside, by cause.", "cause")
	s.queueStates = s.gaugeVec("stanch_queue_state_messages",
		"Messages of the spool that are not finished, by state: queued, reading, poison (set aside: an alarm).", "state")

	s.judge = s.histogram("stanch_judge_seconds", "Time to read, detect and decide on a document.",
		prometheus.ExponentialBuckets(0.001, 2, 17)) // to 65 s: past the default scan_timeout
	s.auditSync = s.histogram("stanch_audit_sync_seconds", "Time until an audit event is on stable storage.",
		prometheus.ExponentialBuckets(0.0001, 2, 16)) // to 3.3 s

	s.sessions = s.gauge("stanch_sessions", "Open SMTP sessions.")
	s.queue = s.gauge("stanch_queue_messages", "Messages in the outbox that are not finished.")
	s.held = s.gauge("stanch_quarantine_held", "Documents held for review.")
	s.diskFree = s.gauge("stanch_disk_free_bytes", "Bytes that the file system of data_dir still takes; 0 while it cannot be written to.")
	s.scanDisabled = s.gauge("stanch_scan_disabled", "1 while scanning is switched off.")
	s.probes = s.vec("stanch_probes_total", "Probes with invented patient data, by route and what became of them.", "route", "result")
	s.probeAlarm = s.gaugeVec("stanch_probe_alarm", "1 while the last probe on the route that ended was not caught.", "route")
	s.probeCaught = s.gaugeVec("stanch_probe_last_caught_timestamp_seconds", "When a probe on the route was last caught, 0 for never.", "route")
	s.siemSent = s.vec("stanch_siem_sent_total", "Events that a receiver took, by its name.", "receiver")
	s.siemFailed = s.vec("stanch_siem_failures_total", "Tries that a receiver of events did not take, by its name.", "receiver")
	s.siemBehind = s.gaugeVec("stanch_siem_behind_seconds", "Age of the oldest event that a receiver has not taken, 0 for none, by its name.", "receiver")
	s.bypass = s.gauge("stanch_bypass_active", "1 while a bypass lets mail pass unread.")
	s.urgent = s.gauge("stanch_urgent_held", "Messages of urgent senders that are held and wait for a decision.")
	s.calls = s.counter("stanch_urgent_calls_total", "Calls of officers to held messages of urgent senders.")
	s.bypassPassed = s.counter("stanch_bypass_passed_total", "Messages that passed unread under a bypass.")
	s.readOn = s.counter("stanch_read_on_total", "Messages taken into the spool because reading them took longer than scan_timeout; they count as documents once they are judged.")
	s.workers = s.counter("stanch_extract_workers_started_total", "Extraction workers started.")

	s.inlineImages = s.counter("stanch_inline_images_passed_total", "Small pictures shown by the HTML body that were let pass unread.")
	s.watched = s.vec("stanch_watch_total", "What the folder watcher did and saw, by what it was.", "what")
	s.routes = s.vec("stanch_route_total", "Transactions asked of each route's next hops, by what came of it.", "route", "result")
	s.sandbox = s.gaugeVec("stanch_extract_sandbox", "How extraction workers are locked in: landlock's ABI version, seccomp's mode; 0: not.", "layer")
	s.hostsDown = s.gaugeVec("stanch_route_hosts_down", "Hosts of each route that count as down.", "route")
	s.zero()
	return s
}

// zero makes the series of small closed sets exist from the start, so that a
// first increase is seen as one.
func (s *Set) zero() {
	for _, c := range channels {
		s.notScanned.WithLabelValues(c)
		for _, a := range actions {
			s.verdicts.WithLabelValues(c, a, enforce)
			s.verdicts.WithLabelValues(c, a, monitor)
		}
		for _, o := range outcomes {
			s.documents.WithLabelValues(c, o)
		}
	}
	for _, w := range dlp.Ways() {
		s.encrypted.WithLabelValues(string(w))
	}
	for _, c := range dlp.Causes() {
		s.gaps.WithLabelValues(c.String())
	}
	for _, c := range setAsideCauses {
		s.setAside.WithLabelValues(c)
	}
	for _, st := range queueStates {
		s.queueStates.WithLabelValues(st)
	}
	for _, st := range stages {
		s.nextHop.WithLabelValues(st)
	}
}

func (s *Set) vec(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	s.registry.MustRegister(v)
	return v
}

func (s *Set) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	s.registry.MustRegister(c)
	return c
}

func (s *Set) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	s.registry.MustRegister(g)
	return g
}

func (s *Set) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	s.registry.MustRegister(v)
	return v
}

func (s *Set) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	s.registry.MustRegister(h)
	return h
}

// Handler serves the metrics in Prometheus' text form. A nil Set serves 404.
func (s *Set) Handler() http.Handler {
	if s == nil {
		return http.NotFoundHandler()
	}
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{})
}

// Rules names the rules in force: Finding counts only those by their own id.
func (s *Set) Rules(ids []dlp.RuleID) {
	if s == nil {
		return
	}
	known := make(map[dlp.RuleID]bool, len(ids))
	for _, id := range ids {
		known[id] = true
		s.findings.WithLabelValues(string(id))
	}
	s.rules.Store(&known)
}

// routeResults are what can come of asking a next hop for a transaction.
var routeResults = []string{"opened", "refused", "unreached", "unroutable", "failover"}

// Routes names the routes in force: Route counts only those by name.
func (s *Set) Routes(names []string) {
	if s == nil {
		return
	}
	for _, n := range names {
		for _, r := range routeResults {
			s.routes.WithLabelValues(n, r)
		}
	}
	s.routed.Store(&names)
}

// Watches names what the watcher counts: Watched counts only those by name.
func (s *Set) Watches(names []string) {
	if s == nil {
		return
	}
	for _, n := range names {
		s.watched.WithLabelValues(n)
	}
	s.watches.Store(&names)
}

var actions = func() (out []string) {
	for a := dlp.Hold; a <= dlp.Reject; a++ {
		out = append(out, a.String())
	}
	return out
}()

// outcomes are the ends that a document comes to: one that is spooled to be
// read on has not come to its own.
var outcomes = func() (out []string) {
	for _, k := range dlp.OutcomeKinds() {
		if k != dlp.Spooled {
			out = append(out, k.String())
		}
	}
	return out
}()

// in returns v if it is in the set, else "other".
func in(set []string, v string) string {
	if slices.Contains(set, v) {
		return v
	}
	return other
}

// named is in, for a set that the configuration names.
func named(set *atomic.Pointer[[]string], v string) string {
	if names := set.Load(); names != nil {
		return in(*names, v)
	}
	return other
}

// one is 1 for what holds. A gauge is set once: between two values somebody
// may look.
func one(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// code returns a reply code as a label: of the class 4yz or 5yz, else "other".
func code(n int) string {
	if n >= 400 && n <= 599 {
		return strconv.Itoa(n)
	}
	return other
}

func seconds(d time.Duration) float64 { return max(0, d.Seconds()) }
