package metrics

import (
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Document counts a document that came to its end: dlp.Channel and
// dlp.OutcomeKind as their String gives them.
func (s *Set) Document(channel, outcome string) {
	if s != nil {
		s.documents.WithLabelValues(in(channels, channel), in(outcomes, outcome)).Inc()
	}
}

// Finding counts a finding of a rule; one that Rules did not name is "other".
func (s *Set) Finding(rule string) {
	if s == nil {
		return
	}
	known := s.rules.Load()
	if known == nil || !(*known)[dlp.RuleID(rule)] {
		rule = other
	}
	s.findings.WithLabelValues(rule).Inc()
}

// Gap counts a piece that could not be read; cause as dlp.Cause.String gives it.
func (s *Set) Gap(cause string) {
	if s == nil {
		return
	}
	if _, ok := dlp.ParseCause(cause); !ok {
		cause = other
	}
	s.gaps.WithLabelValues(cause).Inc()
}

// Judged counts an enforced verdict and how long it took.
func (s *Set) Judged(channel, action string, took time.Duration) {
	if s != nil {
		s.verdicts.WithLabelValues(in(channels, channel), in(actions, action), enforce).Inc()
		s.judge.Observe(seconds(took))
	}
}

// Monitored counts what a policy in monitor mode would have done.
func (s *Set) Monitored(channel, action string) {
	if s != nil {
		s.verdicts.WithLabelValues(in(channels, channel), in(actions, action), monitor).Inc()
	}
}

// NotScanned counts a document passed unread because scanning is switched off.
func (s *Set) NotScanned(channel string) {
	if s != nil {
		s.notScanned.WithLabelValues(in(channels, channel)).Inc()
	}
}

// ScanDisabled says whether scanning is switched off.
func (s *Set) ScanDisabled(off bool) {
	if s != nil {
		s.scanDisabled.Set(one(off))
	}
}

// BypassActive says whether a bypass lets mail pass unread.
func (s *Set) BypassActive(on bool) {
	if s != nil {
		s.bypass.Set(one(on))
	}
}

// UrgentHeld says how many messages of urgent senders wait for a decision.
func (s *Set) UrgentHeld(n int) {
	if s != nil {
		s.urgent.Set(float64(n))
	}
}

// UrgentCall counts a call of officers.
func (s *Set) UrgentCall() {
	if s != nil {
		s.calls.Inc()
	}
}

// ProbeRoutes names the ways out that are tried: Probe and ProbeRoute know only
// those by name.
func (s *Set) ProbeRoutes(names []string) {
	if s == nil {
		return
	}
	s.probed.Store(&names)
	for _, n := range names {
		for _, r := range probeResults {
			s.probes.WithLabelValues(n, r)
		}
		s.ProbeRoute(n, false, time.Time{})
	}
}

var probeResults = []string{"sent", "caught", "missed", "passed", "not_sent"}

// Probe counts what became of a probe.
func (s *Set) Probe(route, result string) {
	if s != nil {
		s.probes.WithLabelValues(named(&s.probed, route), in(probeResults, result)).Inc()
	}
}

// ProbeRoute says whether the alarm of a way out stands, and when a probe was last
// caught on it.
func (s *Set) ProbeRoute(name string, alarm bool, caught time.Time) {
	if s == nil {
		return
	}
	name = named(&s.probed, name)
	s.probeAlarm.WithLabelValues(name).Set(one(alarm))
	at := 0.0
	if !caught.IsZero() {
		at = float64(caught.Unix())
	}
	s.probeCaught.WithLabelValues(name).Set(at)
}

// SIEMs names the receivers of events, and makes their series exist.
func (s *Set) SIEMs(names []string) {
	if s == nil {
		return
	}
	s.siems.Store(&names)
	for _, n := range names {
		s.siemSent.WithLabelValues(n)
		s.siemFailed.WithLabelValues(n)
		s.siemBehind.WithLabelValues(n)
	}
}

// SIEMSent counts events that a receiver took.
func (s *Set) SIEMSent(name string, n int) {
	if s != nil {
		s.siemSent.WithLabelValues(named(&s.siems, name)).Add(float64(n))
	}
}

// SIEMFailed counts a try that a receiver did not take.
func (s *Set) SIEMFailed(name string) {
	if s != nil {
		s.siemFailed.WithLabelValues(named(&s.siems, name)).Inc()
	}
}

// SIEMBehind says how old the oldest event is that a receiver has not taken.
func (s *Set) SIEMBehind(name string, d time.Duration) {
	if s != nil {
		s.siemBehind.WithLabelValues(named(&s.siems, name)).Set(seconds(d))
	}
}

// BypassPassed counts a message that passed unread under a bypass.
func (s *Set) BypassPassed() {
	if s != nil {
		s.bypassPassed.Inc()
	}
}

// ReadOn counts a message that was taken into the spool to be read on. As a
// Document it counts when it has come to its end.
func (s *Set) ReadOn() {
	if s != nil {
		s.readOn.Inc()
	}
}

// Encrypted counts recipients to whom mail goes encrypted on a way, as dlp.Way has
// it.
func (s *Set) Encrypted(way string, rcpts int) {
	if s == nil {
		return
	}
	if !slices.Contains(dlp.Ways(), dlp.Way(way)) {
		way = other
	}
	s.encrypted.WithLabelValues(way).Add(float64(rcpts))
}

// NotProved counts a message for which no server proved to be its recipient's.
func (s *Set) NotProved() {
	if s != nil {
		s.notProved.Inc()
	}
}

// Pickup counts what happened to a message of the portal.
func (s *Set) Pickup(event string) {
	if s != nil {
		s.pickups.WithLabelValues(in(pickupEvents, event)).Inc()
	}
}

// Sampled counts a message that was chosen for the sample of passed mail, by what
// became of it.
func (s *Set) Sampled(outcome string) {
	if s != nil {
		s.sampled.WithLabelValues(in(sampleOutcomes, outcome)).Inc()
	}
}

// ExtractKill counts a worker that was killed or died; cause is the Cause of
// the Gap it leaves.
func (s *Set) ExtractKill(cause dlp.Cause) {
	if s != nil {
		s.kills.WithLabelValues(cause.String()).Inc()
	}
}

// ExtractSandbox notes how a worker that was started is locked in: layer is
// landlock, whose ABI version n is, or seccomp, whose mode it is; 0: not at all.
func (s *Set) ExtractSandbox(layer string, n int) {
	if s != nil {
		s.sandbox.WithLabelValues(layer).Set(float64(n))
	}
}

// ExtractStarted counts a worker that was started.
func (s *Set) ExtractStarted() {
	if s != nil {
		s.workers.Inc()
	}
}

// InlineImages counts small pictures that were let pass unread.
func (s *Set) InlineImages(n int) {
	if s != nil && n > 0 {
		s.inlineImages.Add(float64(n))
	}
}

// SessionOpened counts one more open SMTP session.
func (s *Set) SessionOpened() {
	if s != nil {
		s.sessions.Inc()
	}
}

// SessionClosed counts one less.
func (s *Set) SessionClosed() {
	if s != nil {
		s.sessions.Dec()
	}
}

// Refusal counts a 4yz or 5yz reply of ours.
func (s *Set) Refusal(replyCode int) {
	if s != nil {
		s.refusals.WithLabelValues(code(replyCode)).Inc()
	}
}

// NextHopError counts a failure of the next hop.
func (s *Set) NextHopError(at Stage) {
	if s != nil {
		s.nextHop.WithLabelValues(in(stages, string(at))).Inc()
	}
}

// Delivered counts recipients whose copy the next hop took from the outbox.
func (s *Set) Delivered(n int) { s.deliver("delivered", n) }

// Undelivered counts recipients that were refused or given up.
func (s *Set) Undelivered(n int) { s.deliver("failed", n) }

func (s *Set) deliver(result string, n int) {
	if s != nil && n > 0 {
		s.deliveries.WithLabelValues(result).Add(float64(n))
	}
}

// Notice counts a notice to a sender.
func (s *Set) Notice() {
	if s != nil {
		s.notices.WithLabelValues("notice").Inc()
	}
}

// DSN counts a delivery status notification.
func (s *Set) DSN() {
	if s != nil {
		s.notices.WithLabelValues("dsn").Inc()
	}
}

// QueueMessages says how many messages of the outbox are not finished.
func (s *Set) QueueMessages(n int) {
	if s != nil {
		s.queue.Set(float64(n))
	}
}

// SetAside counts a message of the spool that is worked on no more.
func (s *Set) SetAside(cause string) {
	if s != nil {
		s.setAside.WithLabelValues(in(setAsideCauses, cause)).Inc()
	}
}

// QueueState says how many messages of the spool wait in a state.
func (s *Set) QueueState(state string, n int) {
	if s != nil {
		s.queueStates.WithLabelValues(in(queueStates, state)).Set(float64(n))
	}
}

// QuarantineHeld says how many documents are held for review.
func (s *Set) QuarantineHeld(n int) {
	if s != nil {
		s.held.Set(float64(n))
	}
}

// DiskFree says how many bytes the file system of the data folder still takes.
func (s *Set) DiskFree(n uint64) {
	if s != nil {
		s.diskFree.Set(float64(n))
	}
}

// AuditSync counts an audit event and the time until it was on stable storage.
func (s *Set) AuditSync(took time.Duration) {
	if s != nil {
		s.auditSync.Observe(seconds(took))
	}
}

// Watched counts n of something that the folder watcher did or saw; what
// Watches did not name is "other".
func (s *Set) Watched(what string, n int) {
	if s == nil || n <= 0 {
		return
	}
	s.watched.WithLabelValues(named(&s.watches, what)).Add(float64(n))
}

// Route counts what came of asking a route's next hops for a transaction; a
// route that Routes did not name is "other".
func (s *Set) Route(route, result string) {
	if s != nil {
		s.routes.WithLabelValues(named(&s.routed, route), in(routeResults, result)).Inc()
	}
}

// RouteHostsDown says how many of a route's hosts count as down.
func (s *Set) RouteHostsDown(route string, n int) {
	if s != nil {
		s.hostsDown.WithLabelValues(named(&s.routed, route)).Set(float64(n))
	}
}
