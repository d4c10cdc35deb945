package e2e

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// The canary: an invented patient, every trace of whom is easy to find.
var canary = []string{"Zephyrine", "Quillfeather", "536-22-8199", "536228199", "E7777133", "quillfeather.zephyrine",
	"zq-correspondent", "zq-secret-chart"}

const canaryText = "Patient Zephyrine Quillfeather, SSN 536-22-8199, MRN: E7777133, diagnosis E11.9, mail quillfeather.zephyrine@home.example.\r\n"

func canaryMail(subject string) string {
	return "From: Zephyrine Quillfeather <quillfeather.zephyrine@clinic.example>\r\nTo: <zq-correspondent@partner.example>\r\n" +
		"Subject: Zephyrine Quillfeather " + subject + "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/plain\r\n\r\n" + canaryText +
		"--b\r\nContent-Type: application/octet-stream; name=\"zq-secret-chart.bin\"\r\n" +
		"Content-Disposition: attachment; filename=\"zq-secret-chart.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQFBgcICQ==\r\n--b--\r\n"
}

// TestCanary sends the canary down every branch of the road and then looks for
// her in everything that is not hers to be in.
//
// long: one patient led down every road, and the places looked through
func TestCanary(t *testing.T) {
	t.Parallel()
	_, recipient := ageKey(t)
	metricsAddr := freeAddr(t)
	g := newGateway(t, options{
		watch: fmt.Sprintf("age_recipients = [%q]", recipient),
		extra: fmt.Sprintf(`
[metrics]
listen = %q
[[policies]]
id = "reject-tokens"
where = { channels = ["mail"], senders = ["reject@clinic.example"] }
all = [ { type = "SSN" } ]
action = "reject"
notify = ["sender"]
[[policies]]
id = "seal"
where = { channels = ["file"], folders = [%q] }
all = [ { type = "SSN" } ]
action = "encrypt"
[[policies]]
id = "hold"
where = { channels = ["mail", "file"], recipients = "external" }
all = [ { type = "SSN" } ]
action = "quarantine"
notify = ["sender"]
`, metricsAddr, "/nowhere"),
	})
	g.start()
	const who, to = "quillfeather.zephyrine@clinic.example", "zq-correspondent@partner.example"
	var replies []string
	offer := func(from string, rcpts []string, msg string) {
		t.Helper()
		answer, err := g.send(from, rcpts, msg)
		replies = append(replies, answer, fmt.Sprint(err))
	}
	offer(who, []string{to}, canaryMail("held"))
	offer(who, []string{to, "zephyrine.quillfeather@clinic.example"}, canaryMail("split"))
	offer("reject@clinic.example", []string{to}, canaryMail("rejected"))
	offer(who, []string{"zephyrine.quillfeather@clinic.example"}, canaryMail("passed"))
	offer(who, []string{"Zephyrine Quillfeather"}, canaryMail("refused"))
	offer("Zephyrine@@", []string{to}, canaryMail("bad sender"))

	name := filepath.Join(g.share, "Zephyrine Quillfeather", "zq-secret-chart.txt")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, name, canaryText, 0o644)
	eventually(t, "three are held", func() bool { return len(g.held()) == 3 })

	checkOpenMessage(t, g)
	var id string
	for _, it := range g.held() {
		if it.Channel == "mail" {
			id = it.ID
		}
	}
	g.must("quarantine", "show", id)
	g.must("quarantine", "release", id)
	eventually(t, "the outbox is empty", func() bool { return strings.Contains(g.must("queue", "list"), "empty") })

	res, err := http.Get("http://" + metricsAddr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || !bytes.Contains(page, []byte("stanch_documents_total")) {
		t.Fatalf("metrics: %v: %.300s", err, page)
	}
	for what, text := range map[string]string{
		"the log":         g.logged(),
		"standard output": g.printed(),
		"metrics":         string(page),
		"replies":         strings.Join(replies, "\n"),
		"audit export":    g.must("audit", "export"),
	} {
		noCanary(t, what, text)
	}
	for _, m := range g.delivered() { // a notice is words of ours: it may name its reader and nobody else
		if strings.Contains(m, "Auto-Submitted: auto-") {
			noCanary(t, "notice", strings.NewReplacer(who, "", "reject@clinic.example", "").Replace(m))
		}
	}
	eventually(t, "the stub stands in the file's place", func() bool { return exists(name + ".stanch.txt") })
	noCanary(t, "stub", read(t, name+".stanch.txt"))
	for _, f := range filesWith(t, g.data(), canary...) {
		t.Error(f)
	}
	g.kill()
	for _, f := range filesWith(t, g.data(), canary...) {
		t.Errorf("after kill -9: %s", f)
	}
	noneLeft(t, filepath.Join(g.data(), "tmp"))
}

func noCanary(t *testing.T, what, text string) {
	t.Helper()
	low := strings.ToLower(text)
	for _, w := range canary {
		if i := strings.Index(low, strings.ToLower(w)); i >= 0 {
			t.Errorf("%s holds %q: …%s…", what, w, text[max(0, i-60):min(len(text), i+60)])
		}
	}
}

