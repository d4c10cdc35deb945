// Package policy decides: it turns what is known about one Document into a
// Verdict for each of its recipients.
//
// What it promises: Decide is pure (no clock, no I/O, the order of findings
// does not matter), the strictest of all policies that match wins, and
// whatever nobody foresaw comes out as Hold.
package policy
