// Package sender is the pages on which the sender of a message says what becomes
// of it, by the link of their notice: of one that is held, to cancel it, have it
// sent encrypted instead, or ask for its release; of one that waits at the pickup
// pages, to take it back.
//
// It promises that looking changes nothing, and that nothing of the message is
// shown but for what kind of data it was held, to which domains it was to go, and
// by how many it was opened. It decides nothing itself: every act is the gateway's.
package sender
