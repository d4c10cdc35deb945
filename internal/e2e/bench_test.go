package e2e

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkMail sends the same mail to the same sink directly and through the
// gateway, in turn, and reports messages a second of both, their ratio, and
// the processor time that gateway and readers spend on a message.
func BenchmarkMail(b *testing.B) {
	for _, size := range []int{1 << 10, 10 << 10, 100 << 10, 1 << 20} {
		b.Run(strconv.Itoa(size>>10)+"KiB", func(b *testing.B) { benchMail(b, size) })
	}
}

const (
	benchRounds   = 5
	benchSessions = 10
)

func benchMail(b *testing.B, size int) {
	sink := newSink(b)
	g := newGateway(b, options{nextHop: sink.addr})
	g.start()
	msg := []byte(prose(size))
	n := max(20, min(400, 8<<20/size)) // messages a round
	var direct, through, ratio, cpu []float64
	for b.Loop() {
		for range benchRounds {
			d := rate(b, sink.addr, msg, n)
			before := cpuSeconds(b, g.cmd.Process.Pid)
			t := rate(b, g.addr, msg, n)
			used := cpuSeconds(b, g.cmd.Process.Pid) - before
			direct, through = append(direct, d), append(through, t)
			ratio, cpu = append(ratio, t/d), append(cpu, 1000*used/float64(n))
		}
	}
	b.ReportMetric(median(direct), "direct-msg/s")
	b.ReportMetric(median(through), "gateway-msg/s")
	b.ReportMetric(median(ratio), "ratio")
	b.ReportMetric(median(cpu), "cpu-ms/msg")
	b.ReportMetric(0, "ns/op") // a round is of no interest
}

// headerEnd is where prose's header has ended: without it the file is no mail.
const headerEnd = 100

// BenchmarkScan reports how fast the scan command reads prose, start-up
// included.
func BenchmarkScan(b *testing.B) {
	const size = 64 << 20
	path := filepath.Join(b.TempDir(), "prose.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat(prose(1<<20), size>>20)[headerEnd:]), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	for b.Loop() {
		cmd := exec.Command(stanch, "scan", "--format", "jsonl", path)
		cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
		if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != 1 {
			b.Fatal(err)
		}
	}
}

func median(xs []float64) float64 {
	slices.Sort(xs)
	return xs[len(xs)/2]
}

// prose is ordinary text of about that size, different in every line.
func prose(size int) string {
	words := strings.Fields("the patient was seen in clinic today and reports feeling well with no new complaints since the last visit " +
		"blood pressure is stable on current medication follow up in six weeks or sooner if symptoms return please call the office " +
		"meeting budget schedule review attached committee department quarterly report thanks regards tomorrow morning discuss")
	r := rand.New(rand.NewPCG(1, uint64(size)))
	var s strings.Builder
	s.WriteString("From: <ada@clinic.example>\r\nTo: <sam@partner.example>\r\nSubject: weekly notes\r\n\r\n")
	for line := 0; s.Len() < size; line++ {
		for range 11 {
			s.WriteString(words[r.IntN(len(words))] + " ")
		}
		s.WriteString(strconv.Itoa(line%97) + "\r\n")
	}
	return s.String()
}

// rate sends n messages over benchSessions connections and returns messages a
// second.
func rate(b *testing.B, addr string, msg []byte, n int) float64 {
	b.Helper()
	start := time.Now()
	sendAll(b, addr, msg, n)
	return float64(n) / time.Since(start).Seconds()
}

// sendAll sends n messages over benchSessions connections.
func sendAll(t testing.TB, addr string, msg []byte, n int) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, benchSessions)
	for s := range benchSessions {
		wg.Go(func() {
			if err := sendMany(addr, msg, (n+s)/benchSessions); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
}

func sendMany(addr string, msg []byte, n int) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	say := func(line string, want byte) error {
		if line != "" {
			if _, err := io.WriteString(c, line+"\r\n"); err != nil {
				return err
			}
		}
		for {
			got, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			if got[0] != want {
				return fmt.Errorf("%s answered %s", line, got)
			}
			if got[3] == ' ' {
				return nil
			}
		}
	}
	if err := say("", '2'); err != nil {
		return err
	}
	if err := say("EHLO bench.example", '2'); err != nil {
		return err
	}
	for range n {
		for _, step := range [][2]string{{"MAIL FROM:<ada@clinic.example>", "2"}, {"RCPT TO:<sam@partner.example>", "2"}, {"DATA", "3"}} {
			if err := say(step[0], step[1][0]); err != nil {
				return err
			}
		}
		if _, err := c.Write(msg); err != nil {
			return err
		}
		if err := say(".", '2'); err != nil {
			return err
		}
	}
	return say("QUIT", '2')
}

// sink takes everything and keeps nothing.
type sink struct {
	addr  string
	taken atomic.Int64
}

func newSink(b testing.TB) *sink {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &sink{addr: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.take(c) })
		}
	})
	b.Cleanup(func() { l.Close() })
	return s
}

func (s *sink) take(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	say := func(s string) { _, _ = io.WriteString(c, s+"\r\n") } // the client sees it end
	say("220 sink")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(line[:min(4, len(line))]); verb {
		case "EHLO":
			say("250-sink\r\n250-PIPELINING\r\n250 8BITMIME")
		case "QUIT":
			say("221 bye")
			return
		case "DATA":
			say("354 go")
			for {
				l, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if string(l) == ".\r\n" {
					break
				}
			}
			s.taken.Add(1)
			say("250 taken")
		default:
			say("250 ok")
		}
	}
}

// cpuSeconds is what a process and its living and ended children have used.
func cpuSeconds(t testing.TB, pid int) float64 {
	t.Helper()
	total := procTimes(t, pid).self + procTimes(t, pid).ended
	for _, child := range childrenOf(t, pid) {
		total += child.self
	}
	return total
}

// cpuOfChild is what the living children of that name have used.
func cpuOfChild(t testing.TB, pid int, name string) (total float64) {
	t.Helper()
	for _, child := range childrenOf(t, pid) {
		if child.name == name {
			total += child.self
		}
	}
	return total
}

// procTime is what one process has used, in seconds.
type procTime struct {
	name        string
	parent      int
	self, ended float64 // its own, and that of children it has waited for
}

func childrenOf(t testing.TB, pid int) (ps []procTime) {
	t.Helper()
	es, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		if child, err := strconv.Atoi(e.Name()); err == nil {
			if p := procTimes(t, child); p.parent == pid {
				ps = append(ps, p)
			}
		}
	}
	return ps
}

// procTimes reads /proc/PID/stat, see proc(5); zero once the process has ended.
func procTimes(t testing.TB, pid int) procTime {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procTime{}
	}
	_, rest, _ := strings.Cut(string(raw), "(")
	end := strings.LastIndex(rest, ") ")
	if end < 0 {
		return procTime{}
	}
	f := strings.Fields(rest[end+2:]) // from the third field of the file on
	var ticks [4]float64
	for i := range ticks { // utime, stime, cutime, cstime
		if ticks[i], err = strconv.ParseFloat(f[11+i], 64); err != nil {
			t.Fatal(err)
		}
	}
	parent, err := strconv.Atoi(f[1])
	if err != nil {
		t.Fatal(err)
	}
	return procTime{name: rest[:end], parent: parent, self: (ticks[0] + ticks[1]) / 100, ended: (ticks[2] + ticks[3]) / 100} // USER_HZ
}
