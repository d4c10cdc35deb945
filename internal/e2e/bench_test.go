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
		b.Fatal(err)
	}
	return float64(n) / time.Since(start).Seconds()
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
type sink struct{ addr string }

func newSink(b *testing.B) *sink {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { take(c) })
		}
	})
	b.Cleanup(func() { l.Close() })
	return &sink{addr: l.Addr().String()}
}

func take(c net.Conn) {
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
			say("250 taken")
		default:
			say("250 ok")
		}
	}
}

// cpuSeconds is what a process and its living and ended children have used.
func cpuSeconds(b *testing.B, pid int) float64 {
	b.Helper()
	total := 0.0
	es, err := os.ReadDir("/proc")
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range es {
		raw, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		_, rest, ok := strings.Cut(string(raw), ") ")
		f := strings.Fields(rest)
		if !ok || len(f) < 15 || e.Name() != strconv.Itoa(pid) && f[1] != strconv.Itoa(pid) {
			continue
		}
		fields := f[11:13] // utime, stime (proc(5))
		if e.Name() == strconv.Itoa(pid) {
			fields = f[11:15] // and those of children that have ended
		}
		for _, x := range fields {
			ticks, err := strconv.ParseFloat(x, 64)
			if err != nil {
				b.Fatal(err)
			}
			total += ticks / 100 // USER_HZ
		}
	}
	return total
}
