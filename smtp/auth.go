package smtp

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp/scram"
)

const (
	maxLoginFaults = 3                // of one session; then it ends
	maxClientFails = 10               // of one client within failWindow; then nobody is asked
	failWindow     = 10 * time.Minute // from the first of them
	maxFailing     = 10_000           // clients remembered; beyond it any is forgotten
	maxProving     = 2                // passwords proved at once: each costs tens of milliseconds of a processor
)

// What a login, and a client that has to log in first, is told.
var (
	replyWantTLS       = dlp.Reply{Code: 530, Enhanced: "5.7.0", Text: "STARTTLS first"} // RFC 3207 4
	replyWantAuth      = dlp.Reply{Code: 530, Enhanced: "5.7.0", Text: "Log in first"}   // RFC 4954 6
	replyAuthTLS       = dlp.Reply{Code: 538, Enhanced: "5.7.11", Text: "Nobody logs in without TLS"}
	replyAuthOK        = dlp.Reply{Code: 235, Enhanced: "2.7.0", Text: "Welcome"}
	replyAuthFailed    = dlp.Reply{Code: 535, Enhanced: "5.7.8", Text: "Wrong name or password"}
	replyAuthShut      = dlp.Reply{Code: 454, Enhanced: "4.7.0", Text: "Too many failed logins, try again later"}
	replyAuthSyntax    = dlp.Reply{Code: 501, Enhanced: "5.5.2", Text: "Not what was asked for"}
	replyAuthCancelled = dlp.Reply{Code: 501, Enhanced: "5.7.0", Text: "Login cancelled"}
	replyMechanism     = dlp.Reply{Code: 504, Enhanced: "5.5.4", Text: "No such way to log in"}
	replyNotOwn        = dlp.Reply{Code: 553, Enhanced: "5.7.1", Text: "You may send as yourself only"}
	replyNotTrusted    = dlp.Reply{Code: 550, Enhanced: "5.7.0", Text: "Your address may not speak for others"}
	replyNotRelayed    = dlp.Reply{Code: 550, Enhanced: "5.7.1", Text: "Your address may not relay here"}
)

// gate bounds how often a client may try passwords, and how many are tried at
// once.
type gate struct {
	guesses *guesses
	proving chan struct{}

	mu    sync.Mutex // guards fails
	fails map[netip.Addr]failing
}

type failing struct {
	n     int
	since time.Time
}

func newGate() *gate {
	return &gate{guesses: newGuesses(), proving: make(chan struct{}, maxProving), fails: map[netip.Addr]failing{}}
}

// shut reports that client has failed too often.
func (g *gate) shut(client netip.Addr, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, ok := g.fails[client]
	return ok && f.n >= maxClientFails && now.Sub(f.since) < failWindow
}

// fail counts a wrong password.
func (g *gate) fail(client netip.Addr, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.fails[client]
	if f.n == 0 || now.Sub(f.since) >= failWindow {
		f = failing{since: now}
	}
	f.n++
	if len(g.fails) >= maxFailing {
		for k := range g.fails { // any: who tries from ten thousand addresses is not stopped by counting
			delete(g.fails, k)
			break
		}
	}
	g.fails[client] = f
}

// mayLogIn reports whether AUTH is offered now.
func (x *session) mayLogIn() bool {
	return x.srv.d.Users != nil && x.secured && x.user == "" && x.door.Protocol != DoorLMTP
}

// auth answers AUTH. RFC 4954 4.
func (x *session) auth(ctx context.Context, arg string) bool {
	mechanism, initial, _ := strings.Cut(arg, " ")
	mechanism = upper(mechanism)
	switch {
	case x.srv.d.Users == nil, x.door.Protocol == DoorLMTP:
		return x.fault(replyNotHere)
	case !x.secured:
		return x.fault(replyAuthTLS)
	case !x.esmtp, x.helo == "", x.tx != nil, x.user != "":
		return x.fault(replySequence)
	case x.srv.gate.shut(clientKey(x.client), time.Now()):
		x.reply(replyAuthShut)
		x.linger = true
		return false
	}
	var user string
	var err error
	switch mechanism {
	case "PLAIN":
		user, err = x.authPlain(ctx, initial)
	case scram.Mechanism:
		user, err = x.authSCRAM(ctx, initial)
	default:
		return x.fault(replyMechanism)
	}
	switch {
	case err == nil:
		x.srv.gate.guesses.proved(user, clientKey(x.client))
		x.user = user
		x.reply(replyAuthOK)
		return true
	case errors.Is(err, errAuthFailed):
		return x.authFailed(ctx)
	case errors.Is(err, errAuthShut), errors.Is(err, errAuthSlowed):
		if errors.Is(err, errAuthSlowed) {
			x.srv.d.Log.LogAttrs(ctx, slog.LevelWarn, "login at the mail door put off: too many tries of one name")
		}
		x.reply(replyAuthShut)
		x.linger = true
		return false
	case errors.Is(err, errAuthSyntax):
		return x.fault(replyAuthSyntax)
	case errors.Is(err, errAuthCancelled):
		return x.fault(replyAuthCancelled)
	}
	x.broken(ctx, err) // the connection, or a line that is none
	return false
}

