// Package sender is the page on which the sender of a held message says what
// becomes of it, by the link of their notice: cancel it, have it sent encrypted
// instead, or ask for its release.
//
// It promises that looking changes nothing, and that nothing of the message is
// shown but for what kind of data it was held and to which domains it was to go.
// It decides nothing itself: every act is the gateway's.
package sender
