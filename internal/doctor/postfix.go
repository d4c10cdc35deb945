package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/smtp"
)

// scanMargin is how much longer than scan_timeout Postfix must wait: taking the
// message over, recording it, and answering.
const scanMargin = 15 * time.Second

// Postconf is what a Postfix is set to, as postconf(1) prints it.
type Postconf struct {
	Main     map[string]string            // parameters in effect
	Override map[string]map[string]string // by service, as "smtp/inet": parameters that master.cf sets for it
	Services []string                     // of master.cf, as "smtp/inet", that run smtpd
}

// maxPostconf bounds what is read of postconf, in bytes.
const maxPostconf = 1 << 20

// ReadPostconf asks the Postfix of this machine, or with dir the one whose
// configuration lies there. program is the postconf to run.
func ReadPostconf(ctx context.Context, program, dir string) (Postconf, error) {
	var text strings.Builder
	for _, args := range [][]string{{"-x"}, {"-P"}, {"-M"}} {
		if dir != "" {
			args = append([]string{"-c", dir}, args...)
		}
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.WaitDelay = time.Second
		out, err := cmd.Output()
		if err != nil {
			return Postconf{}, fmt.Errorf("doctor: postconf %s: %w", strings.Join(args, " "), err)
		}
		text.Write(out)
		if text.Len() > maxPostconf {
			return Postconf{}, errors.New("doctor: postconf prints more than a configuration")
		}
	}
	return ParsePostconf(text.String()), nil
}

var masterLine = regexp.MustCompile(`^(\S+)\s+(inet|unix|fifo|pass)\s+\S+\s+\S+\s+\S+\s+\S+\s+\S+\s+(\S+)`)

// ParsePostconf reads what `postconf -x`, `postconf -P` and `postconf -M`
// print, in any order.
func ParsePostconf(text string) Postconf {
	p := Postconf{Main: map[string]string{}, Override: map[string]map[string]string{}}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if m := masterLine.FindStringSubmatch(line); m != nil {
			if m[3] == "smtpd" {
				p.Services = append(p.Services, m[1]+"/"+m[2])
			}
			continue
		}
		name, value, ok := strings.Cut(line, " =")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		if i := strings.LastIndexByte(name, '/'); i > 0 {
			service := name[:i]
			if p.Override[service] == nil {
				p.Override[service] = map[string]string{}
			}
			p.Override[service][name[i+1:]] = value
			continue
		}
		p.Main[name] = value
	}
	return p
}

// postfixTime reads a time such as "100s" or "5m".
//
// Source: postconf(5), "time values": s, m, h, d or w; seconds where none.
func postfixTime(s string) (time.Duration, bool) {
	unit := time.Second
	switch {
	case s == "":
		return 0, false
	case strings.HasSuffix(s, "m"):
		unit = time.Minute
	case strings.HasSuffix(s, "h"):
		unit = time.Hour
	case strings.HasSuffix(s, "d"):
		unit = 24 * time.Hour
	case strings.HasSuffix(s, "w"):
		unit = 7 * 24 * time.Hour
	}
	n, err := strconv.ParseInt(strings.TrimRight(s, "smhdw"), 10, 32)
	return time.Duration(n) * unit, err == nil
}

// Doors are stanch's own, as a Postfix could name them.
type Doors struct {
	SMTP    smtp.Config
	Milters []string // host:port, or the path of a socket
}

func (d Doors) listens() []string {
	var out []string
	for _, door := range d.SMTP.AllDoors() {
		out = append(out, door.Listen)
	}
	return out
}

// Postfix compares a Postfix beside stanch with what stanch promises: that it
// waits long enough, sends what stanch takes, and does not go round it.
func Postfix(d Doors, read func(context.Context) (Postconf, error)) Check {
	return Check{Name: "postfix", Within: 20 * time.Second, Run: func(ctx context.Context) []Finding {
		p, err := read(ctx)
		if err != nil {
			return []Finding{poor("postconf", "does not answer: "+plain(err), "Run this as a user that may run postconf, or give its output with --postconf FILE.")}
		}
		return comparePostfix(d, p)
	}}
}

// use is one way in which a Postfix hands mail to stanch.
type use struct {
	param   string // "relayhost"
	service string // of master.cf; "" for main.cf
	limit   string // the parameter that bounds its wait
	what    string
}

