package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/stanch-dlp/stanch/smtp"
)

// milterMaps warns of tables that take stanch's milter from some clients: what
// stands there for a client's address counts in place of smtpd_milters, and DISABLE
// is none. The tables themselves are not read. Where mail comes to stanch by another
// way besides, they take nothing from it.
//
// Source: postconf(5), smtpd_milter_maps (Postfix 3.2).
func milterMaps(d Doors, p Postconf) (out []Finding) {
	const param = "smtpd_milter_maps"
	listens := d.listens()
	if pointsAt(p.Main["relayhost"], listens) || pointsAt(p.Main["default_transport"], listens) {
		return nil
	}
	at := func(service string) {
		maps := p.value(service, param)
		if maps == "" || !pointsAt(p.value(service, "smtpd_milters"), d.Milters) || behind(d.SMTP, service) ||
			pointsAt(p.value(service, "smtpd_proxy_filter"), listens) || pointsAt(p.value(service, "content_filter"), listens) {
			return
		}
		object, line := param, fmt.Sprintf("`postconf -e '%s ='`", param)
		if _, own := p.Override[service][param]; own {
			object, line = service+" "+param, fmt.Sprintf("`postconf -P '%s/%s='`", service, param)
		}
		f := poor(object, "its tables overrule smtpd_milters for the clients they name: where one says DISABLE, or names other milters, mail of that client goes round stanch",
			fmt.Sprintf("Run %s and `postfix reload`; or see that in %s nothing says DISABLE and each result names stanch's milter, or leave it if nothing of those clients leaves.", line, maps))
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	if len(p.Services) == 0 {
		at("")
	}
	for _, s := range p.Services {
		at(s)
	}
	return out
}

// traceRoom is how much larger a message may come back than it went to stanch, by
// trace fields: Postfix's own Received too, with names of 255 bytes.
const traceRoom = 4 << 10

// leavesRoom compares what a Postfix takes from its clients with what it takes back
// from stanch, in the listener behind it and in that listener's cleanup(8).
func leavesRoom(c smtp.Config, p Postconf) []Finding {
	const object = "message_size_limit"
	doors := Doors{SMTP: c}.listens()
	var most int64 // that clients may send to stanch; -1: any size
	for _, s := range p.Services {
		if behind(c, s) || !pointsAt(p.value(s, "content_filter"), doors) && !pointsAt(p.value(s, "smtpd_proxy_filter"), doors) {
			continue
		}
		n, err := strconv.ParseInt(p.value(s, object), 10, 64)
		switch {
		case err != nil:
			return nil // sizes has told of it
		case n == 0:
			most = -1
		case most >= 0:
			most = max(most, n)
		}
	}
	if most == 0 {
		return nil
	}
	var out []Finding
	for _, s := range p.Services {
		if !behind(c, s) {
			continue
		}
		least := int64(0) // that it takes back; 0: any size
		for _, of := range []string{s, cmp.Or(p.value(s, "cleanup_service_name"), "cleanup") + "/unix"} {
			if n, err := strconv.ParseInt(p.value(of, object), 10, 64); err == nil && n > 0 && (least == 0 || n < least) {
				least = n
			}
		}
		if least == 0 || most > 0 && least >= most+traceRoom {
			out = append(out, good(s+" "+object, "what comes back from stanch is never too large for Postfix"))
			continue
		}
		out = append(out, poor(s+" "+object, fmt.Sprintf("the largest messages that Postfix takes are refused when they come back from stanch, which puts trace fields in front: %s is the limit there", size(uint64(least))),
			fmt.Sprintf("Run `postconf -M 'stanch-cleanup/unix=stanch-cleanup unix n - y - 0 cleanup -o message_size_limit=0'`, "+
				"`postconf -P '%[1]s/cleanup_service_name=stanch-cleanup'`, `postconf -P '%[1]s/message_size_limit=0'` and `postfix reload`.", s)))
	}
	return out
}
