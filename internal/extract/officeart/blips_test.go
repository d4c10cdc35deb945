package officeart_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/officeart"
)

// blip is a picture's record.
func blip(inst, kind uint16, uids int, data string, pack bool) string {
	var body bytes.Buffer
	method := byte(0xfe)
	if pack {
		method = 0
		w := zlib.NewWriter(&body)
		_, _ = w.Write([]byte(data))
		_ = w.Close()
	} else {
		body.WriteString(data)
	}
	m := make([]byte, 34)
	binary.LittleEndian.PutUint32(m, uint32(len(data)))
	binary.LittleEndian.PutUint32(m[28:], uint32(body.Len()))
	m[32], m[33] = method, 0xfe
	b := binary.LittleEndian.AppendUint16(nil, inst)
	b = binary.LittleEndian.AppendUint16(b, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(16*uids+34+body.Len()))
	return string(b) + strings.Repeat("u", 16*uids) + string(m) + body.String()
}

func TestMetafiles(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want string
		all  bool
	}{
		"alone":    {blip(0x3d40, 0xf01a, 1, "an emf", true), "[an emf]", true},
		"two":      {"\xf0..\x1a\xf0" + blip(0x2170, 0xf01b, 2, "a wmf", false) + blip(0x3d50, 0xf01a, 2, "an emf", true), "[a wmf an emf]", true},
		"another":  {blip(0x46a0, 0xf01d, 1, "a jpeg", false), "[]", true},
		"too long": {blip(0x3d40, 0xf01a, 1, strings.Repeat("x", 2000), true), "[]", false},
		"cut":      {blip(0x3d40, 0xf01a, 1, "an emf", true)[:60], "[]", true},
		"empty":    {"", "[]", true},
	} {
		got := []string{}
		all, err := officeart.Metafiles([]byte(c.in), 1000, func(b []byte) error {
			got = append(got, string(b))
			return nil
		})
		if fmt.Sprint(got) != c.want || all != c.all || err != nil {
			t.Errorf("%s: got %v, %v, %v, want %v, %v", name, got, all, err, c.want, c.all)
		}
	}
}

func FuzzMetafiles(f *testing.F) {
	f.Add([]byte(blip(0x3d40, 0xf01a, 1, "an emf", true)))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		_, _ = officeart.Metafiles(b, 1000, func(m []byte) error { n += len(m); return nil })
		if n > 4000+len(b) {
			t.Fatalf("%d bytes", n)
		}
	})
}
