// Package pdf writes a mail as one encrypted PDF: its text on pages, its
// attachments embedded.
//
// It promises that everything in the file but its structure is encrypted with
// AES-256 by revision 6 of the standard security handler, whatever the message
// is; that no letter is shown as another, or left out unsaid: what the font does
// not have is in an embedded text file, and the page says so; and that no part of
// the message is lost.
//
// It reads no PDF: docs/adr/0046-encrypted-pdf.md says why it is our own.
//
// Source: ISO 32000-2 (PDF 2.0).
package pdf
