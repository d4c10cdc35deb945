package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// Built once by TestMain.
var (
	stanch string // the program, with the crash seam
	tools  string // folder with load, sink, account, smuggle; "" where their sources are absent
	warmed string // a cache folder with the compiled PDF reader
)

const (
	buildWithin = 10 * time.Minute // a cold build cache on a busy machine
	waitWithin  = 60 * time.Second // an event that should come at once; generous, for a busy machine
)

// TestMain builds the program. With -short there is nothing to do: these tests
// are none of the fast ones.
func TestMain(m *testing.M) {
	if layer := os.Getenv(layerEnv); layer != "" {
		os.Unsetenv(layerEnv)
		fmt.Fprintln(os.Stderr, "layer:", becomeGateway(layer))
		os.Exit(1)
	}
	flag.Parse()
	if testing.Short() {
		fmt.Println("skipped: -short")
		return
	}
	if err := manyAtOnce(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "stanch-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := prepare(dir); err != nil {
			fmt.Fprintln(os.Stderr, "prepare:", err)
			return 1
		}
		return m.Run()
	}())
}

// atOnce is how many tests run beside each other: they use less than half a core
// each, and wait for the rest of the time.
const atOnce = 4

// manyAtOnce has atOnce tests run beside each other, unless -parallel says how
// many, or there are those among them that take all there is (STANCH_LONG=1).
func manyAtOnce() error {
	said := os.Getenv("STANCH_LONG") == "1"
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if said {
		return nil
	}
	return flag.Set("test.parallel", fmt.Sprint(max(atOnce, runtime.GOMAXPROCS(0))))
}

func prepare(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), buildWithin)
	defer cancel()
	stanch = filepath.Join(dir, "stanch")
	build := exec.CommandContext(ctx, "go", "build", "-tags", "crashtest", "-o", stanch, "../../cmd/stanch")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	if src, err := filepath.Abs("../../../shared/tools/smtp"); err == nil {
		if _, err := os.Stat(filepath.Join(src, "go.mod")); err == nil {
			tools = filepath.Join(dir, "tools")
			if err := os.Mkdir(tools, 0o755); err != nil {
				return err
			}
			b := exec.CommandContext(ctx, "go", "build", "-o", tools+"/", "./...")
			b.Dir = src
			if out, err := b.CombinedOutput(); err != nil {
				return fmt.Errorf("build tools: %w\n%s", err, out)
			}
		}
	}
	if tools == "" && os.Getenv("CI") != "" {
		return errors.New("../shared/tools/smtp is not beside the checkout: its load generator, sink and smuggle are what the tests are judged by")
	}
	return warm(ctx, dir)
}

// warm compiles the PDF reader once, so that no gateway of a test does.
func warm(ctx context.Context, dir string) error {
	warmed = filepath.Join(dir, "cache")
	pdf := filepath.Join(dir, "one.pdf")
	if err := os.WriteFile(pdf, []byte("%PDF-1.4\n"), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, stanch, "extract", pdf)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+warmed)
	out, err := cmd.CombinedOutput()
	if x, ok := errors.AsType[*exec.ExitError](err); ok && x.ExitCode() == 3 {
		err = nil // the file is no whole PDF, which is a gap
	}
	if err != nil {
		return fmt.Errorf("warm: %w\n%s", err, out)
	}
	warmed = filepath.Join(warmed, "stanch")
	return nil
}

// gateway is one stanch serve on a data folder of its own.
type gateway struct {
	t      testing.TB
	dir    string // data, share, maildir and configuration
	addr   string // of the mail door
	config string
	share  string // the watched folder

	program string     // what is served; "": stanch
	via     []string   // what runs serve, and hands it
	extra   []*os.File // these
	cmd     *exec.Cmd
	waited  chan struct{}
	mu      sync.Mutex
	log     bytes.Buffer // guarded by mu: standard error
	out     bytes.Buffer // guarded by mu: standard output
}

// options change the configuration of newGateway.
type options struct {
	nextHop string // "": maildir in dir
	extra   string // TOML appended
	smtp    string // keys added to [smtp]
	watch   string // keys added to [[watch]]
}

