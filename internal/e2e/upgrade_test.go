package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// installed is a gateway that runs as it would from a package: from a file
// that is replaced, under a parent that does not wait for successors.
type installed struct {
	*gateway
	program string
	cmd     *exec.Cmd // of the first process
}

func newInstalled(t *testing.T, o options) *installed {
	t.Helper()
	return installedFrom(t, newGateway(t, o))
}

func installedFrom(t *testing.T, serves *gateway) *installed {
	t.Helper()
	g := &installed{gateway: serves}
	g.program = filepath.Join(g.dir, "bin", "stanch")
	if err := os.Mkdir(filepath.Dir(g.program), 0o755); err != nil {
		t.Fatal(err)
	}
	g.install(stanch)
	t.Cleanup(func() {
		if pid := g.pid(); pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
		if g.cmd != nil {
			_ = g.cmd.Process.Kill() // the first may have ended long ago
			_ = g.cmd.Wait()
		}
		if t.Failed() {
			b, _ := os.ReadFile(g.logFile())
			t.Logf("log:\n%s", tail(string(b), 6000))
		}
	})
	return g
}

func (g *installed) logFile() string { return filepath.Join(g.dir, "log") }

// install puts a copy of the file at path where the program stands, as a
// package manager does: by rename.
func (g *installed) install(path string) {
	g.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(g.program+".new", b, 0o755); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(g.program+".new", g.program); err != nil {
		g.t.Fatal(err)
	}
}

// pid is the process that answers on the control socket, by what the kernel
// says of the socket's other end; 0 while none does.
func (g *installed) pid() int {
	c, err := net.DialTimeout("unix", filepath.Join(g.data(), "control.sock"), time.Second)
	if err != nil {
		return 0
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	var cred *syscall.Ucred
	_ = raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err != nil || cred == nil {
		return 0
	}
	return int(cred.Pid)
}

// run starts the program under command, which ends in the program's path, with
// sockets handed over as a service manager does.
func (g *installed) run(command []string, sockets ...*os.File) {
	g.t.Helper()
	log, err := os.OpenFile(g.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		g.t.Fatal(err)
	}
	defer log.Close()
	if len(sockets) > 0 {
		command = append([]string{"/bin/sh", "-c", fmt.Sprintf(`LISTEN_FDS=%d LISTEN_FDNAMES=smtp LISTEN_PID=$$ exec "$0" "$@"`, len(sockets))}, command...)
	}
	command = append(command, "serve", "--config", g.config)
	g.cmd = exec.Command(command[0], command[1:]...)
	g.cmd.Stdout, g.cmd.Stderr, g.cmd.ExtraFiles = log, log, sockets
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
}

// startInstalled runs the program by itself and waits for its doors.
func (g *installed) startInstalled() {
	g.t.Helper()
	g.run([]string{g.program})
	eventually(g.t, "serve answers", func() bool { return g.pid() > 0 && listens(g.addr) })
}

// upgrade runs `stanch upgrade`.
func (g *installed) upgrade() (out string, code int) {
	g.t.Helper()
	b, err := exec.Command(stanch, "upgrade", "--config", g.config).CombinedOutput()
	if err != nil {
		return string(b), err.(*exec.ExitError).ExitCode()
	}
	return string(b), 0
}

// neverRefused holds that clients saw no refusal but a 421 between two messages,
// and that at most as often as said.
func neverRefused(t *testing.T, ledgers []string, boundaries int) {
	t.Helper()
	stages := map[string]int{}
	for _, l := range ledgers {
		for line := range strings.Lines(read(t, l)) {
			var s struct {
				Code         int
				Stage, Reply string
			}
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				t.Fatal(err)
			}
			stages[s.Stage+" "+strconv.Itoa(s.Code)]++
			switch {
			case s.Code == 0 && s.Stage == "connect", s.Code == 0 && s.Stage == "greeting", s.Stage == "greeting" && s.Code != 220:
				t.Errorf("refused: %s %s", s.Stage, s.Reply)
			case s.Code == 0 && (s.Stage == "dot" || s.Stage == "body"):
				t.Errorf("cut inside a message: %s %s", s.Stage, s.Reply)
			case s.Code >= 400 && (s.Code != 421 || s.Stage != "mail"):
				t.Errorf("refused at %s: %s", s.Stage, s.Reply)
			}
		}
	}
	if n := stages["mail 421"]; n > boundaries {
		t.Errorf("%d sessions were closed between messages, want %d at most", n, boundaries)
	}
	t.Logf("by stage: %v", stages)
}

// attempts counts the lines of the generator's ledgers: one for each time that a
// message was offered. A ledger that is not there yet has none.
func attempts(t *testing.T, ledgers []string) (n int) {
	t.Helper()
	for _, ledger := range ledgers {
		b, err := os.ReadFile(ledger)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		n += bytes.Count(b, []byte("\n"))
	}
	return n
}

