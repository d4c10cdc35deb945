// Package siem tells the site's SIEM of what was held, refused, encrypted and
// released, and of alarms.
//
// It promises that nothing leaves that is not on the audit log, and of that
// only the fields that docs/notify.md lists; that each event it is to send
// reaches a receiver at least once, in the order of the log, under an id that
// stays the same; and that a receiver that is slow or down holds up nobody. It
// keeps no copy of events: it reads the audit log on from a place that it keeps
// on disk for each receiver.
package siem