func newGateway(t testing.TB, o options) *gateway {
	t.Helper()
	dir := t.TempDir()
	g := &gateway{t: t, dir: dir, addr: freeAddr(t), config: filepath.Join(dir, "stanch.toml"), share: filepath.Join(dir, "share")}
	for _, d := range []string{g.share, g.data()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	g.warm()
	if !strings.Contains(o.extra, "[metrics]") {
		o.extra += "\n[metrics]\nlisten = \"\"\n" // the default port may be another's
	}
	if !strings.Contains(o.extra, "[extract.ocr]") {
		o.extra += "\n[extract.ocr]\nenabled = false\n" // one test of reading words in pictures is enough
	}
	if o.nextHop == "" {
		o.nextHop = "maildir:" + g.maildir()
	}
	text := fmt.Sprintf(`data_dir = %q
[[site.mrn]]
issuer = "Main campus"
regex = '''E\d{7}'''
distinctive = true
[smtp]
listen = [%q]
hostname = "gw.example"
next_hop = %q
internal_domains = ["clinic.example"]
%s
[[watch]]
path = %q
settle = "300ms"
rescan = "5s"
stub = true
%s
%s
`, g.data(), g.addr, o.nextHop, o.smtp, g.share, o.watch, o.extra)
	if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.kill()
		if t.Failed() {
			t.Logf("gateway's log:\n%s", tail(g.logged(), 6000))
		}
	})
	return g
}

// warm gives the data folder the compiled PDF reader: a start makes it anew otherwise,
// and takes its time.
func (g *gateway) warm() {
	g.t.Helper()
	linkTree(g.t, warmed, filepath.Join(g.data(), "cache"))
}

// linkTree makes a folder like another, with the same files, as hard links: what is
// compiled is large, read alone, and replaced where it is damaged.
func linkTree(t testing.TB, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		in := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.Mkdir(in, 0o700)
		}
		return os.Link(path, in)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (g *gateway) data() string    { return filepath.Join(g.dir, "data") }
func (g *gateway) maildir() string { return filepath.Join(g.dir, "maildir") }

// start runs serve and waits until its doors are open, or until it has ended
// (by a crash point that is reached while it starts).
func (g *gateway) start(env ...string) {
	g.t.Helper()
	args := append(slices.Clone(g.via), cmp.Or(g.program, stanch), "serve", "--config", g.config)
	g.cmd = exec.Command(args[0], args[1:]...)
	g.cmd.ExtraFiles = g.extra
	g.cmd.Env = append(os.Environ(), env...)
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	outR, outW := io.Pipe()
	g.cmd.Stdout, g.cmd.Stderr = outW, lockedWriter{&g.mu, &g.log}
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	ready, waited, printed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	g.waited = waited
	go func() {
		defer close(printed)
		var once sync.Once
		sc := bufio.NewScanner(outR)
		for sc.Scan() {
			g.mu.Lock()
			g.out.WriteString(sc.Text() + "\n")
			g.mu.Unlock()
			if sc.Text() == "try" {
				once.Do(func() { close(ready) })
			}
		}
	}()
	go func() {
		_ = g.cmd.Wait() // how it ended is read from ProcessState
		outW.Close()
		<-printed // and all that it said has been read
		close(waited)
	}()
	select {
	case <-ready:
	case <-waited:
	case <-time.After(waitWithin):
		g.t.Fatalf("serve was not ready in time:\n%s", g.logged())
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (g *gateway) logged() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.String()
}

func (g *gateway) printed() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out.String()
}

// kill ends serve as kill -9 does, and waits.
func (g *gateway) kill() {
	if g.cmd == nil {
		return
	}
	_ = g.cmd.Process.Kill() // it may have ended
	<-g.waited
	g.cmd = nil
}

// ended reports whether serve is gone, waiting for it.
func (g *gateway) ended() bool {
	select {
	case <-g.waited:
		return true
	case <-time.After(waitWithin):
		return false
	}
}

// stop ends serve as a service manager does.
func (g *gateway) stop() {
	g.t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
	if !g.ended() {
		g.t.Fatal("serve did not stop on SIGTERM")
	}
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		g.t.Fatalf("serve ended with %d after SIGTERM:\n%s", code, tail(g.logged(), 3000))
	}
	g.cmd = nil
}

// cli runs a subcommand on the gateway's configuration.
func (g *gateway) cli(args ...string) (out string, code int) {
	g.t.Helper()
	return runStanch(g.t, append(args, "--config", g.config)...)
}

func runStanch(t testing.TB, args ...string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*waitWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, stanch, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("stanch %s: %v", strings.Join(args, " "), err)
	}
	if stderr.Len() > 0 {
		t.Logf("stanch %s: %s", strings.Join(args, " "), tail(stderr.String(), 1500))
	}
	return stdout.String(), cmd.ProcessState.ExitCode()
}

// must is cli for what has to succeed.
func (g *gateway) must(args ...string) string {
	g.t.Helper()
	out, code := g.cli(args...)
	if code != 0 {
		g.t.Fatalf("stanch %s: exit %d: %s", strings.Join(args, " "), code, out)
	}
	return out
}

