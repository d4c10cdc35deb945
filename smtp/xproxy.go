package smtp

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp/proxyproto"
)

// proxyTimeout is how long a proxy may take for its header; it has it at hand.
const proxyTimeout = 10 * time.Second

// Origin is where a message comes from, as it is told to a next hop that takes
// XFORWARD, for its log. "" is not known. PHI: a name or a HELO may tell of a
// person's device.
//
// Source: https://www.postfix.org/XFORWARD_README.html
type Origin struct {
	Name, Addr, Port, Proto, Helo, Ident, Source string
}

const (
	unavailable = "[UNAVAILABLE]"
	tempUnavail = "[TEMPUNAVAIL]"
	maxOrigin   = 255 // bytes of a value, once decoded
)

// attributes are the names of both commands that are read here; DESTADDR and
// DESTPORT say nothing that matters.
const (
	xclientNames  = "NAME REVERSE_NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"
	xforwardNames = "NAME ADDR PORT PROTO HELO IDENT SOURCE"
)

// decided are the attributes of XCLIENT on which something hangs here. One that
// cannot be read is an error; any other is then not known.
const decided = "ADDR PORT PROTO LOGIN DESTADDR DESTPORT"

// parseAttributes reads NAME=value pairs, each once, values in xtext. One that
// the proxy could not find out, or that cannot be told, is "": Postfix passes on
// what a client calls itself, and takes a refusal of it for one of the message.
// A control character is an error, and so is a value of strict that cannot be told.
func parseAttributes(arg, names, strict string) (map[string]string, error) {
	known, strictly := strings.Fields(names), strings.Fields(strict)
	out := map[string]string{}
	fields := strings.FieldsFunc(arg, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(fields) == 0 {
		return nil, errSyntax
	}
	for _, f := range fields {
		key, value, ok := strings.Cut(f, "=")
		key = upper(key)
		v, decoded := decodeXtext(value)
		_, twice := out[key]
		if !ok || twice || !slices.Contains(known, key) || hasControls(v) {
			return nil, errSyntax
		}
		if !decoded || len(v) > maxOrigin || !isPrintable(v) || strings.ContainsAny(v, "<>()\\\";,@") && key != "LOGIN" {
			if slices.Contains(strictly, key) {
				return nil, errSyntax
			}
			v = ""
		}
		if u := upper(v); u == unavailable || u == tempUnavail {
			v = ""
		}
		out[key] = v
	}
	return out, nil
}

// hasControls reports control characters of ASCII.
func hasControls(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// parseClientAddr reads an address as both commands write it.
func parseClientAddr(s string) (netip.Addr, bool) {
	const tag = "IPV6:"
	if len(s) > len(tag) && upper(s[:len(tag)]) == tag {
		a, err := netip.ParseAddr(s[len(tag):])
		return a.Unmap(), err == nil && a.Is6() && a.Zone() == ""
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap(), err == nil && a.Zone() == ""
}

// speaksForOthers reports whether the client may name another. Once it has done
// so, it is that other who speaks: a proxy that passes commands on unread does
// not pass its trust on with them.
func (x *session) speaksForOthers() bool { return within(x.srv.xclients, x.client) }

// told reads what another is said to be; nil, and why not, from one who may not
// say it, or not now.
func (x *session) told(arg, names, strict string) (map[string]string, dlp.Reply) {
	switch {
	case !x.speaksForOthers():
		return nil, replyNotTrusted
	case x.tx != nil:
		return nil, replySequence
	}
	attrs, err := parseAttributes(arg, names, strict)
	if err != nil {
		return nil, toReply(err)
	}
	return attrs, dlp.Reply{}
}

// xclient answers XCLIENT of a trusted proxy: from here on the session is that
// of the client it names. A login the proxy has checked counts as one here.
//
// Source: https://www.postfix.org/XCLIENT_README.html
func (x *session) xclient(ctx context.Context, arg string) bool {
	attrs, r := x.told(arg, xclientNames, decided)
	if attrs == nil {
		return x.fault(r)
	}
	client := x.client
	if s, named := attrs["ADDR"]; named {
		var ok bool
		client, ok = parseClientAddr(s) // not known: the zero Addr, which is in no network
		if s != "" && !ok {
			return x.fault(toReply(errSyntax))
		}
		if !x.vouched { // what the proxy itself logged in as is not its client's
			x.user = ""
		}
	}
	if login, ok := attrs["LOGIN"]; ok {
		x.user, x.vouched = login, login != ""
	}
	if r := x.become(client, attrs["LOGIN"] != ""); r.Code != 0 {
		x.reply(r)
		x.linger = true
		return false
	}
	x.helo, x.esmtp, x.origin = "", false, Origin{}
	x.name, x.port = attrs["NAME"], attrs["PORT"]
	x.srv.d.Log.LogAttrs(ctx, slog.LevelDebug, "client told by a proxy")
	x.reply(x.greeting())
	return true
}

// become makes client the one whom limits and networks are about. A reply says
// why it may not be.
func (x *session) become(client netip.Addr, loggedIn bool) dlp.Reply {
	if !loggedIn && !x.srv.enters(x.door, client) {
		return replyDenied
	}
	if !x.srv.move(x, client) {
		return replyBusyClient
	}
	return dlp.Reply{}
}

// xforward answers XFORWARD of a trusted proxy: what the next message's next
// hop is told for its log. It changes nobody's rights.
func (x *session) xforward(arg string) bool {
	attrs, r := x.told(arg, xforwardNames, "")
	if attrs == nil {
		return x.fault(r)
	}
	for key, v := range attrs {
		switch key {
		case "NAME":
			x.origin.Name = v
		case "ADDR":
			x.origin.Addr = v
		case "PORT":
			x.origin.Port = v
		case "PROTO":
			x.origin.Proto = v
		case "HELO":
			x.origin.Helo = v
		case "IDENT":
			x.origin.Ident = v
		case "SOURCE":
			x.origin.Source = v
		}
	}
	x.reply(replyOK)
	return true
}

// takeOrigin returns what a next hop is told of where the next message comes
// from: what a proxy said, else this session's own client.
func (x *session) takeOrigin() Origin {
	if o := x.origin; o != (Origin{}) {
		x.origin = Origin{}
		o.Name, o.Helo, o.Ident = tellable(o.Name), tellable(o.Helo), tellableIdent(o.Ident)
		return o
	}
	addr := ""
	switch {
	case x.client.Is6():
		addr = "IPV6:" + x.client.String()
	case x.client.IsValid():
		addr = x.client.String()
	}
	return Origin{Name: tellable(x.name), Addr: addr, Port: x.port, Proto: with{lmtp: x.door.Protocol == DoorLMTP, extended: x.esmtp}.String(), Helo: tellable(x.helo), Source: "REMOTE"}
}

// tellableIdent returns an IDENT where it is a name of one word with few digits,
// as local ids of a queue seldom are; "" for any other.
func tellableIdent(s string) string {
	if tellable(s+".x") == "" {
		return ""
	}
	return s
}

// proxied reads the header of a proxy in front of the door. A connection
// without a proper one is closed without a word.
func (x *session) proxied(ctx context.Context) bool {
	if !x.door.Proxy {
		return true
	}
	x.limit = time.Now().Add(proxyTimeout)
	if x.wait() != nil { // stopping, or closed already
		return false
	}
	ap, local, err := proxyproto.Read(x.conn)
	if err != nil {
		x.srv.d.Log.LogAttrs(ctx, slog.LevelInfo, "connection without a PROXY header closed")
		return false
	}
	if local || ap.Addr() == x.client.Unmap() { // the proxy speaks for itself: HAProxy's health check, version 2 and 1
		return true
	}
	r := dlp.Reply{}
	switch {
	case ap.IsValid():
		r, x.port = x.become(ap.Addr(), false), portText(ap.Port())
	case !x.srv.move(x, netip.Addr{}): // not known: answered, since old health checks say so too, and in no network
		r = replyBusyClient
	}
	if r.Code != 0 {
		x.reply(r)
		x.linger = true
		return false
	}
	return true
}
