package formats_test

import (
	"archive/zip"
	"bytes"
	"encoding/hex"
	"hash/crc32"
	"testing"
)

// TestZipEarlyMethods reads what programs before 1993 packed, with and without the
// directory; imploding also as the first of them meant it, by its checksum.
func TestZipEarlyMethods(t *testing.T) {
	const want = "Patient Ada Example, SSN 536-22-8145, Patient Ada Example\n"
	for _, c := range []struct {
		name          string
		method, flags uint16
		packed        string
	}{
		{"shrunk", 1, 0, "50c2d04953c60d1d1041c8840151044f983670d894610162ca1427206accb0d142868c163862d0a84131e0c08207132e6cf830621905"},
		{"reduced", 4, 0, "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000" +
			"00000004100000000000000000000000000000000000046100000820690000046c404017c00565001094010020b0b80561002080b40100000000000000000082d314000461400002000000000010e001" +
			"001090010000000000043140d022b0cc0435818dd02213d0000020c8e004200000000010280000000835410000000000000000000000042500000000000000000000000450904e0481452000a7040444" +
			"004202"},
		{"imploded", 6, 4, "0ff7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f703f5f5f5f503f5f5f5f5ebe78d9e366be2e8fbfb66cfbbbf6bf8bc49e327cfba7c7fcd9a8df74f9d3979e9ecd94bc7cf9d3e75f9bef2efbf02"},
		{"imploded early", 6, 4, "0ff7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f703f5f5f5f503f5f5f5f5ebe78d9e366be2e8fbfb66cfbbbf6bf8bc49e327cfba7c7fcd9a8df74f9d3979e9ecd94bc7cf9d3e05fa7fe5df7d05"},
		// As node-pkware 5 packs it.
		{"DCL, letters, 1 KiB", 10, 0, "0104488e62d986e2c574c7bbe01d32c9b4f13d9bcdf398d830a4383852740916e626a2551107fc03"},
		{"DCL, bytes, 4 KiB", 10, 0, "0006a084a193a68c1b3a2082900903a2089e306de0b029c302c494294e40d49861a3850c192d70c4a051b38968971402fe01"},
		{"DCL, letters, 2 KiB", 10, 0, "0105488e62d986e2c574c7bbe01d32c9b4f13d9bcdf398d830a4383852740916e626a275210ef807"},
	} {
		t.Run(c.name, func(t *testing.T) {
			packed, err := hex.DecodeString(c.packed)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			z := zip.NewWriter(&b)
			w, err := z.CreateRaw(&zip.FileHeader{Name: "a.txt", Method: c.method, Flags: c.flags, CRC32: crc32.ChecksumIEEE([]byte(want)),
				CompressedSize64: uint64(len(packed)), UncompressedSize64: uint64(len(want))})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(packed); err != nil {
				t.Fatal(err)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			a := serve(t, false, limits, b.Bytes())
			if a.texts["1"] != want || len(a.gaps) != 0 {
				t.Errorf("read %q, want %q; gaps %v", a.texts["1"], want, a.gaps)
			}
			a = serve(t, false, limits, b.Bytes()[:30+5+len(packed)])
			if a.texts["1"] != want {
				t.Errorf("without the directory read %q; gaps %v", a.texts["1"], a.gaps)
			}
		})
	}
}
