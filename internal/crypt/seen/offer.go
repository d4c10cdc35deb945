package seen

import (
	"bytes"
	"encoding/base64"
	"errors"
	"mime"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// autocrypt reads the Autocrypt field.
//
// Source: Autocrypt Level 1, 2.1 (the field), 2.2 (which messages are read).
func (fs fields) autocrypt(from dlp.Address) (Key, error) {
	if t, _, _ := mime.ParseMediaType(fs.all.Get("content-type")); t == "multipart/report" {
		return Key{}, Report
	}
	if fs.count("autocrypt") != 1 {
		return Key{}, Several
	}
	for _, f := range fs.all {
		if f.Is("autocrypt") && len(f.Raw) > maxAutocrypt {
			return Key{}, TooLarge
		}
	}
	values := map[string]string{}
	for part := range strings.SplitSeq(fs.all.Get("autocrypt"), ";") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" && !ok && strings.TrimSpace(part) == "" { // behind the last
			continue
		}
		_, twice := values[name]
		if critical := !strings.HasPrefix(name, "_"); !ok || twice || critical && !slices.Contains([]string{"addr", "prefer-encrypt", "keydata"}, name) {
			return Key{}, Unreadable
		}
		values[name] = strings.TrimSpace(value)
	}
	if dlp.FoldAddress(values["addr"]) != dlp.FoldAddress(from.Local+"@"+from.Domain) {
		return Key{}, OtherAddress
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(values["keydata"]), ""))
	if err != nil || len(b) == 0 {
		return Key{}, Unreadable
	}
	return Key{OpenPGP: b, Mutual: values["prefer-encrypt"] == "mutual"}, nil
}

// offersSignature reports a message that is signed by S/MIME as a whole.
func (fs fields) offersSignature() bool {
	t, params, _ := mime.ParseMediaType(fs.all.Get("content-type")) // what it cannot read is nothing
	switch t {
	case "multipart/signed":
		return pkcs7(params["protocol"], "signature")
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		kind := strings.ToLower(params["smime-type"])
		return kind == "signed-data" || kind == "" && strings.HasSuffix(strings.ToLower(params["name"]), ".p7m")
	}
	return false
}

// pkcs7 reports application/pkcs7-KIND, also by its name of before RFC 5751.
func pkcs7(t, kind string) bool {
	t = strings.ToLower(t)
	return t == "application/pkcs7-"+kind || t == "application/x-pkcs7-"+kind
}

// certificate reads the signature of the message's body.
//
// Source: RFC 8551 3.5.
func (fs fields) certificate(body []byte) (Key, error) {
	if fs.count("content-type") != 1 || fs.count("content-transfer-encoding") > 1 {
		return Key{}, Several
	}
	t, params, err := mime.ParseMediaType(fs.all.Get("content-type"))
	if err != nil {
		return Key{}, Unreadable
	}
	var der, content []byte
	if t == "multipart/signed" {
		der, content, err = detached(body, params["boundary"])
	} else {
		der, err = fromBase64(fs.all, body)
	}
	if err != nil {
		return Key{}, err
	}
	s, err := cms.Verify(der, content)
	switch {
	case errors.Is(err, cms.ErrSignature):
		return Key{}, BadSignature
	case err != nil:
		return Key{}, Unreadable
	}
	k := Key{Signer: s.Signer, Capabilities: s.Capabilities}
	k.Certs = append(k.Certs, s.Encryption)
	for _, c := range s.All {
		if !c.Equal(s.Encryption) {
			k.Certs = append(k.Certs, c)
		}
	}
	return k, nil
}

// detached returns the signature and the part that it is of.
func detached(body []byte, boundary string) (der, content []byte, err error) {
	if boundary == "" || len(boundary) > 70 { // RFC 2046 5.1.1
		return nil, nil, Unreadable
	}
	body = append([]byte("\r\n"), body...)
	_, rest, ok := delimiter(body, boundary, false)
	if !ok {
		return nil, nil, Unreadable
	}
	content, rest, ok = delimiter(rest, boundary, false)
	if !ok {
		return nil, nil, Unreadable
	}
	part, _, ok := delimiter(rest, boundary, true)
	if !ok || len(part) > maxSignature {
		return nil, nil, Unreadable
	}
	fs, err := header(part)
	if err != nil {
		return nil, nil, Unreadable
	}
	if t, _, err := mime.ParseMediaType(fs.all.Get("content-type")); err != nil || !pkcs7(t, "signature") {
		return nil, nil, Unreadable
	}
	der, err = fromBase64(fs.all, part[fs.size+2:])
	return der, content, err
}

// delimiter cuts b at the first line that is a delimiter, of the last kind or of the
// other; one of the wrong kind is none at all.
func delimiter(b []byte, boundary string, last bool) (before, after []byte, ok bool) {
	mark := []byte("\r\n--" + boundary)
	for from := 0; ; {
		i := bytes.Index(b[from:], mark)
		if i < 0 {
			return nil, nil, false
		}
		i += from
		line, rest, _ := bytes.Cut(b[i+len(mark):], []byte("\r\n"))
		switch end := string(bytes.TrimRight(line, " \t")); {
		case end == "--" && last, end == "" && !last:
			return b[:i], rest, true
		case end == "--" || end == "":
			return nil, nil, false
		}
		from = i + len(mark) // of a boundary that begins like this one
	}
}

// fromBase64 is what b holds, of a part that says it is base64.
func fromBase64(fs message.Fields, b []byte) ([]byte, error) {
	if !strings.EqualFold(fs.Get("content-transfer-encoding"), "base64") {
		return nil, Unreadable
	}
	b = bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, b)
	out := make([]byte, base64.StdEncoding.DecodedLen(len(b)))
	n, err := base64.StdEncoding.Decode(out, b)
	if err != nil {
		return nil, Unreadable
	}
	return out[:n], nil
}