// What an exchange ends with.
var (
	errAuthFailed    = errors.New("smtp: wrong user or password")
	errAuthShut      = errors.New("smtp: too many failed logins")
	errAuthSyntax    = errors.New("smtp: not what the mechanism asks for")
	errAuthCancelled = errors.New("smtp: login cancelled")
)

// authFailed answers a wrong password. Nothing tells which user was tried.
func (x *session) authFailed(ctx context.Context) bool {
	x.srv.gate.fail(clientKey(x.client), time.Now())
	x.srv.d.Log.LogAttrs(ctx, slog.LevelWarn, "login at the mail door failed")
	x.reply(replyAuthFailed)
	if x.logins++; x.logins >= maxLoginFaults {
		x.reply(replyErrors)
		x.linger = true
		return false
	}
	return true
}

// challenge sends what the server says, and returns the client's answer.
func (x *session) challenge(text []byte) ([]byte, error) {
	x.reply(dlp.Reply{Code: 334, Text: base64.StdEncoding.EncodeToString(text)})
	x.limit = time.Time{}
	line, err := x.in.line()
	if err != nil {
		return nil, err
	}
	if line == "*" {
		return nil, errAuthCancelled
	}
	return decodeResponse(line)
}

func decodeResponse(line string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(line)
	if err != nil || strings.ContainsAny(line, "\r\n") { // the decoder passes over line ends
		return nil, errAuthSyntax
	}
	return b, nil
}

// initialResponse is what came with AUTH, or the answer to an empty challenge.
// RFC 4954 4: "=" is an empty one.
func (x *session) initialResponse(initial string) ([]byte, error) {
	switch initial {
	case "":
		return x.challenge(nil)
	case "=":
		return nil, nil
	}
	return decodeResponse(initial)
}

// authPlain is RFC 4616. It takes the same time whether or not the user exists.
func (x *session) authPlain(ctx context.Context, initial string) (string, error) {
	b, err := x.initialResponse(initial)
	if err != nil {
		return "", err
	}
	f := bytes.Split(b, []byte{0})
	if len(f) != 3 || len(f[1]) == 0 || len(f[1]) > maxUserName || len(f[2]) == 0 || len(f[2]) > maxPassword {
		return "", errAuthSyntax
	}
	act, user := string(f[0]), string(f[1])
	keys, known := x.srv.d.Users.keys(user)
	if err := x.srv.gate.guesses.slow(ctx, user, clientKey(x.client)); err != nil {
		return "", err
	}
	select {
	case x.srv.gate.proving <- struct{}{}:
		defer func() { <-x.srv.gate.proving }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if x.srv.gate.shut(clientKey(x.client), time.Now()) { // others failed while this one waited
		return "", errAuthShut
	}
	if proved := keys.Knows(string(f[2])); !proved || !known || act != "" && act != user {
		return "", errAuthFailed
	}
	return user, nil
}

// authSCRAM is RFC 5802 with RFC 7677.
func (x *session) authSCRAM(ctx context.Context, initial string) (string, error) {
	b, err := x.initialResponse(initial)
	if err != nil {
		return "", err
	}
	s := scram.NewServer()
	first, user, err := s.First(b, x.srv.d.Users.keys)
	if err != nil {
		return "", errAuthSyntax
	}
	if b, err = x.challenge(first); err != nil {
		return "", err
	}
	if err := x.srv.gate.guesses.slow(ctx, user, clientKey(x.client)); err != nil {
		return "", err
	}
	if x.srv.gate.shut(clientKey(x.client), time.Now()) { // as above
		return "", errAuthShut
	}
	final, err := s.Final(b)
	switch {
	case errors.Is(err, scram.ErrProof):
		return "", errAuthFailed
	case err != nil:
		return "", errAuthSyntax
	}
	if b, err = x.challenge(final); err != nil {
		return "", err
	}
	if len(b) > 0 {
		return "", errAuthSyntax
	}
	return user, nil
}

// unwelcome returns why this session may send no mail yet. The zero Reply: it
// may.
func (x *session) unwelcome() dlp.Reply {
	switch {
	case x.door.TLS != DoorTLSOffered && !x.secured:
		return replyWantTLS
	case x.user != "", x.door.Protocol != DoorSubmission && within(x.srv.nets, x.client):
		return dlp.Reply{}
	case x.srv.d.Users == nil, x.door.Protocol == DoorLMTP:
		return replyNotRelayed
	case !x.secured:
		return replyWantTLS
	}
	return replyWantAuth
}

// ownSender reports whether from is what the user may send as, in whatever case:
// policies know nobody apart by it either.
func (x *session) ownSender(from dlp.Address) bool {
	if !x.srv.cfg.Auth.OwnSender || x.user == "" || from.IsNull() {
		return true
	}
	own, err := ParseUTF8Address(x.user)
	return err == nil && own.Domain == from.Domain && dlp.FoldAddress(own.Local) == dlp.FoldAddress(from.Local)
}
