package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// firstFD is the first socket a service manager hands over.
//
// Source: SD_LISTEN_FDS_START in sd_listen_fds(3).
const firstFD = 3

// Door is one address that the configuration names.
type Door struct {
	Name string // what its socket is called in FileDescriptorName=: smtp, metrics
	Key  string // where its address stands in the configuration: smtp.listen
	Addr string // host:port, or unix:PATH
}

// Listeners are the sockets of this process: those it was handed and those it
// made. It is safe for use by many goroutines.
type Listeners struct {
	mu    sync.Mutex
	given []socket // guarded by mu; handed over, and no door's yet
	open  []socket // guarded by mu; each a door's
}

type socket struct {
	name    string
	ln      net.Listener // bare, for its handle
	door    *listener    // what the door accepts from; nil without one
	managed bool         // the service manager holds it open
}

// Inherit takes what this process was handed, by the environment that getenv
// reads. Afterwards the process has handles of its own, which its children do
// not get. Without anything handed over it returns an empty Listeners, and a
// Predecessor of nil where nobody gives way.
func Inherit(getenv func(string) string) (*Listeners, *Predecessor, error) {
	l := &Listeners{}
	parent := os.Getppid()
	ours := getenv(handoverVar) == strconv.Itoa(parent)
	if !ours && getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return l, nil, nil // nothing, or another's
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > 1<<10 {
		return nil, nil, errors.New("socket activation: LISTEN_FDS is not a number of sockets")
	}
	managed := n
	if ours { // a predecessor that does not know of this says nothing
		managed, _ = strconv.Atoi(getenv(managedVar))
	}
	names := strings.Split(getenv("LISTEN_FDNAMES"), ":")
	var p *Predecessor
	for i := range n {
		f := os.NewFile(uintptr(firstFD+i), "socket "+strconv.Itoa(firstFD+i))
		if ours && i == 0 {
			p, err = newPredecessor(f, parent)
		} else {
			name := ""
			if i < len(names) {
				name = names[i]
			}
			err = l.take(name, f, !ours || i <= managed)
		}
		if err != nil {
			l.Close()
			return nil, nil, err
		}
	}
	return l, p, nil
}

// take makes a listener of a handle; f is closed either way.
func (l *Listeners) take(name string, f *os.File, managed bool) error {
	defer f.Close()
	var accepts int
	var err error
	raw, rerr := f.SyscallConn()
	if rerr == nil {
		rerr = raw.Control(func(fd uintptr) { accepts, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN) })
	}
	if err = errors.Join(rerr, err); err != nil || accepts == 0 {
		return fmt.Errorf("socket activation: %s is not a listening stream socket (ListenStream= without Accept=yes makes one)", f.Name())
	}
	ln, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("socket activation: %s: %w", f.Name(), err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given = append(l.given, socket{name: name, ln: ln, managed: managed})
	return nil
}

// Bind returns a listener for each door, in their order: what was handed over
// where the address is the door's, else a socket of its own. It is all of them
// or none; a socket handed over that is no door's is an error.
func (l *Listeners) Bind(ctx context.Context, doors []Door) ([]net.Listener, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bound := make([]socket, len(doors))
	for i, d := range doors {
		at, err := l.findGiven(d)
		if err != nil {
			return nil, err
		}
		if at >= 0 {
			bound[i] = l.given[at]
			l.given = slices.Delete(l.given, at, at+1)
		}
	}
	var err error
	for _, g := range l.given {
		err = errors.Join(err, fmt.Errorf("socket activation: the socket %s%s is no door's: name its address in %s, or take it out of the socket unit",
			g.ln.Addr(), named(g.name), keys(doors)))
	}
	for i, d := range doors {
		if bound[i].ln != nil || err != nil {
			continue
		}
		if bound[i].ln, err = listen(ctx, d.Addr); err != nil {
			err = fmt.Errorf("%s: %w", d.Key, err)
		}
	}
	if err != nil {
		for _, s := range bound {
			if s.ln != nil {
				s.ln.Close() // nobody has been accepted
			}
		}
		return nil, err
	}
	var lns []net.Listener
	for i, s := range bound {
		s.name, s.door = doors[i].Name, &listener{Listener: s.ln}
		l.open = append(l.open, s)
		lns = append(lns, s.door)
	}
	return lns, nil
}

