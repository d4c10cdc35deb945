// Package portal is the pickup pages: what a recipient who has no other way
// opens in a browser.
//
// It promises that a GET changes and sends nothing, that what it answers about
// a message that is unknown, over or taken back is the same sentence, and that
// the content leaves the server as it is sealed: the key is in the reader's
// browser alone.
package portal
