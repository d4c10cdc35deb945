package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestHundredLargeMessagesAtOnce holds the gateway and its children together
// to a gibibyte while a hundred clients have sent 25 MB each and wait.
func TestHundredLargeMessagesAtOnce(t *testing.T) { // by itself: it measures
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
	for i, err := range errs {
		if err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	eventually(t, "none is still read on", func() bool { return len(g.queue()) == 0 })
	close(stop)
	got := <-peak
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
	conn, err := net.DialTimeout("tcp", addr, waitWithin)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := textproto.NewReader(bufio.NewReader(conn))
	say := func(code int, text string) error {
		if _, err := io.WriteString(conn, text); err != nil {
			return err
		}
		_, _, err := in.ReadResponse(code)
		return err
	}
	for _, step := range []struct {
		code int
		text string
	}{
		{220, ""}, {250, "EHLO client.example\r\n"}, {250, "MAIL FROM:<ada@clinic.example>\r\n"},
		{250, "RCPT TO:<sam@partner.example>\r\n"}, {354, "DATA\r\n"},
	} {
		if err := say(step.code, step.text); err != nil {
			return err
		}
	}
	head := fmt.Sprintf("Subject: large %d\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+
		"--b\r\nContent-Type: text/plain\r\n\r\nThe minutes are attached.\r\n"+
		"--b\r\nContent-Type: text/plain; name=minutes.txt\r\nContent-Disposition: attachment; filename=minutes.txt\r\n\r\n", n)
	if _, err := io.WriteString(conn, head); err != nil {
		return err
	}
	block := []byte(strings.Repeat("The meeting went on and nothing much was said about anything at all.\r\n", 1000))
	for written := 0; written < size; written += len(block) {
		if _, err := conn.Write(block); err != nil {
			return err
		}
	}
	sent()
	wait()
	return say(250, "--b--\r\n.\r\n")
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

// watchOne is watchMemory of the process alone.
func watchOne(pid int, stop <-chan struct{}) (peak int64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		peak = max(peak, proportional(pid))
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
// One that may not be looked into counts with all that is resident, shared
// pages too.
func proportional(pid int) int64 {
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)); err == nil {
		return kibibytes(string(b), "\nPss:")
	}
	return resident(pid)
}

// resident is all of a process that is in memory, shared pages too, in bytes; 0
// once it has ended.
func resident(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return kibibytes(string(b), "\nVmRSS:")
}

func kibibytes(b, field string) int64 {
	_, rest, _ := strings.Cut(b, field)
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
