// Package pickup keeps messages that somebody opens in a browser.
//
// It promises that what it keeps of a message is sealed under a key that is in
// the link alone, so that the server by itself cannot read it; that a code
// opens it once, within minutes, in few tries; and that an ended parcel has no
// content.
package pickup