// canaryForms are the traces as they are, and as they stand in base64, at each of
// the three places that a word can begin there.
func canaryForms() []string {
	forms := slices.Clone(canary)
	for _, w := range canary {
		for skip := range 3 {
			coded := base64.StdEncoding.EncodeToString(append(make([]byte, skip), w...))
			forms = append(forms, coded[(skip*8+5)/6:(skip+len(w))*8/6]) // whole sextets of w alone
		}
	}
	return forms
}

// noCanaryOnDisk searches the data folder, the folder for temporary files and what
// the gateway has open in either.
func noCanaryOnDisk(t *testing.T, g *gateway, temp string) {
	t.Helper()
	noCanaryInFiles(t, "while it runs", g.data(), temp)
	if noCanaryOpen(t, g, temp) == 0 {
		t.Error("the gateway has no file open that could be read: nothing was searched")
	}
}

// madeIn watches the folder dir from now on. What it returns says what was made or
// written there since, however short it stood: files that were removed at once were
// there too, and so were those that never had a name (O_TMPFILE).
func madeIn(t *testing.T, dir string) func() []string {
	t.Helper()
	w, err := fsnotify.NewWatcher()
	if err == nil {
		err = w.Add(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() }) // only read from
	return func() (names []string) {
		t.Helper()
		last := filepath.Join(dir, "the-last") // events come in the order of what happened
		write(t, last, "", 0o600)
		defer os.Remove(last) // its folder goes with the test
		for {
			select {
			case e := <-w.Events:
				if e.Name == last {
					return names
				}
				if name := filepath.Base(e.Name); e.Has(fsnotify.Create|fsnotify.Write) && !slices.Contains(names, name) {
					names = append(names, name)
				}
			case err := <-w.Errors:
				t.Fatal(err)
			case <-time.After(waitWithin):
				t.Fatal("the watch of a folder does not tell what happens in it")
			}
		}
	}
}

// TestMadeIn: what the canary is looked for with sees files that are removed at once,
// and files that never have a name.
func TestMadeIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made := madeIn(t, dir)
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("this file system has no files without a name")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte("x")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "short"), "x", 0o600)
	if err := os.Remove(filepath.Join(dir, "short")); err != nil {
		t.Fatal(err)
	}
	if names := made(); len(names) != 2 || !strings.HasPrefix(names[0], "#") || names[1] != "short" {
		t.Errorf("saw %q", names)
	}
}

// noCanaryInFiles searches the files of folders.
func noCanaryInFiles(t *testing.T, when string, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		for _, f := range filesWith(t, dir, canaryForms()...) {
			t.Errorf("%s: %s", when, f)
		}
	}
}

// noCanaryOpen searches the files that the gateway and the processes that it started
// have open below its own folder and temp, those without a name too, and returns how
// many it could read. Files that are memory alone (memfd) are that: a process which
// reads a document has its text there and on its heap, and nothing of them is on a disk.
func noCanaryOpen(t *testing.T, g *gateway, temp string) (seen int) {
	t.Helper()
	for _, pid := range append([]int{g.cmd.Process.Pid}, g.children()...) {
		fds := filepath.Join("/proc", strconv.Itoa(pid), "fd")
		es, err := os.ReadDir(fds)
		if err != nil && pid != g.cmd.Process.Pid {
			continue // it has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			link, _ := os.Readlink(filepath.Join(fds, e.Name())) // it may be gone by now
			if !strings.HasPrefix(link, g.dir) && !strings.HasPrefix(link, temp) {
				continue
			}
			b, err := os.ReadFile(filepath.Join(fds, e.Name()))
			if err != nil {
				continue // a folder, or gone
			}
			seen++
			low := bytes.ToLower(b)
			for _, w := range canaryForms() {
				if bytes.Contains(low, []byte(strings.ToLower(w))) {
					t.Errorf("the open file %s of process %d holds %q", link, pid, w)
				}
			}
		}
	}
	return seen
}

// checkOpenMessage stops in the middle of a large message and reads what the
// gateway's own open handles hold of it.
func checkOpenMessage(t *testing.T, g *gateway) {
	t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	client := gosmtp.NewClient(c)
	defer client.Close()
	for _, step := range []func() error{
		func() error { return client.Hello("client.example") },
		func() error { return client.Mail("ada@clinic.example", nil) },
		func() error { return client.Rcpt("sam@partner.example", nil) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	w, err := client.Data()
	if err != nil {
		t.Fatal(err)
	}
	for range 8 << 20 / len(canaryText) {
		if _, err := io.WriteString(w, canaryText); err != nil {
			t.Fatal(err)
		}
	}
	spilled := func() (n int64) {
		fds := filepath.Join("/proc", strconv.Itoa(g.cmd.Process.Pid), "fd")
		es, err := os.ReadDir(fds)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			link, _ := os.Readlink(filepath.Join(fds, e.Name())) // it may be gone by now
			if !strings.Contains(link, "/data/") || !strings.HasSuffix(link, " (deleted)") {
				continue
			}
			b, err := os.ReadFile(filepath.Join(fds, e.Name()))
			if err != nil {
				continue
			}
			n += int64(len(b))
			noCanary(t, "unlinked file", string(b))
		}
		return n
	}
	eventually(t, "the message spills to an unlinked file", func() bool { return spilled() > 1<<20 })
}
