// Package dlp holds the nouns that every station of the road shares:
// Document, Part, Gap, Finding, Verdict, Action and Outcome. It has types and
// constants on the standard library only, and does no I/O.
//
// The zero value of each is the careful one: the zero Action is Hold, the zero
// Cause is Corrupt, the zero OutcomeKind is TryAgain.
package dlp
