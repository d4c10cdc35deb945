// Package smime makes S/MIME mail: a message signed, then encrypted, its header
// protected.
//
// It promises that nothing of the message but what message.Protect leaves
// outside stands in what it writes, and that a certificate that Check let pass
// can be encrypted to.
package smime
