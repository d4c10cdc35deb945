// Package strict seals contents and keys by what FIPS 140 approves alone: keys in
// envelopes of CMS, for keys on P-384 and for certificates, contents by
// AES-256-GCM in chunks.
//
// It promises that a content opens only as what it was sealed for, that nothing of
// an altered chunk comes out, and that the key of one content opens no other.
// docs/vault.md says which bytes.
package strict