// item is one line of quarantine list.
type item struct {
	ID, Channel, State, Policy, Sender, Path, Header string
	Rules, Recipients                                []string
	Size                                             int64
}

// held lists the vault.
func (g *gateway) held(args ...string) []item {
	g.t.Helper()
	var items []item
	out := g.must(append([]string{"quarantine", "list", "--format", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &items); err != nil {
		g.t.Fatalf("quarantine list: %v: %s", err, out)
	}
	return items
}

// delivered reads the maildir: each message's bytes.
func (g *gateway) delivered() []string {
	g.t.Helper()
	entries, err := os.ReadDir(filepath.Join(g.maildir(), "new"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		g.t.Fatal(err)
	}
	var ms []string
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(g.maildir(), "new", e.Name()))
		if err != nil {
			g.t.Fatal(err)
		}
		ms = append(ms, string(b))
	}
	return ms
}

// send gives one message to the mail door and returns the answer to the dot,
// or to the command that was refused.
func (g *gateway) send(from string, rcpts []string, msg string) (string, error) {
	answer, _, err := g.offer(from, rcpts, msg)
	return answer, err
}

// offer is send that tells how far it came too: to the stage connect, ehlo, mail,
// rcpt, data, body, dot, or quit, before which the message was taken.
func (g *gateway) offer(from string, rcpts []string, msg string) (answer, stage string, err error) {
	c, err := net.DialTimeout("tcp", g.addr, waitWithin)
	if err != nil {
		return "", "connect", err
	}
	client := gosmtp.NewClient(c)
	defer client.Close()
	if err := client.Hello("client.example"); err != nil {
		return "", "ehlo", err
	}
	if err := client.Mail(from, nil); err != nil {
		return "", "mail", err
	}
	for _, r := range rcpts {
		if err := client.Rcpt(r, nil); err != nil {
			return "", "rcpt", err
		}
	}
	w, err := client.Data()
	if err != nil {
		return "", "data", err
	}
	if _, err := io.WriteString(w, msg); err != nil {
		return "", "body", err
	}
	res, err := w.CloseWithResponse()
	if err != nil {
		return "", "dot", err
	}
	return res.StatusText, "quit", client.Quit()
}

// holds sends text for somebody outside, and reports whether it is held.
func (g *gateway) holds(text string) bool {
	g.t.Helper()
	answer, err := g.send("ada@clinic.example", outside,
		fmt.Sprintf("From: ada@clinic.example\r\nMessage-ID: <m%x@clinic.example>\r\n\r\n%s\r\n", rand.Uint64(), text))
	if err != nil {
		g.t.Fatal(err)
	}
	return strings.Contains(answer, "Held for review")
}

// reload tells serve to, and waits until it has logged a line with that text.
func (g *gateway) reload(logged string) {
	g.t.Helper()
	before := strings.Count(g.logged(), logged)
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		g.t.Fatal(err)
	}
	eventually(g.t, logged, func() bool { return strings.Count(g.logged(), logged) > before })
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(waitWithin)
	for begun := time.Now(); !ok(); begun = time.Now() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		// Another process has nothing to wait on. Looking by a command of its own
		// takes from what is waited for, on a busy machine.
		time.Sleep(max(50*time.Millisecond, time.Since(begun)))
	}
}

// given are the addresses that freeAddr has returned.
var given sync.Map

// freeAddr returns an address of this machine on which nobody listens, another
// each time. Its port is below those that the kernel gives to outgoing
// connections (32768 and up), so that none of these takes it before, or between
// two runs of, its server.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_000))
		if _, taken := given.LoadOrStore(addr, nil); taken {
			continue
		}
		if free(addr) {
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// free reports whether one can listen on addr. No process is started meanwhile: a
// child holds what was open at its start until it becomes another program, and the
// port with it, after the listener here is closed.
func free(addr string) bool {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	l, err := net.Listen("tcp", addr)
	return err == nil && l.Close() == nil
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

func listens(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// eachSecond leaves every second step of those at which a test kills to the long
// tests (make long).
func eachSecond(t testing.TB, i int) {
	if i%2 == 1 {
		longTest(t)
	}
}

// longTest skips a test of many minutes unless it is asked for: make long, make
// soak.
func longTest(t testing.TB) {
	t.Helper()
	if os.Getenv("STANCH_LONG") != "1" {
		t.Skip("takes many minutes; STANCH_LONG=1 runs it (make long)")
	}
}