// Free reports the first door whose address cannot be had, before what takes long
// is begun: another program has it, or it is no address of this machine. Of what was
// handed over and of sockets in a folder it says nothing; Bind does.
func (l *Listeners) Free(ctx context.Context, doors []Door) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range doors {
		if at, err := l.findGiven(d); err != nil {
			return err
		} else if at >= 0 || strings.HasPrefix(d.Addr, "unix:") {
			continue
		}
		ln, err := listen(ctx, d.Addr)
		if err != nil {
			return fmt.Errorf("%s: %w", d.Key, err)
		}
		ln.Close() // Bind makes it anew
	}
	return nil
}

// Keep closes what was handed over and is none of these doors': a successor
// whose configuration has fewer addresses than its predecessor's. What the
// service manager holds stays, and Bind says so, as it would after a restart:
// clients would dial in there and nobody would answer.
func (l *Listeners) Keep(doors []Door) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given = slices.DeleteFunc(l.given, func(g socket) bool {
		if g.managed {
			return false
		}
		for _, d := range doors {
			if same, err := sameAddr(g.ln.Addr(), d.Addr); same || err != nil {
				return false // Bind says what is wrong with it
			}
		}
		g.ln.Close() // the predecessor has it still
		return true
	})
}

// findGiven returns the index of the socket for d, or -1. A socket under the
// name of another door is an error: it says that units and configuration
// disagree.
func (l *Listeners) findGiven(d Door) (int, error) {
	for i, g := range l.given {
		same, err := sameAddr(g.ln.Addr(), d.Addr)
		if err != nil {
			return -1, fmt.Errorf("%s: %w", d.Key, err)
		}
		if !same {
			continue
		}
		if g.name != "" && g.name != d.Name && slices.Contains(Names(), g.name) {
			return -1, fmt.Errorf("socket activation: the socket %s is called %s, and %s has its address", d.Addr, g.name, d.Key)
		}
		return i, nil
	}
	return -1, nil
}

// Names are the names of doors that a socket unit may give in
// FileDescriptorName=; any other name is not looked at.
func Names() []string { return []string{"smtp", "milter", "metrics", "console"} }

func named(name string) string {
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}

func keys(doors []Door) string {
	var ks []string
	for _, d := range doors {
		if !slices.Contains(ks, d.Key) {
			ks = append(ks, d.Key)
		}
	}
	if len(ks) == 0 {
		return "the configuration"
	}
	return strings.Join(ks, " or ")
}

// splitAddr returns the network and the address of a Door's Addr.
func splitAddr(addr string) (network, address string) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return "unix", path
	}
	return "tcp", addr
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	network, address := splitAddr(addr)
	ln, err := lc.Listen(ctx, network, address)
	if remedy := remedyFor(err); network == "tcp" && remedy != "" {
		err = fmt.Errorf("%w: %s", err, remedy)
	}
	return ln, err
}

// remedyFor says what to do where an address cannot be had; "" where err says enough.
func remedyFor(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "set another address, or end the program that has it (as root `ss -ltnp` names it)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "set an address of this machine (`ip address` lists them)"
	case errors.Is(err, syscall.EACCES):
		return "ports below 1024 take CAP_NET_BIND_SERVICE, or a socket unit (docs/install.md)"
	}
	return ""
}

