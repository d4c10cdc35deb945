package smtp_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestOddBodies: what is unusual and harmless passes with every byte, up to the
// longest line, and one byte more does not.
func TestOddBodies(t *testing.T) {
	const head = "Subject: x\r\n\r\n"
	longest := strings.Repeat("x", 64<<10-1) + "\r\n" // 64 KiB and the LF
	for _, tc := range []struct{ name, body, want string }{
		{"8-bit data in header fields", "Subject: caf\xe9 \xff\r\nX-\x80\x81: \xc3\xbc\r\n\r\ny\r\n", "250"},
		{"NUL in a body", head + "a\x00b\r\n\x00\r\n", "250"},
		{"NUL in a header field", "Subject: a\x00b\r\n\r\ny\r\n", "250"},
		{"other control characters", head + "\x01\x0b\x0c\x1a\x7f\x80\x85\r\n", "250"},
		{"the longest line", head + longest + "y\r\n", "250"},
		{"the longest line of the header", "X: " + longest[3:] + head, "250"},
		{"the longest line twice, ended by LF", head + longest[1:len(longest)-2] + "xx\n" + longest, "250"},
		{"one byte more", head + "x" + longest + "y\r\n", "554 5.6.0"},
		{"one byte more, ended by LF", head + longest[:len(longest)-2] + "xx\ny\r\n", "554 5.6.0"},
		{"bare CR and LF", head + "a\rb\nc\n\nd\r\n", "250"},
	} {
		for _, how := range []string{"DATA", "BDAT"} {
			t.Run(how+", "+tc.name, func(t *testing.T) {
				d := open(t, nil)
				c := d.hello(t)
				c.envelope("c@d.test")
				if how == "DATA" {
					c.say("DATA\r\n"+tc.body+".\r\n", "354", tc.want)
				} else {
					c.say(fmt.Sprintf("BDAT %d LAST\r\n%s", len(tc.body), tc.body), tc.want)
				}
				c.say("NOOP\r\n", "250")
				got := d.hop.messages()
				if tc.want != "250" {
					if len(got) != 0 {
						t.Error("it was passed on")
					}
					return
				}
				if len(got) != 1 {
					t.Fatalf("got %d messages, want 1", len(got))
				}
				same(t, "body", got[0].body, tc.body)
			})
		}
	}
}
