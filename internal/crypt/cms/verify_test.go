package cms_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
)

// FuzzVerify holds that no bytes break the reader of signatures, and that what
// holds was made by the one key there is.
func FuzzVerify(f *testing.F) {
	cert := certificate(f, keys["P-256"])
	certFile, keyFile := store(f, cert, keys["P-256"])
	in := f.TempDir() + "/in"
	content := []byte("text")
	if err := os.WriteFile(in, content, 0o600); err != nil {
		f.Fatal(err)
	}
	for _, more := range [][]string{nil, {"-nodetach"}, {"-nodetach", "-stream"}} {
		b, err := openssl(f, content, append([]string{"cms", "-sign", "-binary", "-in", in, "-signer", certFile, "-inkey", keyFile, "-outform", "DER"}, more...)...)
		if err != nil {
			f.Fatal(err)
		}
		if s, err := cms.Verify(b, map[bool][]byte{true: content}[more == nil]); err != nil || !s.Signer.Equal(cert) {
			f.Fatalf("%v: %v", more, err)
		}
		f.Add(b)
	}
	f.Add(bytes.Repeat([]byte{0x30, 0x80}, 100_000))
	f.Add(bytes.Repeat([]byte{0x24, 0x80}, 31))
	f.Fuzz(func(t *testing.T, b []byte) { // in processes that have another certificate than made the seeds
		for _, with := range [][]byte{content, nil} {
			s, err := cms.Verify(b, with)
			if err == nil && s.Signer == nil || err != nil && !errors.Is(err, cms.ErrNotSigned) && !errors.Is(err, cms.ErrSignature) {
				t.Errorf("got %v", err)
			}
		}
	})
}
