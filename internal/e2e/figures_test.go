package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// transportOnly is the configuration that the door is measured with.
const transportOnly = "\n[scan]\nenabled = false\n"

// way is one road from the load generator to the sink.
type way struct {
	name string
	addr string
	cpu  func() float64 // seconds used so far by all processes of it; nil: not measured
	many int            // messages for one of the others: a cheap way needs more of them to be seen

	cost, rate []float64 // ms of processor a message, messages a second, of each round
}

// TestMailFigures prints what make bench-mail is for: the door and the whole
// road beside Debian's Postfix, before the same sink, in turns. It asserts no
// figure: the machine is not always to be had alone.
func TestMailFigures(t *testing.T) {
	if os.Getenv("STANCH_BENCH") != "1" {
		t.Skip("a measurement; make bench-mail runs it")
	}
	sink := newSink(t)
	door := newGateway(t, options{nextHop: sink.addr, extra: transportOnly})
	door.start()
	road := newGateway(t, options{nextHop: sink.addr})
	road.start()
	p := startPostfix(t, sink.addr)
	queue, proxy := p.benchDoors(sink.addr)
	of := func(g *gateway) func() float64 { return func() float64 { return cpuSeconds(t, g.cmd.Process.Pid) } }
	master := p.masterPID()
	ofPostfix := func() float64 { return cpuSeconds(t, master) - cpuOfChild(t, master, "postlogd") }
	direct := &way{name: "load generator straight to the sink", addr: sink.addr, many: 4}
	transport := &way{name: "stanch, transport only", addr: door.addr, cpu: of(door), many: 4}
	rules := &way{name: "stanch, rules on", addr: road.addr, cpu: of(road), many: 2}
	queued := &way{name: "Postfix, queue", addr: queue, cpu: ofPostfix, many: 1}
	proxied := &way{name: "Postfix, smtpd_proxy_filter", addr: proxy, cpu: ofPostfix, many: 2}

	for _, m := range []struct {
		size, n, rounds int
		ways            []*way
		targets         func()
	}{
		{10 << 10, 1000, 11, []*way{direct, transport, rules, queued, proxied}, func() {
			target("10 KiB: processor, stanch / Postfix's queue", ratio(transport.cost, queued.cost), "at most", 0.15)
			target("10 KiB: processor, stanch / Postfix's smtpd_proxy_filter", ratio(transport.cost, proxied.cost), "at most", 0.5)
			target("10 KiB: drained messages a second, stanch / Postfix's queue", ratio(transport.rate, queued.rate), "at least", 5)
			target("10 KiB: messages a second, rules on / transport only", ratio(rules.rate, transport.rate), "at least", 0.6)
			target("10 KiB: messages a second, rules on / Postfix's queue", ratio(rules.rate, queued.rate), "", 0)
		}},
		{1 << 20, 30, 5, []*way{direct, transport, rules, queued, proxied}, func() {
			target("1 MiB: processor, stanch / Postfix's queue", ratio(transport.cost, queued.cost), "at most", 0.35)
			target("1 MiB: processor, stanch / Postfix's smtpd_proxy_filter", ratio(transport.cost, proxied.cost), "", 0)
			target("1 MiB: messages a second, stanch / Postfix's queue", ratio(transport.rate, queued.rate), "", 0)
		}},
	} {
		msg := []byte(prose(m.size))
		for _, w := range m.ways {
			w.cost, w.rate = nil, nil
		}
		for round := range m.rounds + 1 { // the first warms up
			for _, w := range m.ways {
				cost, rate := w.measure(t, sink, msg, m.n*w.many)
				if round > 0 {
					w.cost, w.rate = append(w.cost, cost), append(w.rate, rate)
				}
			}
		}
		fmt.Printf("\n%d KiB of prose, %d sessions, one message after the other in each; %d rounds in turns, medians (least to most)\n",
			m.size>>10, benchSessions, m.rounds)
		for _, w := range m.ways {
			fmt.Printf("  %-38s %22s ms of processor a message   %24s messages/s\n", w.name, spread(w.cost, "%.3f"), spread(w.rate, "%.0f"))
		}
		m.targets()
	}
	door.stop()
	road.stop()
	fmt.Println()
	figureMemory(t, sink)
	fmt.Println(`
How: processor is user and system time from /proc of every process of that way: the gateway and its readers; Postfix's
master and all its daemons, those that ended too, less postlogd, since elsewhere syslog does that. Load generator and sink
run in the test's process, do nothing with the mail and are not counted. A rate is from the first message sent to the last
at the sink. Postfix is Debian's with its defaults, started for this (internal/e2e/postfix_test.go), relaying to the sink:
"queue" is smtpd, cleanup, qmgr, smtp; "smtpd_proxy_filter" hands over to the sink before the queue. Ratios are medians of
the rounds' own ratios.`)
}

