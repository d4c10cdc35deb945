package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// TestHundredLargeMessagesAtOnce holds the gateway and its children together
// to a gibibyte while a hundred clients have sent 25 MB each and wait.
func TestHundredLargeMessagesAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("moves gigabytes")
	}
	const (
		clients = 100
		size    = 25_000_000
		most    = 1 << 30
	)
	sink := newNextHop(t)
	sink.keep = false
	g := newGateway(t, options{nextHop: sink.addr})
	g.start()

	stop, peak := make(chan struct{}), make(chan int64, 1)
	go func() { peak <- watchMemory(g.cmd.Process.Pid, stop) }()
	// Everybody sends all but the end of data, and then all end at once.
	var sent, done sync.WaitGroup
	sent.Add(clients)
	errs := make([]error, clients)
	for i := range clients {
		done.Go(func() { errs[i] = sendLarge(g.addr, i, size, sync.OnceFunc(sent.Done), sent.Wait) })
	}
	done.Wait()
	close(stop)
	got := <-peak
	for i, err := range errs {
		if err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	t.Logf("at most %d MiB, gateway and children", got>>20)
	if got == 0 || got > most {
		t.Errorf("took %d MiB, want at most %d", got>>20, most>>20)
	}
	if n := sink.count(); n != clients {
		t.Errorf("%d delivered, want %d", n, clients)
	}
	if n := len(g.held()); n != 0 {
		t.Errorf("%d clean messages are held: %+v", n, g.held()[0])
	}
}

// sendLarge sends one clean message of about size bytes: a short text and an
// attachment. It calls sent, and then waits, before the end of data.
func sendLarge(addr string, n, size int, sent, wait func()) error {
	defer sent()
	c, err := net.DialTimeout("tcp", addr, waitWithin)
	if err != nil {
		return err
	}
	client := gosmtp.NewClient(c)
	defer client.Close()
	client.SubmissionTimeout = 10 * time.Minute
	if err := client.Hello("client.example"); err != nil {
		return err
	}
	if err := client.Mail("ada@clinic.example", nil); err != nil {
		return err
	}
	if err := client.Rcpt("sam@partner.example", nil); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	fmt.Fprintf(out, "Subject: large %d\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+
		"--b\r\nContent-Type: text/plain\r\n\r\nThe minutes are attached.\r\n"+
		"--b\r\nContent-Type: text/plain; name=minutes.txt\r\nContent-Disposition: attachment; filename=minutes.txt\r\n\r\n", n)
	const line = "The meeting went on and nothing much was said about anything at all.\r\n"
	for written := 0; written < size; written += len(line) {
		if _, err := out.WriteString(line); err != nil {
			return err
		}
	}
	if _, err := out.WriteString("--b--\r\n"); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	sent()
	wait()
	_, err = w.CloseWithResponse()
	return err
}

// watchMemory returns the most that the process and all below it took, in
// bytes, shared pages counted once, until stop is closed.
func watchMemory(pid int, stop <-chan struct{}) (peak int64) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var sum int64
		for _, p := range family(pid) {
			sum += proportional(p)
		}
		peak = max(peak, sum)
		select {
		case <-stop:
			return peak
		case <-tick.C:
		}
	}
}

// family lists pid and all its descendants.
func family(pid int) []int {
	pids := []int{pid}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return pids
	}
	for _, path := range tasks {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for f := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(f); err == nil {
				pids = append(pids, family(child)...)
			}
		}
	}
	return pids
}

// proportional is a process's share of memory, in bytes; 0 once it has ended.
func proportional(pid int) int64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "\nPss:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
