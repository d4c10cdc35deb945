// Package ways chooses, for each recipient, the way on which a mail goes to
// them encrypted.
//
// It promises that a way is chosen only where everything it needs is there and
// valid at that moment, that why another was passed over can be told in a word
// of a closed set, and that what is chosen never is to send in the clear.
package ways
