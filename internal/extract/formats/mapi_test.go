package formats_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// tnefAttribute writes an attribute; its checksum is right unless wrong is not 0.
func tnefAttribute(level byte, id uint32, data string, wrong uint16) string {
	sum := wrong
	for i := range len(data) {
		sum += uint16(data[i])
	}
	b := binary.LittleEndian.AppendUint32([]byte{level}, id)
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(data))), data...)
	return string(binary.LittleEndian.AppendUint16(b, sum))
}

// tnefProps writes a list of properties: number and type in one, and the value.
func tnefProps(props ...any) string {
	var b []byte
	for i := 0; i < len(props); i += 2 {
		tag, v := uint32(props[i].(int)), props[i+1].(string)
		b = binary.LittleEndian.AppendUint32(b, tag)
		b = binary.LittleEndian.AppendUint32(b, 1)
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(v))), v...)
		b = append(b, make([]byte, -len(v)&3)...)
	}
	return string(binary.LittleEndian.AppendUint32(nil, uint32(len(props)/2))) + string(b)
}

// compressedRTF is an example of [MS-OXRTFCP] 3.1.
const compressedRTF = "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"

// TestTNEF holds what parts winmail.dat makes, alone and in a mail.
func TestTNEF(t *testing.T) {
	const start = "\x78\x9f\x3e\x22\x01\x00"
	packed, err := hex.DecodeString(compressedRTF)
	if err != nil {
		t.Fatal(err)
	}
	inner := start + tnefAttribute(1, 0x018004, "inner", 0) + tnefAttribute(1, 0x02800c, "SSN 536-22-8145", 0)
	doc := start + tnefAttribute(1, 0x018004, "outer\x00", 0) +
		tnefAttribute(1, 0x069003, tnefProps(0x1000001e, "plain body\x00", 0x10130102, "<p>web <b>body</b><img src=cid:one>", 0x10090102, string(packed)), 0) +
		tnefAttribute(2, 0x069002, "", 0) + tnefAttribute(2, 0x018010, "a.txt\x00", 0) + tnefAttribute(2, 0x06800f, "file", 0) +
		tnefAttribute(2, 0x069002, "", 0) + tnefAttribute(2, 0x06800f, "\x89PNG\r\n\x1a\n", 0) + tnefAttribute(2, 0x069005, tnefProps(0x3712001e, "one\x00"), 0) +
		tnefAttribute(2, 0x069002, "", 0) + tnefAttribute(2, 0x069005, tnefProps(0x3701000d, "IIIIIIIIIIIIIIII"+inner), 0) +
		tnefAttribute(2, 0x069002, "", 0) + tnefAttribute(2, 0x06800f, "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nsigned\r\n--b--", 0) +
		tnefAttribute(2, 0x069005, tnefProps(0x370e001e, "multipart/signed\x00"), 0) +
		tnefAttribute(2, 0x069002, "", 0) + tnefAttribute(2, 0x018010, "linked.doc\x00", 0) +
		tnefAttribute(2, 0x068011, "\x01\x00\x09\x00\x0f\x00in an icon\x00\x02", 0) + tnefAttribute(1, 0x069999, "of nobody\x00", 0)
	want := map[string]string{
		"HEADER": "Subject: outer\nAttachment: a.txt\nAttachment: linked.doc\nin an icon\nof nobody\n", "1": "plain body", "2": "web body\n", "3": "hello world\n", "4": "file",
		"6.HEADER": "Subject: inner\n", "6.1": "SSN 536-22-8145", "7.1": "signed",
	}
	mail := crlf("Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: application/ms-tnef", "Content-Transfer-Encoding: base64", "", b64(doc), "--o--")
	for _, c := range []struct {
		name, before string
		mail         bool
		doc          string
	}{{"file", "", false, doc}, {"mail", "1/", true, mail}} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, c.mail, limits, []byte(c.doc))
			for path, text := range want {
				if got := a.texts[c.before+path]; got != text {
					t.Errorf("part %q: got %q, want %q", path, got, text)
				}
			}
			gaps := fmt.Sprintf("[%s8 unsupported attachment by reference %s5 image image/png]", c.before, c.before)
			if got := fmt.Sprint(a.told()); got != gaps {
				t.Errorf("gaps: got %s, want %s", got, gaps)
			}
			for _, g := range a.gaps {
				if g.Detail == "image/png" && !g.Inline {
					t.Error("the picture that the HTML shows is not inline")
				}
			}
		})
	}
	for _, c := range []struct{ name, doc, gap string }{
		{"checksum", start + tnefAttribute(1, 0x02800c, "SSN 536-22-8145", 1), "[ambiguous tnef checksum]"},
		{"cut", start + tnefAttribute(1, 0x02800c, "SSN 536-22-8145", 0) + "\x01", "[corrupt tnef]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, false, limits, []byte(c.doc))
			if got := fmt.Sprint(a.told()); got != c.gap || !strings.Contains(a.texts["1"], "536-22-8145") {
				t.Errorf("got %s %q, want %s and the text", got, a.texts, c.gap)
			}
		})
	}
}