func comparePostfix(d Doors, p Postconf) []Finding {
	var out []Finding
	found := false
	for _, u := range []use{
		{param: "relayhost", limit: "smtp_data_done_timeout", what: "sends what leaves through stanch"},
		{param: "default_transport", limit: "smtp_data_done_timeout", what: "sends what leaves through stanch"},
		{param: "content_filter", limit: "smtp_data_done_timeout", what: "sends everything through stanch after its queue"},
		{param: "smtpd_proxy_filter", limit: "smtpd_proxy_timeout", what: "has stanch judge before its queue"},
		{param: "smtpd_milters", limit: "milter_content_timeout", what: "asks stanch's milter before its queue"},
		{param: "non_smtpd_milters", limit: "milter_content_timeout", what: "asks stanch's milter about local mail"},
	} {
		doors := d.listens()
		milter := strings.HasSuffix(u.param, "_milters")
		if milter {
			doors = d.Milters
		}
		for _, service := range p.servicesWith(u.param, doors) {
			found = true
			u.service = service
			if f, overruled := p.overruled(u, doors); overruled {
				out = append(out, f)
				continue
			}
			out = append(out, good(u.object(), "Postfix %s", u.what))
			if milter {
				out = append(out, asksMilters(p, u, doors)...)
			} else {
				out = append(out, waits(d.SMTP, p, u))
			}
			if f, ok := circle(d.SMTP, p, u); ok {
				out = append(out, f)
			}
		}
	}
	if !found {
		doors := d.listens()
		if len(doors) == 0 {
			return []Finding{good("postfix", "the Postfix here is none of stanch's: there is no mail door, and none of its milters is stanch's")}
		}
		return []Finding{poor("postfix", "the Postfix here sends nothing through stanch by relayhost, content_filter, smtpd_proxy_filter or smtpd_milters",
			fmt.Sprintf("Run `postconf -e 'relayhost = %s'` and `postfix reload`, or see docs/postfix.md; a transport map is not looked at.", bracketed(doors[0])))}
	}
	out = append(append(out, goesRound(d, p)...), sizes(d.SMTP, p))
	return append(append(out, milterMaps(d, p)...), leavesRoom(d.SMTP, p)...)
}

// overruled tells where default_transport leads what leaves elsewhere: relayhost is
// for a transport that names no next hop of its own, and error and its like have
// none.
//
// Source: postconf(5), default_transport and relayhost; error(8), discard(8).
func (p Postconf) overruled(u use, doors []string) (Finding, bool) {
	transport := strings.TrimSpace(p.value(u.service, "default_transport"))
	name, hop, _ := strings.Cut(transport, ":")
	ends := name == "error" || name == "retry" || name == "discard"
	if u.param != "relayhost" || transport == "" || !ends && (hop == "" || pointsAt(transport, doors)) {
		return Finding{}, false
	}
	found := fmt.Sprintf("is not used, since default_transport = %s sends what leaves elsewhere", transport)
	if ends {
		found = fmt.Sprintf("is not used, since default_transport = %s: nothing leaves (so Debian sets it up for \"Local only\")", transport)
	}
	return bad(u.object(), found, "Run `postconf -X default_transport` and `postfix reload`; where relay_transport is set as well, take it out with it."), true
}

func (u use) object() string {
	if u.service != "" {
		return u.service + " " + u.param
	}
	return u.param
}

// value is a parameter as service has it.
func (p Postconf) value(service, name string) string {
	if v, ok := p.Override[service][name]; ok {
		return v
	}
	return p.Main[name]
}

// servicesWith lists where param names one of doors: "" for main.cf, or
// services of master.cf.
func (p Postconf) servicesWith(param string, doors []string) []string {
	var out []string
	if pointsAt(p.Main[param], doors) {
		out = append(out, "")
	}
	for _, s := range p.Services {
		if v, ok := p.Override[s][param]; ok && pointsAt(v, doors) {
			out = append(out, s)
		}
	}
	return out
}

// pointsAt reports whether a Postfix value such as "smtp:[127.0.0.1]:2525" or
// "inet:localhost:9900, unix:/run/x" names one of doors.
func pointsAt(value string, doors []string) bool {
	for _, word := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(", \t{}", r) }) {
		host, port := lastHostPort(word)
		for _, d := range doors {
			if strings.HasPrefix(d, "/") && strings.HasSuffix(word, ":"+d) {
				return true
			}
			dhost, dport, err := net.SplitHostPort(d)
			if err != nil || host == "" || port != dport {
				continue
			}
			if strings.EqualFold(host, dhost) || sameHost(host, dhost) || host == "localhost" && sameHost("127.0.0.1", dhost) {
				return true
			}
		}
	}
	return false
}