// measure sends n messages and waits until the sink has them all.
func (w *way) measure(t *testing.T, sink *sink, msg []byte, n int) (cost, rate float64) {
	t.Helper()
	before := 0.0
	if w.cpu != nil {
		before = w.cpu()
	}
	had, start := sink.taken.Load(), time.Now()
	sendAll(t, w.addr, msg, n)
	for end := start.Add(5 * time.Minute); sink.taken.Load() < had+int64(n); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: %d of %d messages arrived", w.name, sink.taken.Load()-had, n)
		}
	}
	rate = float64(n) / time.Since(start).Seconds()
	if w.cpu != nil {
		cost = 1000 * (w.cpu() - before) / float64(n)
	}
	return cost, rate
}

// ratio is the median of the rounds' ratios.
func ratio(of, to []float64) float64 {
	var rs []float64
	for i := range of {
		rs = append(rs, of[i]/to[i])
	}
	return median(rs)
}

func spread(xs []float64, form string) string {
	if slices.Max(xs) == 0 {
		return "not measured"
	}
	m := median(append([]float64(nil), xs...))
	return fmt.Sprintf(form+" ("+form+" to "+form+")", m, slices.Min(xs), slices.Max(xs))
}

func target(what string, got float64, bound string, want float64) {
	says := ""
	switch {
	case bound == "":
	case bound == "at most" && got <= want, bound == "at least" && got >= want:
		says = fmt.Sprintf("   wanted %s %g: reached", bound, want)
	default:
		says = fmt.Sprintf("   wanted %s %g: MISSED", bound, want)
	}
	fmt.Printf("  %-66s %8.3f%s\n", what, got, says)
}

// figureMemory prints what sessions cost.
func figureMemory(t *testing.T, sink *sink) {
	t.Helper()
	const sessions = 50
	g := newGateway(t, options{nextHop: sink.addr})
	g.start()
	var sent, done sync.WaitGroup
	sent.Add(sessions)
	errs := make([]error, sessions)
	stop, alone, all := make(chan struct{}), make(chan int64, 1), make(chan int64, 1)
	go func() { alone <- watchOne(g.cmd.Process.Pid, stop) }()
	go func() { all <- watchMemory(g.cmd.Process.Pid, stop) }()
	for i := range sessions {
		done.Go(func() { errs[i] = sendLarge(g.addr, i, 1<<20, sync.OnceFunc(sent.Done), sent.Wait) })
	}
	done.Wait()
	close(stop)
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	target("50 sessions of 1 MiB at once, rules on: gateway, MiB at most", float64(<-alone)/(1<<20), "at most", 100)
	target("the same with the children that read", float64(<-all)/(1<<20), "", 0)
	g.stop()

	each, most := idleCost(t, 10_000)
	target("10,000 idle connections, KiB each", float64(each)/1024, "at most", 64)
	target("the same, the gateway in all, MiB", float64(most)/(1<<20), "", 0)
}

// benchDoors opens two mail doors: one that queues, one that hands over to sink
// before the queue.
func (p *postfix) benchDoors(sink string) (queue, proxy string) {
	p.t.Helper()
	queue, proxy = freeAddr(p.t), freeAddr(p.t)
	master := filepath.Join(p.dir, "master.cf")
	write(p.t, master, read(p.t, master)+fmt.Sprintf(`%s inet n - n - - smtpd
  -o mynetworks=127.0.0.0/8
%s inet n - n - - smtpd
  -o mynetworks=127.0.0.0/8 -o smtpd_proxy_filter=%s
tlsmgr    unix  - - n 1000? 1 tlsmgr
`, queue, proxy, sink), 0o644)
	p.run("postfix", "-c", p.dir, "reload")
	eventually(p.t, "Postfix listens", func() bool { return listens(queue) && listens(proxy) })
	return queue, proxy
}

func (p *postfix) masterPID() int {
	p.t.Helper()
	b := read(p.t, filepath.Join(filepath.Dir(p.dir), "spool", "pid", "master.pid"))
	pid, err := strconv.Atoi(strings.TrimSpace(b))
	if err != nil {
		p.t.Fatal(err)
	}
	return pid
}