// sameAddr reports whether a socket that is bound to got is the one that addr
// asks for. A host left out asks for every address there is.
func sameAddr(got net.Addr, addr string) (bool, error) {
	network, address := splitAddr(addr)
	if network == "unix" {
		u, ok := got.(*net.UnixAddr)
		return ok && u.Name == address, nil
	}
	t, ok := got.(*net.TCPAddr)
	if !ok {
		return false, nil
	}
	want, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return false, err
	}
	if want.Port != t.Port {
		return false, nil
	}
	if want.IP == nil { // ":25" is both families, and a socket of either is what the units may offer
		return t.IP.IsUnspecified(), nil
	}
	return want.IP.Equal(t.IP) && want.Zone == t.Zone, nil
}

// IsDoor reports whether a socket at addr, host:port or unix:PATH, would be one
// of the doors'.
func IsDoor(addr string, doors []Door) (bool, error) {
	network, address := splitAddr(addr)
	var at net.Addr = &net.UnixAddr{Name: address, Net: network}
	if network == "tcp" {
		tcp, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			return false, err
		}
		at = tcp
	}
	for _, d := range doors {
		if same, err := sameAddr(at, d.Addr); same || err != nil {
			return same, err
		}
	}
	return false, nil
}

// Close closes every socket, those of doors too.
func (l *Listeners) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range slices.Concat(l.given, l.open) {
		s.ln.Close() // a door may have closed it
	}
	l.given, l.open = nil, nil
}

// Alive reports whether every door waits for clients, or has left waiting no
// longer than within ago. A closed door counts as alive.
func (l *Listeners) Alive(now time.Time, within time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.open {
		if !s.door.alive(now, within) {
			return false
		}
	}
	return true
}

// listener is a net.Listener that knows whether somebody waits in Accept.
type listener struct {
	net.Listener

	mu      sync.Mutex
	waiting int       // guarded by mu; calls of Accept under way
	left    time.Time // guarded by mu; when the last one returned; zero before the first
	closed  bool      // guarded by mu
}

// Accept waits for a client.
func (l *listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	l.waiting++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.waiting--
		l.left = time.Now()
	}()
	return l.Listener.Accept()
}

// Close ends waiting.
func (l *listener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	return l.Listener.Close()
}

func (l *listener) alive(now time.Time, within time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed || l.waiting > 0 || l.left.IsZero() || now.Sub(l.left) < within
}

// Shared are handles of the doors' sockets, to be passed on. They keep the
// sockets open while nobody accepts: clients wait.
type Shared struct {
	names   []string
	files   []*os.File
	managed int // of them, from the first, the service manager holds
}

// Share returns handles of all open doors.
func (l *Listeners) Share() (*Shared, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &Shared{}
	first := slices.SortedStableFunc(slices.Values(l.open), func(a, b socket) int {
		switch {
		case a.managed == b.managed:
			return 0
		case a.managed:
			return -1
		}
		return 1
	})
	for _, o := range first {
		if o.managed {
			s.managed++
		}
		if u, ok := o.ln.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false) // the path stays the successor's
		}
		f, err := duplicate(o.ln)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("share socket %s: %w", o.ln.Addr(), err)
		}
		s.names, s.files = append(s.names, o.name), append(s.files, f)
	}
	return s, nil
}

// Close gives the handles up.
func (s *Shared) Close() {
	for _, f := range s.files {
		f.Close() // only this process's handle of it
	}
	s.files = nil
}

// duplicate copies ln's handle. It does not go through File: what that returns
// may be put into blocking mode, and with it ln, whose Accept would then not
// end when ln is closed.
func duplicate(ln net.Listener) (*os.File, error) {
	sc, ok := ln.(syscall.Conn)
	if !ok {
		return nil, errors.New("no handle")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var ferr error
	if err := raw.Control(func(h uintptr) { fd, ferr = unix.FcntlInt(h, unix.F_DUPFD_CLOEXEC, firstFD) }); err != nil {
		return nil, err
	}
	if ferr != nil {
		return nil, ferr
	}
	return os.NewFile(uintptr(fd), "socket"), nil
}
