package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPostfixAccount sends some hundred messages through each integration while
// stanch is killed, and has every one accounted for. A message that arrives
// twice is excused only if it is shown that its own reply was lost when stanch
// was killed.
func TestPostfixAccount(t *testing.T) {
	longTest(t)
	if tools == "" {
		t.Skip("the load generator and sink are not beside the checkout")
	}
	const kills, clients = 3, 8
	for name, in := range integrations() {
		if strings.Contains(name, "socket") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			next, ledger := startSink(t, dir)
			corpus := loadCorpus(t, dir)
			main := "default_process_limit = 20\nnotify_classes =\n"
			if in.set != "milter" {
				main += "header_checks = regexp:{{/^X-Load-Id:/ INFO}}\n" // for lostByPostfix
			}
			s := newSite(t, in.set, next, in.toml, main, "")
			s.start()
			var loads []string
			load := startLoad(t, &gateway{t: t, addr: s.mta}, dir, corpus, clients, 300, &loads)
			var dead []span
			for range kills {
				time.Sleep(700 * time.Millisecond) // the moment is the point
				from := time.Now()
				s.kill()
				s.start()
				dead = append(dead, span{from, time.Now()})
			}
			load.wait(t)
			eventually(t, "all queues are empty", func() bool {
				return strings.Contains(s.must("queue", "list"), "empty") && strings.Contains(s.postfix.queue(), "empty")
			})
			var again []string // a milter's server had our answer, and its client none: that is a second hold
			if in.set == "milter" {
				again = unanswered(t, loads[0])
			}
			ids := heldLoadIDs(t, s.gateway, again...)
			held := filepath.Join(dir, "held.txt")
			write(t, held, strings.Join(ids, "\n")+"\n", 0o600)
			out, err := exec.Command(filepath.Join(tools, "account"), "-sink", ledger, "-held", held, "-load", loads[0]).CombinedOutput()
			t.Logf("%d held\n%s", len(ids), out)
			var lost map[string][]time.Time
			switch in.set {
			case "milter": // Postfix has the message: it has nothing to send again
			case "proxy":
				if in.before {
					lost = lostByClient(t, loads[0])
					break
				}
				fallthrough
			default:
				lost = lostByPostfix(t, s.postfix.logged())
			}
			doubles, unproven := proveDoubles(copiesOf(t, ledger), lost, dead)
			t.Logf("%d messages arrived more than once, each excused by its own lost reply but %d", doubles, len(unproven))
			for _, u := range unproven {
				t.Error(u)
			}
			if err != nil && !onlyDoubled(string(out)) {
				t.Errorf("account: %v", err)
			}
			s.must("audit", "verify")
		})
	}
}

// onlyDoubled reports whether account found nothing but doubled deliveries.
func onlyDoubled(out string) bool {
	for line := range strings.SplitSeq(out, "\n") {
		if f := strings.Fields(line); len(f) == 3 && f[2] == "FAIL" && f[0] != "DUPLICATE" {
			return false
		}
	}
	return true
}

// span is the time from before stanch was killed to when it served again.
type span struct{ from, to time.Time }

// copiesOf reads from the sink's ledger when each message was taken.
func copiesOf(t *testing.T, ledger string) map[string][]time.Time {
	t.Helper()
	out := map[string][]time.Time{}
	eachLine(t, ledger, func(line []byte) {
		var got struct {
			T         time.Time
			ID        string
			Committed bool
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatal(err)
		}
		if got.Committed {
			out[got.ID] = append(out[got.ID], got.T)
		}
	})
	return out
}

// attempt is one line of the generator's ledger: how the end of data was
// answered.
type attempt struct {
	T         time.Time
	ID, Stage string
	Code      int
}

// failedDots reads from the generator's ledger the attempts of which the end of
// data was answered by nothing, or by 4yz.
func failedDots(t *testing.T, ledger string) (out []attempt) {
	t.Helper()
	eachLine(t, ledger, func(line []byte) {
		var sent attempt
		if err := json.Unmarshal(line, &sent); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(sent.Stage, "dot") && (sent.Code == 0 || sent.Code/100 == 4) {
			out = append(out, sent)
		}
	})
	return out
}

// lostByClient tells when each message's end of data was not answered, or by a
// server that had lost stanch.
func lostByClient(t *testing.T, ledger string) map[string][]time.Time {
	t.Helper()
	out := map[string][]time.Time{}
	for _, sent := range failedDots(t, ledger) {
		out[sent.ID] = append(out[sent.ID], sent.T)
	}
	return out
}

// unanswered lists the messages, once for each time, of which the end of data
// was not answered at all.
func unanswered(t *testing.T, ledger string) (ids []string) {
	t.Helper()
	for _, sent := range failedDots(t, ledger) {
		if sent.Code == 0 {
			ids = append(ids, sent.ID)
		}
	}
	return ids
}

