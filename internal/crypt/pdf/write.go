package pdf

import (
	"bytes"
	"compress/zlib"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// writer writes the objects of an encrypted file, each once, in any order.
type writer struct {
	w   io.Writer
	n   int64
	at  []int64 // where object i+1 stands; 0: not written
	h   *handler
	err error // the first failure: the file cannot be ended
}

func (w *writer) put(b []byte) {
	if w.err != nil {
		return
	}
	var n int
	n, w.err = w.w.Write(b)
	w.n += int64(n)
}

func (w *writer) putf(format string, args ...any) { w.put(fmt.Appendf(nil, format, args...)) }

// reserve gives an object its number.
func (w *writer) reserve() int {
	w.at = append(w.at, 0)
	return len(w.at)
}

// object writes object n. Strings in body are sealed already.
func (w *writer) object(n int, body string) {
	w.at[n-1] = w.n
	w.putf("%d 0 obj\n%s\nendobj\n", n, body)
}

// text is s as an encrypted text string. ISO 32000-2 7.9.2.2.
func (w *writer) text(s string) string {
	b := []byte{0xfe, 0xff}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return fmt.Sprintf("<%x>", w.h.seal(b))
}

// stream writes a stream of what is known whole; entries are those of its
// dictionary.
func (w *writer) stream(n int, entries string, b []byte) {
	b = w.h.seal(b)
	w.at[n-1] = w.n
	w.putf("%d 0 obj\n<<%s/Length %d>>\nstream\n", n, entries, len(b))
	w.put(b)
	w.putf("\nendstream\nendobj\n")
}

// pack is b in the form of FlateDecode.
func pack(b []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	z.Write(b) // a bytes.Buffer takes everything
	z.Close()  // likewise
	return out.Bytes()
}

// copyStream writes a stream of what r gives, and returns r's error if it gave
// not all. It is not compressed: what messages have in common must not show in
// their lengths.
func (w *writer) copyStream(n int, entries string, r io.Reader) (broken error) {
	length := w.reserve()
	w.at[n-1] = w.n
	w.putf("%d 0 obj\n<<%s/Length %d 0 R>>\nstream\n", n, entries, length)
	iv := make([]byte, aes.BlockSize)
	rand.Read(iv) // never fails: crypto/rand.Read ends the program instead
	w.put(iv)
	cbc := cipher.NewCBCEncrypter(w.h.block, iv)
	var total int64
	buf := make([]byte, 32<<10)
	for w.err == nil {
		m, err := io.ReadFull(r, buf[:len(buf)-aes.BlockSize])
		total += int64(m)
		if err == nil {
			cbc.CryptBlocks(buf[:m], buf[:m])
			w.put(buf[:m])
			continue
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			broken = err
		}
		pad := aes.BlockSize - m%aes.BlockSize
		for i := range pad {
			buf[m+i] = byte(pad)
		}
		cbc.CryptBlocks(buf[:m+pad], buf[:m+pad])
		w.put(buf[:m+pad])
		w.putf("\nendstream\nendobj\n")
		w.object(length, fmt.Sprint(aes.BlockSize+total+int64(pad)))
		break
	}
	return broken
}

// end writes the cross-reference table and the trailer.
func (w *writer) end(root int) error {
	start := w.n
	var b strings.Builder
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(w.at)+1)
	for _, at := range w.at {
		if at == 0 { // reserved, and not written
			b.WriteString("0000000000 65535 f \n")
			continue
		}
		fmt.Fprintf(&b, "%010d 00000 n \n", at)
	}
	id := make([]byte, 16)
	rand.Read(id) // likewise
	fmt.Fprintf(&b, "trailer\n<</Size %d/Root %d 0 R/Encrypt %s/ID[<%x><%x>]>>\nstartxref\n%d\n%%%%EOF\n", len(w.at)+1, root, w.h.dict, id, id, start)
	w.put([]byte(b.String()))
	return w.err
}
