// Package spool keeps accepted but unfinished work: the outbox.
//
// It promises that a message's recipients and text are sealed before they
// touch the disk, that what each recipient's next hop answered survives a
// crash once the Update that says so is committed, and that a retry is never
// put off without bound, whatever the clock does.
package spool