// underLoad calls change five times while 20 clients send, and accounts for
// every message.
func underLoad(x *trial, change func()) {
	x.t.Helper()
	const changes = 5
	load := x.load(500)
	for range changes {
		before := attempts(x.t, x.ledgers)
		eventually(x.t, "mail flows between two upgrades", func() bool {
			if load.done() {
				load = x.load(500)
			}
			return attempts(x.t, x.ledgers) >= before+50
		})
		change()
	}
	load.wait(x.t)
	neverRefused(x.t, x.ledgers, changes*loadSessions)
	x.whole()
}

// TestUpgradedUnderLoad replaces the running program five times by the handover
// of our own, while whichever process serves is told to reload all the time.
func TestUpgradedUnderLoad(t *testing.T) {
	t.Parallel()
	x := newTrial(t, options{})
	g := installedFrom(t, x.gateway)
	g.startInstalled()
	first := g.pid()
	underLoad(x, func() {
		before := g.pid()
		g.install(stanch)
		stop := make(chan struct{})
		var reloading sync.WaitGroup
		reloading.Go(func() {
			for {
				if pid := g.pid(); pid > 0 {
					_ = syscall.Kill(pid, syscall.SIGHUP) // it may have just ended
				}
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
		out, code := g.upgrade()
		close(stop)
		reloading.Wait()
		if code != 0 {
			t.Errorf("upgrade: exit %d: %s", code, out)
		}
		if now := g.pid(); now == before || now == 0 {
			t.Errorf("after the upgrade process %d serves, want another than %d", now, before)
		}
	})
	if err := g.cmd.Wait(); err != nil {
		t.Errorf("the first process, %d: %v, want exit 0", first, err)
	}
	g.cmd = nil
}

// TestRestartedUnderActivation restarts the service five times while its
// parent holds the socket, as systemd does for a socket unit.
func TestRestartedUnderActivation(t *testing.T) {
	t.Parallel()
	x := newTrial(t, options{})
	g := installedFrom(t, x.gateway)
	ln, err := net.Listen("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	socket, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	g.run([]string{g.program}, socket)
	underLoad(x, func() {
		eventually(t, "serve answers", func() bool { return g.pid() == g.cmd.Process.Pid })
		if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := g.cmd.Wait(); err != nil {
			t.Errorf("stop: %v, want exit 0", err)
		}
		g.run([]string{g.program}, socket)
	})
}

// TestUpgradeThatFails: whatever is wrong with the new program or with the
// configuration, mail goes on through the old one.
func TestUpgradeThatFails(t *testing.T) {
	t.Parallel()
	g := newInstalled(t, options{})
	g.startInstalled()
	first := g.pid()
	flows := func(what string) {
		t.Helper()
		if reply, err := g.send("a@clinic.example", []string{"b@other.example"}, "Subject: "+what+"\r\n\r\nhello\r\n"); err != nil {
			t.Errorf("%s: mail: %q, %v", what, reply, err)
		}
	}
	script := func(text string) {
		path := filepath.Join(g.dir, "script")
		write(t, path, "#!/bin/sh\n"+text+"\n", 0o755)
		g.install(path)
	}
	config := read(t, g.config)

	write(t, filepath.Join(g.dir, "garbage"), "not a program", 0o755)
	g.install(filepath.Join(g.dir, "garbage"))
	if out, code := g.upgrade(); code != 2 || g.pid() != first {
		t.Errorf("no program: exit %d, %q, process %d serves, want exit 2 and %d", code, out, g.pid(), first)
	}
	script("exit 1")
	if out, code := g.upgrade(); code != 2 || g.pid() != first {
		t.Errorf("a program that ends: exit %d, %q, process %d serves, want exit 2 and %d", code, out, g.pid(), first)
	}
	g.install(stanch)
	write(t, g.config, config+"\n[no_such_section]\nkey = 1\n", 0o600)
	if out, code := g.upgrade(); code != 2 || g.pid() != first {
		t.Errorf("a bad configuration: exit %d, %q, process %d serves, want exit 2 and %d", code, out, g.pid(), first)
	}
	write(t, g.config, config, 0o600)
	flows("after three that could not be prepared")

	script(`printf 'prepared\n' >&3; read -r go <&3; exit 1`)
	out, code := g.upgrade()
	now := g.pid()
	if code != 2 || !strings.Contains(out, "serves again") || now == 0 || now == first {
		t.Errorf("a program that does not begin: exit %d, %q, process %d serves, want exit 2 and the old program anew", code, out, now)
	}
	flows("after one that did not begin")

	g.install(stanch)
	if out, code := g.upgrade(); code != 0 || g.pid() == now {
		t.Errorf("a good program at last: exit %d, %q", code, out)
	}
	flows("after one that did")
}

// TestUpgradeByActivator runs serve under systemd's own test activator, which
// hands the socket over by its rules.
func TestUpgradeByActivator(t *testing.T) {
	t.Parallel()
	need(t, "systemd-socket-activate")
	g := newInstalled(t, options{})
	g.run([]string{"systemd-socket-activate", "--listen", g.addr, "--fdname", "smtp", g.program})
	eventually(t, "the activator listens", func() bool { return listens(g.addr) })
	for range 2 {
		if _, err := g.send("a@clinic.example", []string{"b@other.example"}, "Subject: a\r\n\r\nhello\r\n"); err != nil {
			t.Fatal(err)
		}
		if out, code := g.upgrade(); code != 0 {
			t.Fatalf("upgrade: exit %d: %s", code, out)
		}
	}
	if n := len(g.delivered()); n != 2 {
		t.Errorf("got %d messages, want 2", n)
	}
	// The socket that the manager holds is no door's any more: clients would
	// dial in there and nobody would answer. A restart refuses it, and so does
	// an upgrade, after two of them too.
	was := g.pid()
	write(t, g.config, strings.Replace(read(t, g.config), g.addr, freeAddr(t), 1), 0o600)
	r := shell(t, g.dir, "", "upgrade", "--config", g.config)
	if r.code != 2 || !strings.Contains(r.errs, "the socket "+g.addr+" (smtp) is no door's") || g.pid() != was {
		t.Errorf("with another address: exit %d, %s, process %d serves, want exit 2 and %d", r.code, r.errs, g.pid(), was)
	}
	if _, err := g.send("a@clinic.example", []string{"b@other.example"}, "Subject: a\r\n\r\nhello\r\n"); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// TestUpgradeTakesWhatARestartTakes: another address too, which a reload
// refuses.
func TestUpgradeTakesWhatARestartTakes(t *testing.T) {
	t.Parallel()
	g := newInstalled(t, options{})
	g.startInstalled()
	was, old := g.pid(), g.addr
	g.addr = freeAddr(t)
	write(t, g.config, strings.Replace(read(t, g.config), old, g.addr, 1), 0o600)
	if err := syscall.Kill(was, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reload is refused", func() bool {
		return strings.Contains(read(t, g.logFile()), "changed, and takes a restart: smtp.listen")
	})
	if !listens(old) || listens(g.addr) || g.pid() != was {
		t.Error("a reload changed a door")
	}
	if out, code := g.upgrade(); code != 0 {
		t.Fatalf("upgrade: exit %d: %s", code, out)
	}
	eventually(t, "the old address is given up", func() bool { return !listens(old) })
	if _, err := g.send("a@clinic.example", []string{"b@other.example"}, "Subject: a\r\n\r\nhello\r\n"); err != nil {
		t.Errorf("at the new address: %v", err)
	}
}

// everyDoor is a configuration with a door of each kind, and their addresses.
func everyDoor(t *testing.T) (o options, tcp []string, socket string) {
	t.Helper()
	tcp = []string{freeAddr(t), freeAddr(t), freeAddr(t)}
	dir, err := os.MkdirTemp("", "door-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "milter.sock")
	o.extra = fmt.Sprintf("[[smtp.doors]]\nlisten = %q\nprotocol = \"lmtp\"\n[milter]\nlisten = [\"inet:%s\", \"unix:%s\"]\nsocket_mode = \"0660\"\n[metrics]\nlisten = %q\n",
		tcp[0], tcp[1], socket, tcp[2])
	return o, tcp, socket
}

// TestUpgradeKeepsEveryDoor: each door of the old process is one of the new,
// and nothing of it is left when that stops.
func TestUpgradeKeepsEveryDoor(t *testing.T) {
	t.Parallel()
	o, tcp, socket := everyDoor(t)
	g := newInstalled(t, o)
	g.startInstalled()
	open := func(when string) {
		t.Helper()
		for _, addr := range append(tcp, g.addr) {
			if !listens(addr) {
				t.Errorf("%s: nobody listens on %s", when, addr)
			}
		}
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Errorf("%s: %v", when, err)
			return
		}
		c.Close()
		if fi, err := os.Stat(socket); err != nil || fi.Mode().Perm() != 0o660 {
			t.Errorf("%s: the milter's socket is %v, %v, want 0660", when, fi.Mode(), err)
		}
	}
	open("before")
	for range 2 {
		if out, code := g.upgrade(); code != 0 {
			t.Fatalf("upgrade: exit %d: %s", code, out)
		}
		open("after an upgrade")
	}
	last := g.pid()
	if err := syscall.Kill(last, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the last process ends", func() bool { return syscall.Kill(last, 0) != nil })
	for _, addr := range append(tcp, g.addr) {
		if listens(addr) {
			t.Errorf("somebody listens on %s after the stop", addr)
		}
	}
}

// TestStopsWithinItsPromise: with a client at each door that neither goes on
// nor leaves, serve ends with 0 within the 30 s that service managers are told
// of, which is the one promise here that is a time.
func TestStopsWithinItsPromise(t *testing.T) {
	longTest(t)
	o, tcp, socket := everyDoor(t)
	g := newGateway(t, o)
	g.start()
	for _, addr := range append(tcp, g.addr) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	m, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	inside := dial(t, g)
	inside.want("EHLO client.example", "250")
	inside.want("MAIL FROM:<a@clinic.example>", "250")
	inside.want("RCPT TO:<b@other.example>", "250")
	inside.want("DATA", "354")
	inside.put("Subject: never ends\r\n")
	begun := time.Now()
	g.stop()
	t.Logf("the stop took %v, of 30s promised", time.Since(begun))
}