// lastHostPort takes "[TRANSPORT:]HOST:PORT" apart, the host with or without
// brackets.
func lastHostPort(word string) (host, port string) {
	i := strings.LastIndexByte(word, ':')
	if i < 0 {
		return "", ""
	}
	host, port = word[:i], word[i+1:]
	if inner, ok := strings.CutSuffix(host, "]"); ok {
		return inner[strings.LastIndexByte(inner, '[')+1:], port
	}
	return host[strings.LastIndexByte(host, ':')+1:], port
}

// waits compares how long Postfix waits for stanch's answer with how long that
// may take.
func waits(c smtp.Config, p Postconf, u use) Finding {
	limit, ok := postfixTime(p.value(u.service, u.limit))
	object := u.limit
	if !ok {
		return poor(object, "is not told by postconf", "Run `postconf "+u.limit+"` and see that it is above scan_timeout.")
	}
	scan, answer := c.ScanTimeout.D(), c.AnswerTimeout.D()
	line := fmt.Sprintf("`postconf -e '%s = %ds'` and `postfix reload`", u.limit, int((answer + 30*time.Second).Seconds()))
	if u.service != "" && p.Override[u.service][u.limit] != "" {
		line = fmt.Sprintf("`postconf -P '%s/%s=%ds'` and `postfix reload`", u.service, u.limit, int((answer + 30*time.Second).Seconds()))
	}
	switch {
	case limit < scan+scanMargin:
		return bad(object, fmt.Sprintf("Postfix waits %s, and reading alone may take smtp.scan_timeout = %s: it gives up and sends again what stanch then has twice", limit, scan),
			fmt.Sprintf("Run %s, or set smtp.scan_timeout = %q.", line, (max(limit-2*scanMargin, limit/2)).String()))
	case limit < answer:
		return poor(object, fmt.Sprintf("Postfix waits %s; reading may take smtp.scan_timeout = %s and the next hop's answer up to smtp.answer_timeout = %s in all", limit, scan, answer),
			fmt.Sprintf("Run %s, or set smtp.answer_timeout = %q.", line, (limit-scanMargin).String()))
	}
	return good(object, "Postfix waits %s, stanch answers within %s", limit, answer)
}

// milterPatience is how long a Postfix must wait for word from the milter door,
// which says each ten seconds that work goes on.
const milterPatience = 30 * time.Second

// asksMilters looks at each of doors in the list of u: how long Postfix waits for
// it, and what becomes of mail while it does not answer.
func asksMilters(p Postconf, u use, doors []string) (out []Finding) {
	for _, m := range milterList(p.value(u.service, u.param)) {
		if !pointsAt(m, doors) {
			continue
		}
		own := ownSettings(m)
		out = append(out, waitsForMilter(p, u, own["content_timeout"]), milterAction(p, u, own["default_action"]))
	}
	return out
}

// milterList takes a list of milters apart. One with settings of its own stands in
// braces and comes without them.
//
// Source: Postfix MILTER_README, "Per-Milter settings".
func milterList(value string) (list []string) {
	depth, from := 0, 0
	cut := func(to int) {
		if m := strings.TrimSpace(value[from:to]); m != "" {
			list = append(list, m)
		}
		from = to + 1
	}
	for i, c := range value {
		switch {
		case c == '{':
			if depth++; depth == 1 {
				cut(i)
			}
		case c == '}' && depth > 0:
			if depth--; depth == 0 {
				cut(i)
			}
		case depth == 0 && strings.ContainsRune(", \t", c):
			cut(i)
		}
	}
	cut(len(value))
	return list
}

var ownSetting = regexp.MustCompile(`([a-z_]+)\s*=\s*([^\s,{}]+)`)

// ownSettings are those of one milter, which win over milter_NAME: "NAME=value" or
// "{ NAME = value }" behind its address.
func ownSettings(milter string) map[string]string {
	own := map[string]string{}
	for _, m := range ownSetting.FindAllStringSubmatch(milter, -1) {
		own[m[1]] = m[2]
	}
	return own
}

func waitsForMilter(p Postconf, u use, own string) Finding {
	object, value, remedy := "milter_content_timeout", p.value(u.service, u.limit), "Run `postconf -e 'milter_content_timeout = 300s'` and `postfix reload`."
	if own != "" {
		object, value, remedy = u.object()+" content_timeout", own, "Take content_timeout out of the braces in "+u.object()+", or say content_timeout=300s, and `postfix reload`."
	}
	limit, ok := postfixTime(value)
	switch {
	case !ok:
		return poor(object, "is not told by postconf", "Run `postconf "+u.limit+"` and see that it is above 30s.")
	case limit < milterPatience:
		return bad(object, fmt.Sprintf("Postfix waits %s for word that work goes on, which comes each 10s", limit), remedy)
	}
	return good(object, "Postfix waits %s for word that work goes on, which comes each 10s", limit)
}

