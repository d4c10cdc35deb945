package formats_test

import (
	"encoding/hex"
	"fmt"
	"testing"
)

// Metafiles that draw three letters; the second, a bitmap behind them too.
const (
	wmfText   = "\x01\x00\x09\x00\x00\x03\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00" + "\x08\x00\x00\x00\x21\x05\x03\x00SSN\x00\x14\x00\x0a\x00"
	wmfEnd    = "\x03\x00\x00\x00\x00\x00"
	wmfBitmap = "\x05\x00\x00\x00\x43\x0f\x00\x00\x00\x00"
)

// TestMetafile holds what parts and gaps metafiles make.
func TestMetafile(t *testing.T) {
	for _, c := range []struct {
		name, in, path, want, gaps string
	}{
		{"words", wmfText + wmfEnd, "", "SSN\n", "[]"},
		{"words and a bitmap", wmfText + wmfBitmap + wmfEnd, "", "SSN\n", "[image image/wmf]"},
		{"cut", wmfText, "", "SSN\n", "[image image/wmf]"},
		{"in RTF", `{\rtf1 a{\pict\wmetafile8 ` + hex.EncodeToString([]byte(wmfText+wmfEnd)) + `}}`, "1", "SSN\n", "[]"},
		{"in a zip", string(zipOf(t, member{"image1.wmf", wmfText + wmfEnd})), "1", "SSN\n", "[]"},
	} {
		a := serve(t, false, limits, []byte(c.in))
		if a.texts[c.path] != c.want || fmt.Sprint(a.told()) != c.gaps {
			t.Errorf("%s: got %q, gaps %v, want %q, %s", c.name, a.texts[c.path], a.told(), c.want, c.gaps)
		}
	}
	a := serve(t, true, limits, []byte("Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<img src=\"cid:1\">\r\n--b\r\nContent-Type: image/x-wmf\r\n"+
		"Content-ID: <1>\r\n\r\n"+wmfText+wmfBitmap+wmfEnd+"\r\n--b--\r\n"))
	if a.texts["2"] != "SSN\n" || len(a.gaps) != 1 {
		t.Errorf("in a mail: got %q, gaps %v", a.texts["2"], a.told())
	}
}
