package smime

import (
	"encoding/asn1"
	"errors"
)

// ErrCapabilities says that bytes are no SMIMECapabilities.
var ErrCapabilities = errors.New("smime: not a list of capabilities")

// Capabilities is what a recipient's program is known to read beyond what all
// do. The zero value knows of nothing.
type Capabilities struct {
	AES256GCM bool // AuthEnvelopedData, RFC 8551 2.7
	RSAOAEP   bool // with SHA-256, RFC 3560 and RFC 4055
}

// maxCapabilities bounds the list that is read, in bytes.
const maxCapabilities = 16 << 10

var (
	oidAES256GCM = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46} // RFC 5084 3.2
	oidOAEP      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}      // RFC 3560 5
	oidSHA256    = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}  // RFC 4055 2.1
)

// ParseCapabilities reads the value of the attribute smimeCapabilities of a
// signature, in DER. OAEP counts with SHA-256 only: a list that says OAEP alone
// promises SHA-1. ErrCapabilities.
//
// Source: RFC 8551 2.5.2; RFC 3560 5; RFC 4055 4.1.
func ParseCapabilities(der []byte) (Capabilities, error) {
	var list []struct {
		ID     asn1.ObjectIdentifier
		Params asn1.RawValue `asn1:"optional"`
	}
	if len(der) > maxCapabilities {
		return Capabilities{}, ErrCapabilities
	}
	if rest, err := asn1.Unmarshal(der, &list); err != nil || len(rest) > 0 {
		return Capabilities{}, ErrCapabilities
	}
	var c Capabilities
	for _, e := range list {
		switch {
		case e.ID.Equal(oidAES256GCM):
			c.AES256GCM = true
		case e.ID.Equal(oidOAEP):
			var params struct {
				Hash struct {
					ID     asn1.ObjectIdentifier
					Params asn1.RawValue `asn1:"optional"`
				} `asn1:"explicit,tag:0"`
				MGF    asn1.RawValue `asn1:"optional,explicit,tag:1"`
				Source asn1.RawValue `asn1:"optional,explicit,tag:2"`
			}
			_, err := asn1.Unmarshal(e.Params.FullBytes, &params)
			c.RSAOAEP = c.RSAOAEP || err == nil && params.Hash.ID.Equal(oidSHA256)
		}
	}
	return c, nil
}
