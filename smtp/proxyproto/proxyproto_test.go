package proxyproto_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stanch-dlp/stanch/smtp/proxyproto"
)

const signature = "\r\n\r\n\x00\r\nQUIT\n"

// v2 is a header of version 2.
func v2(command, family byte, rest string) string {
	return signature + string([]byte{command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(rest)))) + rest
}

var (
	four = string([]byte{192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0, 25})
	six  = string(netip.MustParseAddr("2001:db8::1").AsSlice()) + string(netip.MustParseAddr("2001:db8::2").AsSlice()) + "\x30\x39\x00\x19"
)

func TestRead(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     string // "" for nobody, "itself" for the proxy, "bad" for ErrHeader, "short" for a connection that ends
	}{
		{"IPv4", "PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\n", "192.0.2.1:12345"},
		{"IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 12345 25\r\n", "[2001:db8::1]:12345"},
		{"mapped IPv4", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 25\r\n", "192.0.2.1:1"},
		{"unknown", "PROXY UNKNOWN\r\n", ""},
		{"unknown with more", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", ""},
		{"family does not fit", "PROXY TCP4 2001:db8::1 2001:db8::2 1 25\r\n", "bad"},
		{"mixed", "PROXY TCP4 192.0.2.1 2001:db8::2 1 25\r\n", "bad"},
		{"zone", "PROXY TCP6 fe80::1%eth0 fe80::2 1 25\r\n", "bad"},
		{"leading zero", "PROXY TCP4 192.0.2.1 198.51.100.2 012 25\r\n", "bad"},
		{"port too large", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n", "bad"},
		{"two spaces", "PROXY TCP4  192.0.2.1 198.51.100.2 1 25\r\n", "bad"},
		{"bare LF", "PROXY TCP4 192.0.2.1 198.51.100.2 1 25\n", "bad"},
		{"bare CR", "PROXY TCP4 192.0.2.1\r198.51.100.2 1 25\r\n", "bad"},
		{"too long", "PROXY UNKNOWN " + strings.Repeat("x", 100) + "\r\n", "bad"},
		{"no header", "EHLO client.example\r\n", "bad"},
		{"cut short", "PROXY TCP4 192.0.2.1", "short"},
		{"v2 IPv4", v2(0x21, 0x11, four), "192.0.2.1:12345"},
		{"v2 IPv6", v2(0x21, 0x21, six), "[2001:db8::1]:12345"},
		{"v2 with options", v2(0x21, 0x11, four+"\x04\x00\x02ab"), "192.0.2.1:12345"},
		{"v2 health check", v2(0x20, 0x11, four), "itself"},
		{"v2 of no family", v2(0x21, 0, ""), ""},
		{"v2 UNIX socket", v2(0x21, 0x31, strings.Repeat("x", 216)), ""},
		{"v2 too short for its family", v2(0x21, 0x11, four[:11]), "bad"},
		{"v2 too short for IPv6", v2(0x21, 0x21, six[:35]), "bad"},
		{"v2 of version 3", v2(0x31, 0x11, four), "bad"},
		{"v2 of another command", v2(0x22, 0x11, four), "bad"},
		{"v2 without end", v2(0x21, 0x11, strings.Repeat("x", 60_000)), "bad"},
		{"v2 cut short", v2(0x21, 0x11, four)[:20], "short"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := bytes.NewReader([]byte(tc.in + "EHLO"))
			if tc.want == "short" {
				r = bytes.NewReader([]byte(tc.in))
			}
			got, local, err := proxyproto.Read(iotest.OneByteReader(r))
			switch tc.want {
			case "bad":
				if !errors.Is(err, proxyproto.ErrHeader) {
					t.Errorf("got %v, %v, want %v", got, err, proxyproto.ErrHeader)
				}
			case "short":
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("got %v, %v, want the end of the connection", got, err)
				}
			default:
				if local != (tc.want == "itself") {
					t.Errorf("the proxy speaks for itself: %v", local)
				}
				want := strings.TrimPrefix(tc.want, "itself")
				left, rerr := io.ReadAll(r)
				if err != nil || rerr != nil || string(left) != "EHLO" || got.IsValid() != (want != "") || got.IsValid() && got.String() != want {
					t.Errorf("got %v, %v, and %q left, want %q", got, err, left, tc.want)
				}
			}
		})
	}
}

// FuzzRead: nothing but the header is taken, and what is read as an address
// reads back as the same once it is written as a header.
func FuzzRead(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\nEHLO"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(v2(0x21, 0x21, six)))
	f.Add([]byte(v2(0x20, 0, "")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		got, _, err := proxyproto.Read(r)
		if taken := len(b) - r.Len(); taken > 16+2<<10 {
			t.Fatalf("%d bytes taken", taken)
		}
		if err != nil || !got.IsValid() {
			return
		}
		family := map[bool]string{true: "TCP4", false: "TCP6"}[got.Addr().Is4()]
		a := got.Addr().String()
		again, _, err := proxyproto.Read(strings.NewReader("PROXY " + family + " " + a + " " + a + " " + got.String()[strings.LastIndexByte(got.String(), ':')+1:] + " 25\r\n"))
		if err != nil || again != got {
			t.Fatalf("%v reads back as %v, %v", got, again, err)
		}
	})
}
