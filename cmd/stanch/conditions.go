package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/smtp"
)

// conditions is how the gateway's pieces fare, for the dashboard.
func (s *server) conditions(ctx context.Context) []console.Condition {
	var out []console.Condition
	add := func(name string, well bool, value, more string) {
		out = append(out, console.Condition{Name: name, Well: well, Value: value, More: more})
	}
	for name, down := range s.hops.Down() {
		if name == "" {
			name = s.cfg.SMTP.NextHop
		}
		if down == 0 {
			add("Next hop "+name, true, "reached", "")
		} else {
			add("Next hop "+name, false, fmt.Sprintf("%d down", down), "Hosts that could not be reached when they were last wanted.")
		}
	}
	waiting := map[spool.State]int{}
	well := true
	for _, st := range []spool.State{spool.Queued, spool.ToRead, spool.Poison} {
		n, err := s.db.QueueCount(ctx, st)
		waiting[st], well = n, well && err == nil
	}
	add("Outbox", well && waiting[spool.Poison] == 0, fmt.Sprintf("%d waiting", waiting[spool.Queued]), fmt.Sprintf("%d to be read on, %d set aside (stanch queue list)", waiting[spool.ToRead], waiting[spool.Poison]))
	if s.watcher != nil {
		for _, r := range s.watcher.Status() {
			switch {
			case !r.Open:
				add("Watch "+r.Path, false, "not open", "The folder cannot be opened.")
			case r.Unwatched > 0:
				add("Watch "+r.Path, false, "walks alone", fmt.Sprintf("%d folders give no events: files in them are found by walks.", r.Unwatched))
			case r.Walks == 0:
				add("Watch "+r.Path, true, "first walk", fmt.Sprintf("%d files wait", r.Pending))
			default:
				add("Watch "+r.Path, true, fmt.Sprintf("%d waiting", r.Pending), "Last walked "+r.Reconciled.UTC().Format("2 Jan 15:04 UTC"))
			}
		}
	}
	if err := s.audit.Ready(); err != nil {
		add("Audit log", false, "not writable", "Nothing is decided until it is.")
	} else {
		add("Audit log", true, "written", "`stanch audit verify` proves it.")
	}
	room, ok := free(s.cfg.DataDir)
	add("Disk of data_dir", ok && room >= uint64(s.cfg.Metrics.MinFree), fmt.Sprintf("%.1f GB free", float64(room)/1e9), "")
	if j := s.inForce(); j != nil {
		add("Rules", true, fmt.Sprintf("%d", len(j.set.Rules())), fmt.Sprintf("digest %.12s", j.set.Digest()))
	} else {
		add("Rules", false, "none", "Nothing can be read: senders are to try again.")
	}
	if !s.cfg.Scan.Enabled {
		add("Scanning", false, "off", "Everything passes unread.")
	}
	if alarms := s.health.Raised(); len(alarms) > 0 {
		add("Alarms", false, fmt.Sprintf("%d", len(alarms)), strings.ReplaceAll(strings.Join(alarms, ", "), "_", " "))
	}
	return out
}

// probed tells of each way out that is tried.
func (s *server) probed() []console.Probed {
	if s.probes == nil {
		return nil
	}
	var out []console.Probed
	for _, r := range s.probes.List() {
		state := string(r.Result)
		if state == "" {
			state = "not tried yet"
		}
		out = append(out, console.Probed{Route: r.Route, LastCaught: r.LastCaught, State: state, Alarm: r.Alarm})
	}
	return out
}

// persons returns the keyed pseudonyms under which the audit log may know an
// address: in small letters, and as it was typed, which older events have.
func (s *server) persons(address string) ([]string, error) {
	a, err := smtp.ParseAddress(address)
	if err != nil {
		return nil, errNotRead
	}
	typed := a.String()
	out := []string{s.ring.Pseudonym(gateway.AddressKind, dlp.FoldAddress(typed))}
	if dlp.FoldAddress(typed) != typed {
		out = append(out, s.ring.Pseudonym(gateway.AddressKind, typed))
	}
	return out, nil
}
