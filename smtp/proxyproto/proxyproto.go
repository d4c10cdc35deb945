// Package proxyproto reads the header by which a proxy in front of a server says
// who the client is: the PROXY protocol, versions 1 and 2.
//
// It takes from the connection the header and not a byte more, and never more
// than a header may have. Whom to believe is the caller's to decide.
//
// Source: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

const (
	maxV1 = 107     // bytes with the CRLF, section 2.1
	maxV2 = 2 << 10 // bytes after the fixed part that are read; real ones have some hundred at most
)

// signature starts a header of version 2, section 2.2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// ErrHeader says that a connection does not begin with a proper header. It
// quotes nothing of what did come.
var ErrHeader = errors.New("no proper PROXY header")

// Read takes the header off r and returns the client's address and port; the
// zero AddrPort where the proxy cannot name its client, or speaks for itself, as
// in a health check. local tells the latter from the former: then alone does the
// connection's own address count. The error is ErrHeader or that of r.
func Read(r io.Reader) (client netip.AddrPort, local bool, err error) {
	var start [len(signature)]byte // the shortest header of either version is longer
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return netip.AddrPort{}, false, err
	}
	switch {
	case string(start[:]) == signature:
		return readV2(r)
	case bytes.HasPrefix(start[:], []byte("PROXY ")):
		client, err = readV1(r, start[:])
		return client, false, err
	}
	return netip.AddrPort{}, false, ErrHeader
}

// readV1 reads the line of which start is the beginning, byte by byte: what
// follows it is the client's.
func readV1(r io.Reader, start []byte) (netip.AddrPort, error) {
	line := append(make([]byte, 0, maxV1), start...)
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == maxV1 || bytes.IndexByte(line[:len(line)-1], '\r') >= 0 || line[len(line)-1] == '\n' {
			return netip.AddrPort{}, ErrHeader
		}
		n := len(line)
		if _, err := io.ReadFull(r, line[n:n+1]); err != nil {
			return netip.AddrPort{}, err
		}
		line = line[:n+1]
	}
	f := strings.Split(string(line[:len(line)-2]), " ")
	if f[1] == "UNKNOWN" { // whatever follows is to be ignored
		return netip.AddrPort{}, nil
	}
	if len(f) != 6 {
		return netip.AddrPort{}, ErrHeader
	}
	src, err := netip.ParseAddr(f[2])
	dst, err2 := netip.ParseAddr(f[3])
	port, ok := parsePort(f[4])
	_, ok2 := parsePort(f[5])
	if err != nil || err2 != nil || !ok || !ok2 || src.Zone() != "" || src.Is4() != dst.Is4() || src.Is4() != (f[1] == "TCP4") || src.Is6() != (f[1] == "TCP6") {
		return netip.AddrPort{}, ErrHeader
	}
	return netip.AddrPortFrom(src.Unmap(), port), nil
}

// parsePort reads a port without leading zeros.
func parsePort(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && strconv.FormatUint(n, 10) == s
}

// readV2 reads what follows the signature.
func readV2(r io.Reader) (client netip.AddrPort, local bool, err error) {
	var fixed [4]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return netip.AddrPort{}, false, err
	}
	n := int(binary.BigEndian.Uint16(fixed[2:]))
	if fixed[0]>>4 != 2 || fixed[0]&15 > 1 || n > maxV2 {
		return netip.AddrPort{}, false, ErrHeader
	}
	rest := make([]byte, n)
	if _, err := io.ReadFull(r, rest); err != nil {
		return netip.AddrPort{}, false, err
	}
	if fixed[0]&15 == 0 { // LOCAL: addresses are to be ignored
		return netip.AddrPort{}, true, nil
	}
	switch fixed[1] {
	case 0x11: // TCP over IPv4
		if n < 12 {
			return netip.AddrPort{}, false, ErrHeader
		}
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest[:4])), binary.BigEndian.Uint16(rest[8:])), false, nil
	case 0x21: // TCP over IPv6
		if n < 36 {
			return netip.AddrPort{}, false, ErrHeader
		}
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest[:16])).Unmap(), binary.BigEndian.Uint16(rest[32:])), false, nil
	}
	return netip.AddrPort{}, false, nil // unspecified, datagrams, UNIX sockets: no client that we could name
}
