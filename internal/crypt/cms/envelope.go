package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Cipher is how an envelope's content is encrypted.
type Cipher uint8

const (
	// AES256GCM is AuthEnvelopedData, with RSA-OAEP for RSA keys: what was
	// altered does not open.
	AES256GCM Cipher = iota
	// AES256CBC is EnvelopedData, with RSA PKCS #1 v1.5 for RSA keys: what every
	// program opens. What was altered may open to something else, which a
	// signature inside tells.
	AES256CBC
)

// maxSealed bounds the content of an envelope that is sealed whole, in bytes:
// what one key of AES-GCM may seal at once is 64 GiB, memory is less.
const maxSealed = 512 << 20

// Encrypt returns a writer of content that writes an envelope to w, for rcpts.
// The envelope is whole once Close returns nil. The content is of type data.
//
// AES256CBC is written as content comes, in BER of indefinite length.
// AES256GCM keeps the content in memory and writes DER: only a whole one is
// sealed by the approved service of a FIPS 140 module. size is how large it
// will be, or more, so that memory is taken once; 0 says that it is not known.
// Past 512 MiB the error is ErrTooLarge.
//
// Source: RFC 5652 6 (EnvelopedData), RFC 3565; RFC 5083 (AuthEnvelopedData),
// RFC 5084.
func Encrypt(w io.Writer, c Cipher, rcpts []Recipient, size int) (io.WriteCloser, error) {
	key := make([]byte, 32)
	rand.Read(key) // never fails: crypto/rand.Read ends the program instead
	infos, plain, err := seal(key, rcpts, c == AES256GCM)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cms: %w", err)
	}
	if c == AES256GCM {
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("cms: %w", err)
		}
		if size < 0 || size > maxSealed {
			return nil, ErrTooLarge
		}
		return &gcmWriter{w: w, aead: aead, infos: infos, content: make([]byte, 0, size+aead.Overhead())}, nil
	}
	iv := make([]byte, aes.BlockSize)
	rand.Read(iv)
	e := &cbcWriter{w: w, cbc: cipher.NewCBCEncrypter(block, iv), content: make([]byte, 0, chunkBytes)}
	version := int64(2)
	if plain {
		version = 0 // RFC 5652 6.1
	}
	e.head = slices.Concat(
		[]byte{tagSequence, indefinite}, der(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidEnvelopedData) }),
		[]byte{tagContext0, indefinite, tagSequence, indefinite}, der(func(b *cryptobyte.Builder) { b.AddASN1Int64(version) }), infos,
		[]byte{tagSequence, indefinite},
		der(func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidData)
			algorithm(b, oidAES256CBC, der(func(b *cryptobyte.Builder) { b.AddASN1OctetString(iv) })) // RFC 3565 2.2
		}),
		[]byte{tagContext0, indefinite},
	)
	return e, nil
}

// cbcWriter writes an EnvelopedData.
type cbcWriter struct {
	w       io.Writer
	head    []byte // what is to be written first, nil once it is
	cbc     cipher.BlockMode
	content []byte // not yet written, less than chunkBytes
	err     error  // the first failure: the envelope cannot be ended
}

func (e *cbcWriter) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) && e.err == nil {
		m := min(len(p)-n, chunkBytes-len(e.content))
		e.content = append(e.content, p[n:n+m]...)
		n += m
		if len(e.content) == chunkBytes {
			e.flush()
		}
	}
	return n, e.err
}

// flush encrypts and writes the content, whole blocks of it.
func (e *cbcWriter) flush() {
	if e.err != nil {
		return
	}
	e.cbc.CryptBlocks(e.content, e.content)
	e.err = writeAll(e.w, e.head, tlv(tagOctets, len(e.content)), e.content)
	e.head, e.content = nil, e.content[:0]
}

func (e *cbcWriter) Close() error {
	pad := aes.BlockSize - len(e.content)%aes.BlockSize // RFC 5652 6.3
	for range pad {
		e.content = append(e.content, byte(pad))
	}
	e.flush()
	for range 5 { // the octet string, and what is around it
		if e.err == nil {
			e.err = writeAll(e.w, endOfContents)
		}
	}
	err := e.err
	if err == nil {
		e.err = io.ErrClosedPipe
	}
	return err
}

// gcmWriter writes an AuthEnvelopedData.
type gcmWriter struct {
	w       io.Writer
	aead    cipher.AEAD
	infos   []byte
	content []byte
	err     error
}

func (e *gcmWriter) Write(p []byte) (int, error) {
	if e.err == nil && len(e.content)+len(p) > maxSealed {
		e.err = ErrTooLarge
	}
	if e.err != nil {
		return 0, e.err
	}
	e.content = append(e.content, p...)
	return len(p), nil
}

func (e *gcmWriter) Close() error {
	if e.err != nil {
		return e.err
	}
	e.err = io.ErrClosedPipe
	const nonceBytes, tagBytes = 12, 16
	sealed := e.aead.Seal(e.content[:0], nil, e.content, nil)
	e.content = nil
	nonce, text, tag := sealed[:nonceBytes], sealed[nonceBytes:len(sealed)-tagBytes], sealed[len(sealed)-tagBytes:]
	alg := der(func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidData)
		algorithm(b, oidAES256GCM, der(func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // RFC 5084 3.2
				b.AddASN1OctetString(nonce)
				b.AddASN1Int64(tagBytes)
			})
		}))
	})
	// From the inside out: what comes before the ciphertext, and how long all is.
	mac := der(func(b *cryptobyte.Builder) { b.AddASN1OctetString(tag) })
	head := slices.Concat(alg, tlv(tagContext0Raw, len(text)))
	head = slices.Concat(tlv(tagSequence, len(head)+len(text)), head)
	head = slices.Concat(der(func(b *cryptobyte.Builder) { b.AddASN1Int64(0) }), e.infos, head) // RFC 5083 2.1
	head = slices.Concat(tlv(tagSequence, len(head)+len(text)+len(mac)), head)
	head = slices.Concat(tlv(tagContext0, len(head)+len(text)+len(mac)), head)
	head = slices.Concat(der(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidAuthEnvelopedData) }), head)
	head = slices.Concat(tlv(tagSequence, len(head)+len(text)+len(mac)), head)
	return writeAll(e.w, head, text, mac)
}