func eachLine(t *testing.T, path string, do func([]byte)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Buffer(nil, 1<<20); sc.Scan(); {
		do(sc.Bytes())
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
}

// Lines of Postfix's log: a message and its X-Load-Id, and what it says when a
// server is gone that may have taken the message.
var (
	logsID   = regexp.MustCompile(`/cleanup\[\d+\]: (\w+): info: header X-Load-Id: (\S+)`)
	logsLost = regexp.MustCompile(`(?m)^(\w{3} [ \d]\d [\d:]{8}) \S+ \S+: (\w+): to=.* while sending end of data -- message may be sent more than once`)
)

// lostByPostfix reads from Postfix's log when it had sent a message whole and
// its connection to stanch was lost before the reply.
func lostByPostfix(t *testing.T, log string) map[string][]time.Time {
	t.Helper()
	ids := map[string]string{}
	for _, m := range logsID.FindAllStringSubmatch(log, -1) {
		ids[m[1]] = m[2]
	}
	out := map[string][]time.Time{}
	for _, m := range logsLost.FindAllStringSubmatch(log, -1) {
		at, err := time.ParseInLocation("2006 "+time.Stamp, time.Now().Format("2006 ")+m[1], time.Local)
		if err != nil {
			t.Fatal(err)
		}
		if id := ids[m[2]]; !slices.ContainsFunc(out[id], func(x time.Time) bool { return x.Sub(at).Abs() <= time.Second }) { // one line a recipient
			out[id] = append(out[id], at)
		}
	}
	return out
}

// proveDoubles counts the messages that arrived more than once, and says of
// which this is not excused. Each copy but the last needs a loss of that very
// message's reply, at a kill of its own: a server or client notices one at
// once, and logs the second in which it did.
func proveDoubles(copies, lost map[string][]time.Time, dead []span) (doubles int, unproven []string) {
	for _, id := range slices.Sorted(maps.Keys(copies)) {
		n := len(copies[id])
		if n < 2 {
			continue
		}
		doubles++
		used := map[int]bool{}
		for _, at := range lost[id] {
			k := slices.IndexFunc(dead, func(d span) bool { return !at.Before(d.from.Truncate(time.Second)) && !at.After(d.to) })
			if k >= 0 {
				used[k] = true
			}
		}
		if len(used) < n-1 {
			unproven = append(unproven, fmt.Sprintf("%s arrived %d times, at %v; replies lost at %v, of which at %d kills of its own; killed at %v",
				id, n, copies[id], lost[id], len(used), dead))
		}
	}
	return doubles, unproven
}

// TestDoublesAreProven holds that a double without a lost reply of its own, or
// whose reply was lost when nobody was killed, is found.
func TestDoublesAreProven(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1_800_000_000, int64(s*1e9)) }
	dead := []span{{at(10.5), at(12)}, {at(20.5), at(22)}}
	for name, tt := range map[string]struct {
		copies, lost []time.Time
		ok           bool
	}{
		"once":                         {[]time.Time{at(9)}, nil, true},
		"no reply was lost":            {[]time.Time{at(9), at(13)}, nil, false},
		"lost at a kill":               {[]time.Time{at(10.4), at(13)}, []time.Time{at(10.6)}, true},
		"lost in the second of a kill": {[]time.Time{at(10.4), at(13)}, []time.Time{at(10)}, true},
		"lost before":                  {[]time.Time{at(9), at(13)}, []time.Time{at(9.9)}, false},
		"lost after it served again":   {[]time.Time{at(13), at(15)}, []time.Time{at(12.1)}, false},
		"three, one kill":              {[]time.Time{at(10), at(13), at(14)}, []time.Time{at(10.6), at(10.7)}, false},
		"three, two kills":             {[]time.Time{at(10), at(13), at(23)}, []time.Time{at(10.6), at(21)}, true},
		"four, two kills":              {[]time.Time{at(10), at(13), at(14), at(23)}, []time.Time{at(10.6), at(21)}, false},
	} {
		_, unproven := proveDoubles(map[string][]time.Time{"x": tt.copies}, map[string][]time.Time{"x": tt.lost, "y": {at(10.6), at(21)}}, dead)
		if (len(unproven) == 0) != tt.ok {
			t.Errorf("%s: %q, want proven: %v", name, unproven, tt.ok)
		}
	}
	log := "Nov 26 02:16:31 mail postfix/cleanup[7]: 0A1B2C: info: header X-Load-Id: m-000001 from localhost[127.0.0.1]; from=<a@b> to=<c@d> proto=ESMTP helo=<x>\n" +
		"Nov 26 02:16:32 mail postfix/smtp[8]: 0A1B2C: to=<c@d>, relay=127.0.0.1[127.0.0.1]:1, delay=1, delays=0/0/0/1, dsn=4.4.2, status=deferred (lost connection with 127.0.0.1[127.0.0.1] while sending end of data -- message may be sent more than once)\n" +
		"Nov 26 02:16:32 mail postfix/smtp[8]: 0A1B2C: to=<e@d>, relay=127.0.0.1[127.0.0.1]:1, delay=1, delays=0/0/0/1, dsn=4.4.2, status=deferred (lost connection with 127.0.0.1[127.0.0.1] while sending end of data -- message may be sent more than once)\n" +
		"Nov 26 02:16:40 mail postfix/smtp[8]: 0A1B2C: to=<e@d>, relay=127.0.0.1[127.0.0.1]:1, delay=1, delays=0/0/0/1, dsn=4.4.2, status=deferred (lost connection with 127.0.0.1[127.0.0.1] while sending MAIL FROM)\n"
	if lost := lostByPostfix(t, log)["m-000001"]; len(lost) != 1 || lost[0].Format("15:04:05") != "02:16:32" {
		t.Errorf("lost by Postfix's log: %v, want one, at 02:16:32", lost)
	}
}
