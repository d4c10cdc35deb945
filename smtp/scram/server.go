package scram

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
)

// Server is the side that checks. First and Final are called once each, in that
// order.
type Server struct {
	nonce string // ours
	gs2   string // the client's GS2 header, as it came
	auth  string // the start of AuthMessage
	keys  Keys
	known bool
}

// NewServer starts an exchange.
func NewServer() *Server { return &Server{nonce: newNonce()} }

// First answers the client's first message and says who it claims to be.
// keysOf returns the Keys of a user; for one that is not known it returns some
// that look alike, and false. A client that wants to act for another than
// itself, or binds to a channel, gets ErrMessage. RFC 5802 5.1, 7.
func (s *Server) First(clientFirst []byte, keysOf func(user string) (Keys, bool)) (serverFirst []byte, user string, err error) {
	if len(clientFirst) > maxMessage {
		return nil, "", ErrMessage
	}
	binding, rest, ok := strings.Cut(string(clientFirst), ",")
	authzid, bare, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 || binding != "n" && binding != "y" {
		return nil, "", ErrMessage
	}
	f, ok := fields([]byte(bare), "n", "r")
	if !ok || !isNonce(f[1]) {
		return nil, "", ErrMessage
	}
	if user, ok = saslName(f[0]); !ok {
		return nil, "", ErrMessage
	}
	if name, ok := saslName(strings.TrimPrefix(authzid, "a=")); authzid != "" && (!ok || name != user || !strings.HasPrefix(authzid, "a=")) {
		return nil, "", ErrMessage
	}
	s.keys, s.known = keysOf(user)
	s.gs2 = binding + "," + authzid + ","
	s.nonce = f[1] + s.nonce
	first := "r=" + s.nonce + ",s=" + base64.StdEncoding.EncodeToString(s.keys.Salt) + ",i=" + strconv.Itoa(s.keys.Iterations)
	s.auth = bare + "," + first + ","
	return []byte(first), user, nil
}

// Final checks the client's proof and returns ours. ErrProof when the client
// does not know the password, or nobody has that name: the two take the same
// time.
func (s *Server) Final(clientFinal []byte) (serverFinal []byte, err error) {
	bare, proof64, ok := strings.Cut(string(clientFinal), ",p=")
	f, ok2 := fields([]byte(bare), "c", "r")
	if !ok || !ok2 || len(clientFinal) > maxMessage {
		return nil, ErrMessage
	}
	proof, err := base64.StdEncoding.DecodeString(proof64)
	if err != nil || len(proof) != sha256.Size {
		return nil, ErrMessage
	}
	gs2, err := base64.StdEncoding.DecodeString(f[0])
	if err != nil || string(gs2) != s.gs2 || !hmac.Equal([]byte(f[1]), []byte(s.nonce)) {
		return nil, ErrMessage
	}
	s.auth += bare
	client := sum(s.keys.StoredKey[:], s.auth)
	subtle.XORBytes(client, client, proof)
	stored := sha256.Sum256(client)
	if subtle.ConstantTimeCompare(stored[:], s.keys.StoredKey[:]) != 1 || !s.known {
		return nil, ErrProof
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(sum(s.keys.Server[:], s.auth))), nil
}

// Knows reports whether password is the one that k was derived from. It takes
// as long as Derive.
func (k Keys) Knows(password string) bool {
	got, err := Derive(password, k.Salt, k.Iterations)
	return subtle.ConstantTimeCompare(got.StoredKey[:], k.StoredKey[:]) == 1 && err == nil
}

// saslName undoes the writing of a name. RFC 5802 5.1.
func saslName(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == 0:
			return "", false
		case s[i] != '=':
			b.WriteByte(s[i])
		case strings.HasPrefix(s[i:], "=2C"):
			b.WriteByte(',')
			i += 2
		case strings.HasPrefix(s[i:], "=3D"):
			b.WriteByte('=')
			i += 2
		default:
			return "", false
		}
	}
	return b.String(), b.Len() > 0
}

// isNonce reports printable ASCII. RFC 5802 7.
func isNonce(s string) bool {
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
