package cms

import "encoding/asn1"

var (
	oidData               = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}         // RFC 5652 4
	oidSignedData         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}         // RFC 5652 5.1
	oidEnvelopedData      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}         // RFC 5652 6.1
	oidAuthEnvelopedData  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 23} // RFC 5083 2
	oidContentType        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}         // RFC 5652 11.1
	oidMessageDigest      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}         // RFC 5652 11.2
	oidSigningTime        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}         // RFC 5652 11.3
	oidSigningCertificate = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47} // RFC 5035 3, version 2
	oidSMIMECapabilities  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 15}        // RFC 8551 2.5.2

	oidEncryptionKeyPreference = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 11} // RFC 8551 2.5.3

	oidRSA             = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}      // RFC 3370 4.2.1
	oidOAEP            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}      // RFC 4055 4.1
	oidMGF1            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}      // RFC 4055 2.2
	oidSHA256WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}     // RFC 5754 3.2
	oidSHA384WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}     // RFC 5754 3.2
	oidSHA512WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}     // RFC 5754 3.2
	oidPSS             = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}     // RFC 4056 3
	oidECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}       // RFC 5754 3.3
	oidECDSAWithSHA384 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}       // RFC 5754 3.3
	oidECDSAWithSHA512 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}       // RFC 5754 3.3
	oidECPublicKey     = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}          // RFC 5753 7.1.2
	oidStdDHSHA256KDF  = asn1.ObjectIdentifier{1, 3, 132, 1, 11, 1}             // RFC 5753 7.1.4
	oidSHA256          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}  // RFC 5754 2.2
	oidSHA384          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}  // RFC 5754 2.3
	oidSHA512          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}  // RFC 5754 2.4
	oidAES256CBC       = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42} // RFC 3565 2.1
	oidAES256Wrap      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 45} // RFC 3565 2.3.2
	oidAES256GCM       = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 46} // RFC 5084 3.2
)
