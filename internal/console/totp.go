package console

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"rsc.io/qr"
)

// The parameters that every authenticator program knows, and that several know
// alone. Source: RFC 6238 4 and 5.2, RFC 4226 4 (R6) and 5.3.
const (
	totpStep   = 30 * time.Second
	totpDigits = 1_000_000
	totpSkew   = 1  // steps that a clock may be off either way
	totpSecret = 20 // bytes
)

// totpCode is the code of a step, six digits.
func totpCode(secret []byte, step int64) string {
	mac := hmac.New(sha1.New, secret)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(step))
	mac.Write(b[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%totpDigits)
}

// totpFits returns the step at which code is right, later than last, 0 for none:
// a code is good once. Blanks in it are left out, as programs show it in halves.
func totpFits(secret []byte, code string, last int64, now time.Time) (step int64) {
	code = strings.Join(strings.Fields(code), "")
	at := now.Unix() / int64(totpStep/time.Second)
	for s := at - totpSkew; s <= at+totpSkew; s++ {
		if subtle.ConstantTimeCompare([]byte(totpCode(secret, s)), []byte(code)) == 1 && s > last {
			step = s
		}
	}
	return step
}

func newTOTPSecret() []byte {
	b := make([]byte, totpSecret)
	rand.Read(b) // never fails: crypto/rand.Read ends the program instead
	return b
}

// totpText is a secret as it is typed into a program, in groups of four.
func totpText(secret []byte) string {
	s := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	var b strings.Builder
	for i, c := range s {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// totpURL is what a program reads out of a picture.
//
// Source: Google Authenticator, Key URI Format.
func totpURL(secret []byte, name string) string {
	q := url.Values{"secret": {strings.ReplaceAll(totpText(secret), " ", "")}, "issuer": {"stanch"}}
	return "otpauth://totp/" + url.PathEscape("stanch:"+name) + "?" + q.Encode()
}

// qrMargin is how many modules stay clear around a code. ISO/IEC 18004 9.1.
const qrMargin = 4

// totpPicture draws that URL as a QR code.
func totpPicture(secret []byte, name string) (template.HTML, error) {
	code, err := qr.Encode(totpURL(secret, name), qr.M)
	if err != nil {
		return "", fmt.Errorf("console: picture of a secret: %w", err)
	}
	var b strings.Builder
	n := code.Size + 2*qrMargin
	fmt.Fprintf(&b, `<svg class="qr" viewBox="0 0 %d %d" width="200" height="200" role="img" aria-label="The secret as a QR code" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="`, n, n, n, n)
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+qrMargin, y+qrMargin)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String()), nil
}
