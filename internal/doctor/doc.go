// Package doctor answers one question: is this installation sound?
//
// It promises that every check looks at the real thing, changes nothing that
// stays, ends within its bound, and says of what is not sound in one sentence
// what to do about it. What could not be looked at is never called sound.
package doctor
