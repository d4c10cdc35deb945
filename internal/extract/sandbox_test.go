package extract

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/sandbox"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// lockedPool is a Pool whose children are locked in, with pdfium compiled.
func lockedPool(t testing.TB, change func(*Config)) *Pool {
	t.Helper()
	if sandbox.TestBuild {
		t.Skip("nothing is locked in a build with the race detector")
	}
	cfg := Default()
	cfg.OCR.Enabled = OCROff // pictures have tests of their own
	if change != nil {
		change(&cfg)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPool(cfg, Deps{CacheDir: filepath.Join(dir, "stanch")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := p.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestForbidden tries everything that a child must not be able to do inside a
// child as documents get it, of each skill, a fresh one for each: none may be
// allowed, and what the filter sees ends the child.
func TestForbidden(t *testing.T) {
	p := lockedPool(t, nil)
	for skill, name := range []string{wire.Plain: "plain", wire.PDF: "pdf"} {
		t.Run(name, func(t *testing.T) {
			if wire.Skill(skill) == wire.PDF && testing.Short() {
				t.Skip("pdfium is loaded for each trial")
			}
			for _, trial := range sandbox.Trials() {
				t.Run(trial.Name, func(t *testing.T) {
					t.Parallel()
					c, err := p.spawn(wire.Skill(skill))
					if err != nil {
						t.Fatal(err)
					}
					defer c.kill()
					want := refused // the call is on the list, and fails
					if trial.Seccomp {
						want = died
					}
					if got := c.try(trial.Name); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				})
			}
		})
	}
}

// TestTrialsWorkUnlocked holds that the trials are real: where nothing is
// locked, none of them is refused.
func TestTrialsWorkUnlocked(t *testing.T) {
	p := lockedPool(t, nil)
	c, err := p.start(p.kind(wire.Plain, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer c.kill()
	for _, trial := range sandbox.Trials() {
		switch trial.Name {
		case "trace the parent", "load a kernel program", "read the parent's memory": // the system itself may forbid these
			continue
		}
		if got := c.try(trial.Name); got == refused || got == died {
			t.Errorf("%s: got %q without a lock", trial.Name, got)
		}
	}
}

func TestSelfTest(t *testing.T) {
	p := lockedPool(t, nil)
	s, err := p.SelfTest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Landlock < 1 || !s.Seccomp || s.Trials < 40 || s.Things != len(sandbox.Trials()) || s.Things >= s.Trials {
		t.Errorf("got %+v", s)
	}
	t.Log(s)
}

// TestDemand holds what each setting makes of what a child could do.
func TestDemand(t *testing.T) {
	if sandbox.TestBuild {
		t.Skip("a build with the race detector demands nothing")
	}
	both := wire.Ready{Landlock: 1, Seccomp: true}
	for name, c := range map[string]struct {
		mode  string
		ready wire.Ready
		ok    bool
	}{
		"zero value, both":       {"", both, true},
		"zero value, landlock":   {"", wire.Ready{Landlock: 7}, false},
		"zero value, seccomp":    {"", wire.Ready{Seccomp: true}, false},
		"required, nothing":      {SandboxRequired, wire.Ready{}, false},
		"partial, landlock only": {SandboxPartial, wire.Ready{Landlock: 1}, true},
		"partial, seccomp only":  {SandboxPartial, wire.Ready{Seccomp: true}, true},
		"partial, nothing":       {SandboxPartial, wire.Ready{}, false},
		"off, nothing":           {SandboxOff, wire.Ready{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := &Pool{cfg: Config{Sandbox: c.mode}}
			if err := p.demand(c.ready); (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestWaitsInHand holds that a locked child waits for its next document in the
// one call that Go's scheduler does not watch, see stdin of formats.
func TestWaitsInHand(t *testing.T) {
	p := lockedPool(t, func(c *Config) { c.Workers = 1 })
	var at []string
	for range 50 { // it waits so for a tenth of a second, and the machine may be busy
		if err := p.Extract(t.Context(), document("Subject: x\r\n\r\nx\r\n"), &discard{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
		c := <-p.lanes[wire.Plain].slots
		p.lanes[wire.Plain].slots <- c
		calls, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(c.proc.Pid), "task", "*", "syscall")) // any thread may be the one
		if err != nil {
			t.Fatal(err)
		}
		at = at[:0]
		for _, path := range calls {
			b, err := os.ReadFile(path)
			switch {
			case errors.Is(err, fs.ErrNotExist): // the thread has ended
				continue
			case err != nil:
				t.Skip("the kernel does not tell in which call another process is: ", err)
			}
			call, _, _ := strings.Cut(string(b), " ")
			at = append(at, call)
		}
		if slices.Contains(at, strconv.Itoa(unix.SYS_PSELECT6)) {
			return
		}
	}
	t.Errorf("the child's threads wait in calls %s, want %d among them", at, unix.SYS_PSELECT6)
}

// TestEachCallIsNeeded takes one call at a time off the list and looks who
// misses it, over documents of each skill and a strained runtime.
func TestEachCallIsNeeded(t *testing.T) {
	if os.Getenv("STANCH_LONG") == "" {
		t.Skip("minutes: STANCH_LONG=1")
	}
	// Not seen missing on every machine: Go names its memory where the kernel was
	// built for that (and stops asking where not), and asks the kernel for the time
	// and for random bytes where the vDSO has none.
	sometimes := map[string]bool{"prctl": true, "clock_gettime": true, "getrandom": true}
	mail := strings.Join([]string{"Subject: x", "Content-Type: multipart/mixed; boundary=b", "",
		"--b", "Content-Disposition: attachment; filename=strain.txt", "", "a",
		"--b", "Content-Type: application/pdf", "Content-Transfer-Encoding: base64", "", base64.StdEncoding.EncodeToString(bombPDF(t)),
		"--b", "Content-Type: application/pdf", "", goodPDF, "--b--", ""}, "\r\n")
	for _, call := range append([]string{""}, sandbox.Calls()...) {
		said := ablate(t, call, mail)
		t.Logf("without %-16q %s", call, cmp.Or(said, "all is well"))
		switch {
		case call == "" && said != "":
			t.Fatal("the list is too short")
		case call != "" && said == "" && !sometimes[call]:
			t.Errorf("%s is on the list, and nothing missed it", call)
		}
	}
}

// ablate reads the mail a few times with children that lack a call, and says
// what went wrong.
func ablate(t *testing.T, call, mail string) string {
	p := lockedPool(t, func(c *Config) { c.Workers, c.PDFWorkers = 1, 1 })
	p.without = call
	var had [wire.Skills]bool // nobody has been asked to read pictures
	for range 4 {
		d := &discard{}
		err := p.Extract(t.Context(), document(mail), d)
		if want := (dlp.Gap{Path: "2", Cause: dlp.TooLarge, Detail: "pdf"}); err != nil || d.gaps != 1 || d.last != want {
			return fmt.Sprint(err, " ", d.gaps, " gaps, the last ", d.last)
		}
		for i := range p.lanes {
			c := <-p.lanes[i].slots
			if had[i] = had[i] || c != nil; c != nil {
				_ = c.proc.Signal(unix.SIGSTOP) // what is interrupted is restarted
				time.Sleep(3 * time.Millisecond)
				_ = c.proc.Signal(unix.SIGCONT)
			}
			p.lanes[i].slots <- c
		}
		time.Sleep(150 * time.Millisecond) // past what formats waits in hand
	}
	for i := range p.lanes {
		c := <-p.lanes[i].slots
		p.lanes[i].slots <- nil
		if c == nil {
			if had[i] {
				return "a child is gone"
			}
			continue
		}
		if c.stop(nil, 0); !c.state.Success() {
			return "a child ends with " + c.state.String()
		}
	}
	return ""
}

// bombPDF is a PDF whose page unpacks to more than pdfium may have.
func bombPDF(t testing.TB) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	for range 512 {
		if _, err := z.Write(bytes.Repeat([]byte("0 0 m\n"), 1<<20/6)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"+
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R>>endobj\n"+
		"4 0 obj<</Length %d/Filter/FlateDecode>>stream\n", packed.Len())
	b.Write(packed.Bytes())
	b.WriteString("\nendstream endobj\ntrailer<</Root 1 0 R>>\n")
	return b.Bytes()
}

// TestPDFAfterBrokenOne holds that a PDF which breaks pdfium costs itself alone:
// a locked child has no file to load it from again, and reads on.
func TestPDFAfterBrokenOne(t *testing.T) {
	if testing.Short() {
		t.Skip("half a gigabyte is unpacked")
	}
	p := lockedPool(t, nil)
	mail := strings.Join([]string{"Subject: x", "Content-Type: multipart/mixed; boundary=b", "",
		"--b", "Content-Type: application/pdf", "Content-Transfer-Encoding: base64", "", base64.StdEncoding.EncodeToString(bombPDF(t)),
		"--b", "Content-Type: application/pdf", "", goodPDF, "--b--", ""}, "\r\n")
	d := &discard{}
	if err := p.Extract(t.Context(), document(mail), d); err != nil {
		t.Fatal(err)
	}
	if d.gaps != 1 || d.last.Path != "1" || !strings.Contains(d.text, "MRN 0123456") {
		t.Errorf("got %d gaps, the last %v; text %q", d.gaps, d.last, d.text)
	}
}

const goodPDF = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
	"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n" +
	"4 0 obj<</Length 44>>stream\nBT /F1 12 Tf 10 100 Td (MRN 0123456) Tj ET \nendstream endobj\ntrailer<</Root 1 0 R>>\n"

type nopClose struct{ *strings.Reader }

func (nopClose) Close() error { return nil }

type discard struct {
	gaps int
	last dlp.Gap
	text string
}

func (d *discard) Part(dlp.PartInfo) error { return nil }
func (d *discard) Text(w dlp.Window) error { d.text += string(w.Text); return nil }
func (d *discard) Gap(g dlp.Gap) error     { d.gaps++; d.last = g; return nil }

// BenchmarkRoundTrip is a small mail through a child that waits for it, locked
// in and not.
func BenchmarkRoundTrip(b *testing.B) {
	mail := "From: a@clinic.example\r\nSubject: x\r\n\r\nSee you on Thursday.\r\n"
	for _, mode := range []string{SandboxRequired, SandboxOff} {
		b.Run(mode, func(b *testing.B) {
			p := lockedPool(b, func(c *Config) { c.Sandbox, c.RecycleDocuments = mode, 1<<30 })
			for b.Loop() {
				if err := p.Extract(b.Context(), document(mail), &discard{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStart is a child from nothing to ready and to its end.
func BenchmarkStart(b *testing.B) {
	for _, mode := range []string{SandboxRequired, SandboxOff} {
		for skill, name := range []string{wire.Plain: "plain", wire.PDF: "pdf"} {
			b.Run(name+"/"+mode, func(b *testing.B) {
				p := lockedPool(b, func(c *Config) { c.Sandbox = mode })
				for b.Loop() {
					c, err := p.spawn(wire.Skill(skill))
					if err != nil {
						b.Fatal(err)
					}
					c.stop(nil, 0)
				}
			})
		}
	}
}

func document(s string) *dlp.Document {
	return &dlp.Document{ID: dlp.NewID(), Channel: dlp.Mail, Received: time.Unix(0, 0), Size: int64(len(s)),
		Open: func() (io.ReadSeekCloser, error) { return nopClose{strings.NewReader(s)}, nil }}
}
