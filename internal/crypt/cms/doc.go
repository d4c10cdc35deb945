// Package cms writes what S/MIME is made of: signatures and envelopes of the
// Cryptographic Message Syntax (RFC 5652, RFC 5083).
//
// It promises that what it writes is opened by programs that know the
// algorithms, and that no weak one is among them: AES-256 for content, RSA of
// 2048 bits or more or ECDH on NIST curves for keys, SHA-256 or more for
// signatures. Of what it reads, the envelopes that tell whether they were altered
// (Open), nothing comes out before all of it is proved.
//
// docs/adr/0033-cms-envelope.md says why this is our own, and what opens it.
package cms