func milterAction(p Postconf, u use, own string) Finding {
	object, action, remedy := "milter_default_action", p.value(u.service, "milter_default_action"), "Run `postconf -e 'milter_default_action = tempfail'` and `postfix reload`."
	if own != "" {
		object, action, remedy = u.object()+" default_action", own, "Say default_action=tempfail in the braces in "+u.object()+", and `postfix reload`."
	}
	if action == "accept" {
		return bad(object, "is accept: when stanch does not answer, mail leaves unread", remedy)
	}
	return good(object, "is %s: when stanch does not answer, nothing leaves unread", action)
}

// goesRound warns of each smtpd that hands nothing to stanch while another does. What
// relayhost or default_transport leads through stanch is read whichever way it came.
func goesRound(d Doors, p Postconf) (out []Finding) {
	listens := d.listens()
	if pointsAt(p.Main["relayhost"], listens) || pointsAt(p.Main["default_transport"], listens) {
		return nil
	}
	var round []string
	param, value := "", "" // by which another service does
	for _, s := range p.Services {
		through := false
		for _, name := range []string{"smtpd_milters", "smtpd_proxy_filter", "content_filter"} {
			doors := listens
			if name == "smtpd_milters" {
				if doors = d.Milters; strings.Contains(p.value(s, "receive_override_options"), "no_milters") {
					continue
				}
			}
			if v := p.value(s, name); pointsAt(v, doors) {
				through, param, value = true, name, v
				break
			}
		}
		if !through && !behind(d.SMTP, s) {
			round = append(round, s)
		}
	}
	if param == "" {
		return nil
	}
	for _, s := range round {
		out = append(out, poor(s, "what it takes goes round stanch, to which another smtpd of this Postfix hands its mail",
			fmt.Sprintf("Run `postconf -P '%s/%s=%s'` and `postfix reload`, and take no_milters out of its receive_override_options; or leave it if nothing that leaves comes in there.", s, param, value)))
	}
	return out
}

func sizes(c smtp.Config, p Postconf) Finding {
	const object = "message_size_limit"
	n, err := strconv.ParseInt(p.Main[object], 10, 64)
	ours := int64(c.MaxMessageSize)
	switch {
	case err != nil:
		return poor(object, "is not told by postconf", "Run `postconf message_size_limit`.")
	case n == 0 || n > ours:
		said := size(uint64(n))
		if n == 0 {
			said = "messages of any size"
		}
		return poor(object, fmt.Sprintf("Postfix takes %s, stanch up to %s: those between are returned to the sender", said, size(uint64(ours))),
			fmt.Sprintf("Run `postconf -e 'message_size_limit = %d'` and `postfix reload`, or raise smtp.max_message_size.", ours))
	}
	return good(object, "Postfix takes up to %s, stanch up to %s", size(uint64(n)), size(uint64(ours)))
}

// circle reports a Postfix that is both before and behind stanch and would send
// what comes back to stanch again.
func circle(c smtp.Config, p Postconf, u use) (Finding, bool) {
	if u.param != "content_filter" && u.param != "smtpd_proxy_filter" && u.param != "relayhost" {
		return Finding{}, false
	}
	for _, s := range p.Services {
		if !behind(c, s) {
			continue
		}
		if u.param == "relayhost" {
			return bad("relayhost", "the Postfix that stanch hands mail back to sends it to stanch again", "Set smtp.next_hop to the server behind, or use content_filter as in docs/postfix.md."), true
		}
		if pointsAt(p.value(s, u.param), Doors{SMTP: c}.listens()) {
			return bad(s+" "+u.param, "what stanch hands back is sent to stanch again", fmt.Sprintf("Run `postconf -P '%s/%s='` and `postfix reload`.", s, u.param)), true
		}
	}
	return Finding{}, false
}

// behind reports whether service is a listener to which stanch hands mail back.
func behind(c smtp.Config, service string) bool {
	name, _, _ := strings.Cut(service, "/")
	if name == "smtp" {
		name = "25"
	}
	if _, port, err := net.SplitHostPort(name); err == nil {
		name = port
	}
	host, port, err := net.SplitHostPort(c.NextHop)
	return err == nil && name == port && (host == "localhost" || sameHost(host, ""))
}

// bracketed writes an address as Postfix wants a host that is not looked up.
func bracketed(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "[" + host + "]:" + port
}

// FindPostconf returns the path of postconf, "" where there is none.
func FindPostconf() string {
	for _, p := range []string{"/usr/sbin/postconf", "/usr/local/sbin/postconf"} {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			return p
		}
	}
	return ""
}
