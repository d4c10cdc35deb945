// Package openpgp encrypts mail to OpenPGP keys, as PGP/MIME.
//
// It promises that what Encrypt writes is a complete new message which any
// OpenPGP program opens that holds one of the keys, that nothing but the
// header's outline stands outside of what is encrypted, and that no message is
// encrypted to a key that has expired, is revoked or is not made for it.
//
// Sources: RFC 3156 (PGP/MIME), RFC 9580 with keys of version 4 as RFC 4880 has
// them, RFC 9788 (header protection).
package openpgp
