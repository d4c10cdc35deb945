package formats

import (
	"bytes"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Object identifiers of CMS contents, DER without tag and length.
// RFC 5652 4, 5.1, 6.1, 8; RFC 5083 for AuthEnvelopedData; RFC 3274.
var (
	oidSigned       = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02}
	oidEnveloped    = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03}
	oidEncrypted    = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06}
	oidAuthEnvelope = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x17}
)

// isCMS reports a ContentInfo: a SEQUENCE that begins with one of the object
// identifiers.
func isCMS(head []byte) bool {
	if len(head) < 16 || head[0] != 0x30 {
		return false
	}
	return cmsKind(head) != nil
}

func cmsKind(b []byte) []byte {
	at := b[:min(len(b), 32)]
	for _, oid := range [][]byte{oidSigned, oidEnveloped, oidEncrypted, oidAuthEnvelope} {
		if i := bytes.Index(at, oid); i >= 3 && at[i-1] == byte(len(oid)) && at[i-2] == 0x06 {
			return oid
		}
	}
	return nil
}

// cms reads an S/MIME body: what is signed is read, what is encrypted is a gap.
func (j *job) cms(at place, b []byte) error {
	j.part(at, "application/pkcs7-mime")
	if !bytes.Equal(cmsKind(b), oidSigned) {
		return gapOf(dlp.Encrypted, "smime")
	}
	content, ok := signedContent(b)
	if !ok {
		j.words(b) // a program may show what is damaged
		return gapOf(dlp.Corrupt, "smime")
	}
	if len(content) > 0 {
		in := at.inside("1")
		in.mail = false
		if fields, body := splitHeader(content); len(fields) > 0 && at.mail {
			in.path += "/"
			j.message(place{path: in.path, depth: in.depth, mail: true}, append(headOf(fields), body...))
			return nil
		}
		j.leaf(in, memory(content))
	}
	return nil
}

// words writes what of b is text: stretches of printable ASCII, a line each.
func (j *job) words(b []byte) {
	const least = 8 // bytes of one
	for len(b) > 0 && j.out.err == nil {
		n := 0
		for n < len(b) && (b[n] >= ' ' && b[n] < 0x7f || b[n] == '\t') {
			n++
		}
		if n >= least {
			j.out.write(b[:n])
			j.out.writeString("\n")
		}
		b = b[min(n+1, len(b)):]
	}
}

// headOf writes fields back as a header.
func headOf(fields []field) []byte {
	var b []byte
	for _, f := range fields {
		b = append(append(append(append(b, f.name...), ": "...), f.value...), "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// signedContent returns the content that SignedData carries, nil when it is a
// detached signature: ContentInfo{oid, [0]{SEQUENCE{version, digests,
// SEQUENCE{oid, [0]{OCTET STRING}}…}}}.
func signedContent(b []byte) (content []byte, ok bool) {
	outer, _, ok := berElement(b)
	if !ok || outer.tag != 0x30 {
		return nil, false
	}
	in := outer.body
	for _, tag := range []byte{0x06, 0xa0} {
		e, rest, ok := berElement(in)
		if !ok || e.tag != tag {
			return nil, false
		}
		in = rest
		if tag == 0xa0 {
			in = e.body
		}
	}
	seq, _, ok := berElement(in)
	if !ok || seq.tag != 0x30 {
		return nil, false
	}
	in = seq.body
	for _, tag := range []byte{0x02, 0x31} { // version, digestAlgorithms
		e, rest, ok := berElement(in)
		if !ok || e.tag != tag {
			return nil, false
		}
		in = rest
	}
	encap, _, ok := berElement(in)
	if !ok || encap.tag != 0x30 {
		return nil, false
	}
	_, rest, ok := berElement(encap.body)
	if !ok {
		return nil, false
	}
	if len(rest) == 0 {
		return nil, true
	}
	wrap, _, ok := berElement(rest)
	if !ok || wrap.tag != 0xa0 {
		return nil, false
	}
	return octets(wrap.body, nil, 0)
}

// octets joins an OCTET STRING, which BER may cut into pieces.
func octets(b, out []byte, depth int) ([]byte, bool) {
	for len(b) > 0 {
		e, rest, ok := berElement(b)
		switch {
		case !ok || depth > 4:
			return nil, false
		case e.tag == 0x04:
			out = append(out, e.body...)
		case e.tag == 0x24:
			if out, ok = octets(e.body, out, depth+1); !ok {
				return nil, false
			}
		default:
			return nil, false
		}
		b = rest
	}
	return out, true
}

type ber struct {
	tag  byte
	body []byte
}

// berElement cuts the first element off b; lengths may be indefinite.
//
// Source: X.690 8.1.
func berElement(b []byte) (e ber, rest []byte, ok bool) {
	if len(b) < 2 {
		return e, nil, false
	}
	e.tag = b[0]
	n, at := int(b[1]), 2
	switch {
	case n == 0x80:
		end, ok := indefinite(b[2:], 0)
		if !ok {
			return e, nil, false
		}
		e.body = b[2 : 2+end]
		return e, b[2+end+2:], true
	case n > 0x84:
		return e, nil, false
	case n > 0x80:
		k := n & 0x7f
		if len(b) < 2+k {
			return e, nil, false
		}
		n = 0
		for _, c := range b[2 : 2+k] {
			n = n<<8 | int(c)
		}
		at += k
	}
	if n < 0 || n > len(b)-at {
		return e, nil, false
	}
	e.body = b[at : at+n]
	return e, b[at+n:], true
}

// indefinite returns where the end-of-contents marks of an indefinite length
// stand.
func indefinite(b []byte, depth int) (int, bool) {
	const deepest = 16
	at := 0
	for {
		if len(b)-at < 2 || depth > deepest {
			return 0, false
		}
		if b[at] == 0 && b[at+1] == 0 {
			return at, true
		}
		if b[at+1] == 0x80 {
			end, ok := indefinite(b[at+2:], depth+1)
			if !ok {
				return 0, false
			}
			at += 2 + end + 2
			continue
		}
		_, rest, ok := berElement(b[at:])
		if !ok {
			return 0, false
		}
		at = len(b) - len(rest)
	}
}
