package extract

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/sandbox"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// startTimeout is how long a child may take to say that it is ready: 100 times
// what it takes on an idle machine.
const startTimeout = 20 * time.Second

// pipeSize is asked of the kernel for both pipes, so that a window passes
// without a switch for each 64 KiB. It may refuse.
const pipeSize = 512 << 10

// smallDocument is what fits into any pipe that is empty: 64 KiB, less the
// frames' heads.
const smallDocument = 48 << 10

// lookEach is after how many documents a child's size is looked at, beside the
// looks while one is being read.
const lookEach = 16

// child is one process. It is used by one goroutine at a time.
type child struct {
	proc    *os.Process
	in      *os.File      // what the child reads
	w       *bufio.Writer // of in, so that a small document is one write
	data    []byte        // lent to one document after another
	out     *os.File      // what it writes
	buf     *bufio.Reader
	r       *wire.Reader
	answers *os.File // where it gets the words of pages; nil: it asks for none
	mem     *os.File // what it tells and has not yet written to out
	statm   *os.File
	ready   wire.Ready       // how it has locked itself in
	state   *os.ProcessState // how it ended; once gone is closed
	gone    chan struct{}    // closed when the process has been waited for
	skill   wire.Skill
	docs    int
	size    int64         // resident, in bytes, when it was last looked at
	next    <-chan *child // gives once the one that takes its place, or nil; nil: none is on its way
}

// kind is a sort of child.
type kind struct {
	wire.Start
	memory     dlp.Size // that Go's heap should stay below, by five eighths
	processors int      // that it runs on at once
}

// spawn starts a child that reads documents, as locked in as the configuration
// demands, and waits until it is ready.
func (p *Pool) spawn(skill wire.Skill) (*child, error) {
	layers := sandbox.All
	if p.cfg.Sandbox == SandboxOff {
		layers = 0
	}
	c, err := p.start(p.kind(skill, layers))
	if err != nil {
		if skill >= wire.PDF {
			p.warm.Store(false) // what was compiled may have been damaged since
		}
		return nil, err
	}
	if err := p.demand(c.ready); err != nil {
		c.kill()
		return nil, err
	}
	p.met.ExtractSandbox("landlock", c.ready.Landlock)
	p.met.ExtractSandbox("seccomp", seccompMode(c.ready.Seccomp))
	return c, nil
}

func (p *Pool) kind(skill wire.Skill, layers sandbox.Layers) kind {
	// What is resident is looked at each 20 ms. This is the wall behind it, for
	// what swells faster: memory that is asked for and not used counts too.
	memory := p.memory(skill)
	data := 2*int64(memory) + 64<<20
	return kind{Start: wire.Start{Skill: skill, Layers: uint8(layers), Data: data, Without: p.without}, memory: memory, processors: 1}
}

// memory is what a child of that skill may use.
func (p *Pool) memory(skill wire.Skill) dlp.Size {
	if skill >= wire.OCR {
		return p.cfg.OCR.MaxMemory
	}
	return p.cfg.MaxMemory
}

// start starts a child and waits until it is ready.
//
// long: what is opened for the child is closed again at each step that fails.
func (p *Pool) start(k kind) (*child, error) {
	if err := closeOnExec(); err != nil {
		return nil, err
	}
	mem, err := newMem()
	if err != nil {
		return nil, err
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, mem.Close())
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, mem.Close(), inR.Close(), inW.Close())
	}
	extra := []*os.File{mem} // formats.MemFile
	if k.Skill >= wire.PDF {
		cache, err := os.Open(p.cache)
		if err != nil {
			return nil, errors.Join(err, mem.Close(), inR.Close(), inW.Close(), outR.Close(), outW.Close())
		}
		defer cache.Close()          // it was only handed on
		extra = append(extra, cache) // formats.CacheFile
	}
	var answers *os.File
	if k.Skill >= wire.OCR {
		var r *os.File
		if r, answers, err = newAnswers(); err != nil {
			return nil, errors.Join(err, mem.Close(), inR.Close(), inW.Close(), outR.Close(), outW.Close())
		}
		defer r.Close()          // it was only handed on
		extra = append(extra, r) // formats.AnswersFile
	}
	setPipeSize(inW)
	setPipeSize(outR)
	cmd := &exec.Cmd{
		Path:        "/proc/self/exe",
		Args:        []string{"stanch", ChildArg},
		Dir:         "/",
		Stdin:       inR,
		Stdout:      outW,
		ExtraFiles:  extra,
		Env:         k.env(),
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	}
	c := &child{in: inW, w: bufio.NewWriterSize(inW, smallDocument), out: outR, buf: bufio.NewReaderSize(outR, 64<<10), mem: mem, answers: answers, skill: k.Skill,
		gone: make(chan struct{})}
	c.r = wire.NewReader(c.buf)

	started := make(chan error)
	p.children.Go(func() {
		// Pdeathsig follows the thread that forked: this one lives, locked,
		// as long as the child does.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // how it ended is told by what it had written before
		c.state = cmd.ProcessState
		close(c.gone)
	})
	err = <-started
	err = errors.Join(err, inR.Close(), outW.Close())
	if err != nil {
		if answers != nil {
			err = errors.Join(err, answers.Close())
		}
		return nil, errors.Join(err, mem.Close(), inW.Close(), outR.Close())
	}
	c.proc = cmd.Process
	p.met.ExtractStarted()
	if c.statm, err = c.openStatm(); err != nil {
		c.kill()
		return nil, err
	}
	late := time.AfterFunc(startTimeout, func() { _ = c.proc.Kill() })
	err = c.greet(k)
	late.Stop()
	if err != nil {
		c.kill()
		return nil, fmt.Errorf("child did not get ready: %w", err)
	}
	return c, nil
}

