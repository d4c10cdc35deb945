// Package audit keeps the tamper-evident log of what was decided, done and
// looked at.
//
// It promises that an event whose Append returned is on stable storage; that a
// line that was changed, taken out or put in, and a tail that was cut, shows
// in Verify; that a disk filling up stops others first; and that no event
// holds anything of a mail or a file. docs/audit.md has the bytes,
// docs/adr/0007-audit-log.md the reasons.
package audit
