// Package files encrypts a watched folder's files for those whom its
// configuration names: with age, OpenPGP or CMS.
//
// It promises that what it writes is opened by any program of its format that
// holds one of the recipients' keys, that an altered one does not open, and that
// nothing is encrypted to a key that is revoked, expired or not made for it.
package files