// openStatm opens the child's statm before it locks itself in, since /proc may
// hide a process that is not dumpable. This one is not, and for a moment the new
// program has that of it: exec closes our end of the pipe by which Start waits,
// and makes the process dumpable after that.
//
// Source: begin_new_exec in Linux' fs/exec.c; hidepid= in proc(5).
func (c *child) openStatm() (*os.File, error) {
	path := filepath.Join("/proc", strconv.Itoa(c.proc.Pid), "statm")
	for deadline := time.Now().Add(startTimeout); ; {
		f, err := os.Open(path)
		if err == nil || time.Now().After(deadline) {
			return f, err
		}
		select {
		case <-c.gone:
			return nil, err
		case <-time.After(time.Millisecond):
		}
	}
}

// env is the child's whole environment.
//
// A document leaves much behind and little of it lives: collecting at four times
// the default keeps an idle child under 20 MiB all the same. It does one thing
// at a time: nothing in it waits for another's turn. Its time zone stands in no
// file: none can be opened later.
func (k kind) env() []string {
	return []string{"GOMAXPROCS=" + strconv.Itoa(k.processors), "GOTRACEBACK=none", "GOGC=400", "GODEBUG=asyncpreemptoff=1",
		"GOMEMLIMIT=" + strconv.FormatInt(int64(k.memory)*5/8, 10), "TZ=UTC"}
}

// greet tells the child what it is to be and waits until it is.
func (c *child) greet(k kind) error {
	if err := c.tell(wire.OpStart, wire.AppendStart(nil, k.Start)); err != nil {
		return err
	}
	op, b, err := c.r.Next()
	if err != nil {
		return err
	}
	if op != wire.OpReady {
		return wire.ErrFrame
	}
	c.ready, err = wire.DecodeReady(b)
	return err
}

// ended reports whether the process is gone or going.
func (c *child) ended() bool {
	select {
	case <-c.gone:
		return true
	default:
		return c.statm == nil
	}
}

// tell sends one frame and all that is buffered.
func (c *child) tell(op wire.Op, b []byte) error {
	if err := wire.Write(c.w, op, b); err != nil {
		return err
	}
	return c.w.Flush()
}

// room returns a buffer for data frames of a document of about size bytes.
func (c *child) room(size int64) []byte {
	n := min(wire.MaxData, max(size+1, 4096))
	if int64(cap(c.data)) < n {
		c.data = make([]byte, n)
	}
	return c.data[:n]
}

// kill ends the process at once and frees what it held here.
func (c *child) kill() {
	c.end()
	c.free()
}

// ending says in a word how the process, which is gone, ended: by itself with a code,
// or by a signal, which is SIGKILL where it was told to.
func (c *child) ending() string {
	switch ws, ok := c.state.Sys().(syscall.WaitStatus); {
	case ok && ws.Signaled():
		return strings.ToLower(unix.SignalName(ws.Signal()))
	case ok && ws.Exited():
		return "exit_" + strconv.Itoa(ws.ExitStatus())
	}
	return "unknown"
}

// end ends the process at once.
func (c *child) end() {
	_ = c.proc.Kill() // it may be gone already
	<-c.gone
}

// left returns a reader of the frames that the child, which has ended, told
// beyond those that were received.
func (c *child) left() *wire.Reader {
	b := make([]byte, wire.SharedSize)
	n, _ := c.mem.ReadAt(b, 0) // less than all is no wire.Writer's, and says nothing
	return wire.NewReader(bytes.NewReader(wire.Left(b[:n], c.r.Got())))
}

// stop lets an idle process end by itself, and kills one that does not: once
// startTimeout has passed, or within after closing.
func (c *child) stop(closing <-chan struct{}, within time.Duration) {
	late := time.AfterFunc(startTimeout, func() { _ = c.proc.Kill() })
	_ = c.in.Close()
	select {
	case <-c.gone:
	case <-closing:
		late.Reset(within)
		<-c.gone
	}
	late.Stop()
	c.free()
}

// free waits for a process that was told to end and closes the handles. Their
// errors say nothing that matters any more.
func (c *child) free() {
	_ = c.in.Close()
	<-c.gone
	_ = c.out.Close()
	_ = c.mem.Close()
	if c.answers != nil {
		_ = c.answers.Close()
	}
	if c.statm != nil {
		_ = c.statm.Close()
		c.statm = nil
	}
}

// resident returns the process's resident size in bytes, 0 once it is gone.
func (c *child) resident() int64 {
	if c.statm == nil {
		return 0
	}
	var b [96]byte
	n, _ := c.statm.ReadAt(b[:], 0) // io.EOF comes with the bytes
	f := bytes.Fields(b[:n])
	if len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(f[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// closeOnExec marks every handle but the standard three, so that a child
// inherits none that somebody forgot to mark.
func closeOnExec() error {
	err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		return nil
	}
	if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) { // Linux before 5.11
		return fmt.Errorf("mark handles: %w", err)
	}
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list handles: %w", err)
	}
	for _, n := range names {
		if fd, err := strconv.Atoi(n.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// newMem makes the memory that a child shares with this process. It has no name,
// and is only ever read here, from the child's end on: what the child does with
// it cannot disturb.
func newMem() (*os.File, error) {
	fd, err := unix.MemfdCreate("stanch-frames", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "frames")
	if err := f.Truncate(wire.SharedSize); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func setPipeSize(f *os.File) {
	if rc, err := f.SyscallConn(); err == nil {
		_ = rc.Control(func(fd uintptr) {
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) // past the user's share the default stays
		})
	}
}
