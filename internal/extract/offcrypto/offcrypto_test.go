package offcrypto_test

import (
	"encoding/hex"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/offcrypto"
)

// TestXORKey checks the password abc, whose key, hash and bytes Apache POI's
// tests state.
func TestXORKey(t *testing.T) {
	got, ok := offcrypto.XORKey(20810, 52250, "abc")
	if want := "accca4abd6bac3bad6a32b45d37929bb"; !ok || hex.EncodeToString(got[:]) != want {
		t.Errorf("got %x, %v, want %s", got, ok, want)
	}
	for _, pw := range []string{"abd", "", "a password of 20 let"} {
		if _, ok := offcrypto.XORKey(20810, 52250, pw); ok {
			t.Errorf("%q opens what abc locked", pw)
		}
	}
}

// TestOpenNot holds that no header that is damaged opens or breaks. Files that
// open are tested where they are read.
func TestOpenNot(t *testing.T) {
	for name, h := range map[string][]byte{
		"empty":      nil,
		"version":    {9, 0, 9, 0},
		"cut":        append([]byte{1, 0, 1, 0}, make([]byte, 47)...),
		"wrong":      append([]byte{1, 0, 1, 0}, make([]byte, 48)...),
		"CryptoAPI":  append([]byte{2, 0, 2, 0, 4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, make([]byte, 100)...),
		"CryptoAPI0": append([]byte{4, 0, 2, 0, 4, 0, 0, 0, 20, 0, 0, 0}, make([]byte, 100)...),
	} {
		if offcrypto.Open(h, "x") != nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(append([]byte{1, 0, 1, 0}, make([]byte, 48)...), "pw")
	f.Add(append([]byte{2, 0, 2, 0, 4, 0, 0, 0, 20, 0, 0, 0}, make([]byte, 100)...), "pw")
	f.Fuzz(func(t *testing.T, header []byte, password string) {
		if k := offcrypto.Open(header, password); k != nil && len(k.Decrypt(make([]byte, 1500), 512)) != 1500 {
			t.Fatal("length")
		}
	})
}
